//! Runs that outlive their process.

use burn::module::Module;
use burn::tensor::Bytes;

use crate::canary::Canaries;
use crate::checkpoint::{CheckpointHeader, Saved};
use crate::device::guarded;
use crate::engine::{Engine, Optimiser};
use crate::journal::Journal;
use crate::weights::Weights;
use crate::{CheckpointFault, Checkpoints, Error};

impl Engine {
    /// Keeps the run at `checkpoints`, and takes it up from there if it has been kept: engine, model, and the note of the
    /// last [`save`](Self::save). The engine is made, and the model built, as for a new run.
    ///
    /// # Guarantees
    ///
    /// 1. A run killed at any moment and taken up again ends with the weights, bit for bit, and the steps, of one that was
    ///    not: steps after the last save are worked out again with the same sample and noise
    ///    (`a_killed_run_ends_as_if_it_had_not_been`).
    /// 2. A step is on the disk, with a seal of its sum, before its noise is added; the same step on another sum is
    ///    refused, so that no noise is used twice (`another_sum_is_never_released_under_the_same_noise`).
    /// 3. [`epsilon`](Self::epsilon) counts every step begun, saved or not (`a_step_begun_is_counted`).
    ///
    /// # Limits
    ///
    /// Who deletes the list of steps, or restores an old one, takes the second guarantee away, unless a budget pays for
    /// the run ([`pay`](Self::pay)): it knows how far the list has come.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] for a file that is damaged, of another run, in use by another process, or newer than its list
    /// of steps; [`Error::DeviceLost`] for the device of the model.
    pub fn keep<M: Module>(mut self, model: M, checkpoints: &Checkpoints) -> Result<(Self, M, Option<String>), Error> {
        let path = &checkpoints.path;
        let refused = |fault| Error::Checkpoint { path: path.clone(), fault };
        if self.taken > 0 || self.charge.are_paid() {
            return Err(refused(CheckpointFault::Begun));
        }
        if checkpoints.every == 0 {
            return Err(Error::out_of_range("steps between checkpoints", 0.0, "[1, inf)"));
        }
        self.charge.every = checkpoints.every;
        let journal = Journal::open(path)?;
        let Some(saved) = Saved::read(path)? else {
            return Ok((Self { journal: Some(journal), ..self }, model, None));
        };
        let Saved { head, weights, average, optimiser } = saved;
        let own = self.card();
        if head.card != own {
            return Err(refused(CheckpointFault::OtherRun { kept: head.card, own }));
        }
        let reached = head.reached.steps();
        if self.steps.clipping_norm().is_some() && journal.begun() < reached {
            return Err(refused(CheckpointFault::ShortList { steps: reached, begun: journal.begun() }));
        }
        let weights = Weights { values: weights, ids: head.ids };
        let model = guarded(&self.devices, || {
            weights.put_into(model).map_err(|error| match error {
                Error::Model { fault } => refused(CheckpointFault::Weights(fault)),
                error => error,
            })
        })?;
        (self.taken, self.applied) = (reached, reached);
        let steps = self.steps.resume(head.reached).map_err(|error| refused(CheckpointFault::Privacy(error)))?;
        self.steps = steps.ok_or_else(|| refused(CheckpointFault::OtherSteps))?;
        self.clipper = self.clipper.at(head.threshold);
        match &mut self.canaries {
            Some(canaries) if canaries.count() == head.scores.len() => canaries.scores = head.scores,
            None if head.scores.is_empty() => {}
            _ => return Err(refused(CheckpointFault::OtherCanaries)),
        }
        let owed = head.budget.map(|head| head.parse()).transpose();
        self.charge.owed = owed.map_err(|error| refused(CheckpointFault::Privacy(error)))?;
        self.average.sum = average;
        self.average.steps = head.averaged_steps;
        let Optimiser(own) = self.optimiser;
        let optimiser = own.from_bytes(Bytes::from_bytes_vec(optimiser));
        let optimiser = optimiser.map_err(|error| refused(CheckpointFault::Optimiser(error.to_string())))?;
        let engine = Self { optimiser: Optimiser(optimiser), journal: Some(journal), ..self };
        Ok((engine, model, Some(head.note)))
    }

    /// Writes engine and model to `checkpoints`, whole or not at all, with a note of the caller's.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when it cannot be written, and while a step is drawn and not applied: the file would count
    /// it and lack what it did; [`Error::DeviceLost`] for the device of the model.
    pub fn save<M: Module>(&self, model: &M, checkpoints: &Checkpoints, note: &str) -> Result<(), Error> {
        let refused = |fault| Error::Checkpoint { path: checkpoints.path.clone(), fault };
        if self.applied != self.taken {
            return Err(refused(CheckpointFault::Pending { step: self.taken }));
        }
        let (Weights { values, ids }, optimiser) = guarded(&self.devices, || {
            let optimiser = self.optimiser.0.into_bytes();
            let optimiser = optimiser.map_err(|error| refused(CheckpointFault::Optimiser(error.to_string())))?;
            Ok((Weights::of(model), optimiser))
        })?;
        let head = CheckpointHeader {
            card: self.card(),
            reached: self.steps.reached(),
            threshold: self.clipper.threshold(),
            scores: self.canaries.as_ref().map_or_else(Vec::new, |canaries| canaries.scores.clone()),
            averaged_steps: self.average.steps,
            ids,
            budget: self.charge.head().map(|head| head.to_string()),
            note: note.to_owned(),
            weights: values.len(),
            average: self.average.sum.len(),
        };
        let average = self.average.sum.clone();
        Saved { head, weights: values, average, optimiser: optimiser.to_vec() }.write(&checkpoints.path)
    }

    fn card(&self) -> String {
        let canaries = self.canaries.as_ref().map_or(0, Canaries::count);
        format!("{:?} {} canaries {canaries}", self.method, self.steps.card())
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
pub(crate) mod tests;
