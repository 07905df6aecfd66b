//! Training steps of any burn model: batches, bounded gradients, noise, optimiser, account and audit in one value.

use std::fmt;
use std::ops::Range;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use underpin_core::Delta;
use underpin_privacy::{Batch, Bounds, SecretKey};

use crate::batches::Steps;
use crate::canary::{Canaries, SelfAudit};
use crate::charge::Charge;
use crate::device::guarded;
use crate::journal::Journal;
use crate::schedule::Average;
use crate::tape::host::{self, rounded};
use crate::weights::Weights;
use crate::{Averaging, Clipper, Clipping, Error, Gradient, Recording, Schedule, Tape};

/// How a run's gradients are bounded and applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// How each unit's gradient is bounded; without noise it is not.
    pub clipping: Clipping,
    /// Steps of the whole run; no step is taken past them.
    pub steps: u64,
    /// Step size; finite, above 0.
    pub learning_rate: f64,
    /// What it is multiplied by as the run goes on.
    pub schedule: Schedule,
    /// Which weights the run ends with.
    pub averaging: Averaging,
    /// Consecutive rows of the losses that make one unit, 1 at least: the augmentations of an example, or the examples
    /// of a user.
    pub rows_per_unit: usize,
    /// The most units whose gradients are in memory at a time on one device, 1 at least. Does not change what is
    /// learned, but for rounding.
    pub physical_batch: usize,
}

/// Trains any burn model whose forward pass names its layers to a [`Tape`].
///
/// A step is [`draw`](Self::draw), [`sum`](Self::sum), [`apply`](Self::apply); or [`step`](Self::step), which is all
/// three. What is protected is the unit: one row, or all that one user contributed.
///
/// # Guarantees
///
/// With noise ([`Steps::Poisson`], [`Steps::Correlated`]):
///
/// 1. Sensitivity: one unit adds at most the mechanism's clipping norm to what is released, whichever clipping, however
///    many rows it has (`one_unit_moves_the_sum_by_the_clipping_norm_at_most`).
/// 2. Sampling: the units of a step are those that the accountant's own sampler drew; an empty batch is a step like any
///    other (`an_empty_batch_is_a_step`).
/// 3. Noise: one draw on the total of all physical batches and devices, of the accountant's deviation
///    (`noise_is_drawn_once_on_the_total`).
/// 4. Division: by the expected, never the drawn, number of units (`sums_are_divided_by_the_expected_size`).
/// 5. Budget: a step past the last one accounted for is refused before it is drawn (`no_step_passes_the_budget`).
/// 6. Physical batches and devices change the sum by rounding alone; the same physical batches on more devices of one
///    kind not even by that (`devices_share_one_batch`, and over the network `remote_devices_share_one_batch`).
/// 7. A remote device that no longer answers is an error of the step, which stays counted (`a_lost_device_is_an_error`).
///
/// # Limits
///
/// What a remote device sees, and what it is trusted with, is in the crate's README ("Several devices").
///
/// # Examples
///
/// In the crate's README.
#[derive(Debug)]
pub struct Engine {
    pub(crate) steps: Steps,
    pub(crate) method: Method,
    pub(crate) optimiser: Optimiser,
    pub(crate) devices: Vec<Device>,
    pub(crate) clipper: Clipper,
    pub(crate) canaries: Option<Canaries>,
    pub(crate) average: Average,
    pub(crate) taken: u64,
    pub(crate) applied: u64,
    pub(crate) journal: Option<Journal>,
    pub(crate) charge: Charge,
    /// Units of data; the others are canaries.
    pub(crate) units: usize,
}

/// burn's optimiser, which has no `Debug`.
pub(crate) struct Optimiser(pub(crate) ModuleOptimizer);

impl fmt::Debug for Optimiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Optimiser(..)")
    }
}

/// The units of one step, counted and not yet summed.
#[must_use = "the step is counted; sum it up"]
#[derive(Debug)]
pub struct Drawn {
    units: Vec<usize>,
    canaries: Vec<usize>,
    ticket: Option<Batch>,
    step: u64,
}

impl Drawn {
    /// Positions of the units.
    pub fn units(&self) -> &[usize] {
        &self.units
    }

    /// The step, from 1.
    pub const fn step(&self) -> u64 {
        self.step
    }
}

/// Units of a batch that go through the model together.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// Positions of the units among all.
    pub units: &'a [usize],
    /// Their places in the batch drawn.
    pub places: Range<usize>,
    /// Where the model is, and the inputs must be.
    pub device: &'a Device,
}

/// The sum of one step's bounded gradients, not yet released; secret.
#[must_use = "the step is counted; apply it"]
#[derive(Debug)]
pub struct Summed {
    drawn: Drawn,
    pub(crate) gradient: Gradient,
    count: Option<f64>,
    canaries: Vec<f64>,
    loss: Option<f64>,
}

impl Summed {
    /// Mean loss of the units drawn, none if there are none. Not private: for the operator's eyes.
    pub const fn loss(&self) -> Option<f64> {
        self.loss
    }
}

/// What one physical batch adds.
struct Piece {
    gradient: Gradient,
    count: f64,
    loss: f64,
}

impl Engine {
    /// A run of `steps` on `devices` (plain ones, local or remote), with any burn optimiser. The first device holds the
    /// model.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a value out of range, for no device, for a clipping norm that is not the mechanism's, or for
    /// adaptive clipping under correlated noise, which cancels only between sums of one unit.
    pub fn new(steps: Steps, method: Method, optimiser: ModuleOptimizer, devices: Vec<Device>) -> Result<Self, Error> {
        let refuse = |name, value, allowed| Err(Error::out_of_range(name, value, allowed));
        if !(method.learning_rate.is_finite() && method.learning_rate > 0.0) {
            return refuse("learning_rate", method.learning_rate, "(0, inf)");
        }
        method.schedule.check()?;
        method.averaging.check()?;
        let counts = [
            ("steps", method.steps),
            ("rows_per_unit", method.rows_per_unit as u64),
            ("physical_batch", method.physical_batch as u64),
            ("devices", devices.len() as u64),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return refuse(name, 0.0, "[1, inf)");
        }
        let clipper = method.clipping.start()?;
        if steps.clipping_norm().is_some_and(|norm| norm.to_bits() != method.clipping.norm().to_bits()) {
            return refuse("clipping norm", method.clipping.norm(), "that of the mechanism");
        }
        if steps.is_correlated() && matches!(method.clipping, Clipping::Adaptive { .. }) {
            return refuse("clipping norm", method.clipping.norm(), "a fixed one, under correlated noise");
        }
        let (units, average) = (steps.rows(), Average::new(method.averaging));
        let optimiser = Optimiser(optimiser);
        let (canaries, journal, charge) = (None, None, Charge::default());
        let (taken, applied) = (0, 0);
        Ok(Self {
            steps,
            method,
            optimiser,
            devices,
            clipper,
            canaries,
            average,
            taken,
            applied,
            journal,
            charge,
            units,
        })
    }

    /// Makes the last `count` of the units canaries, by which the run audits itself ([`audit`](Self::audit)); their coins
    /// come from `key`, which must be secret.
    ///
    /// The run must have been started over that many more units than there are data. Averages are scaled up by what the
    /// canaries thin them out.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] without noise, after the first step, or unless `count` lies in `[6, units)`.
    pub fn with_canaries(self, count: u32, key: &SecretKey) -> Result<Self, Error> {
        let fits = count >= 6 && (count as usize) < self.steps.rows();
        let Some(norm) = self.steps.clipping_norm().filter(|_| fits && self.taken == 0) else {
            let allowed = "[6, units) of a private run that has not begun";
            return Err(Error::out_of_range("canaries", f64::from(count), allowed));
        };
        let units = self.steps.rows() - count as usize;
        Ok(Self { canaries: Some(Canaries::new(count, norm, key)?), units, ..self })
    }

    /// Draws the units of the next step, and counts it.
    ///
    /// # Errors
    ///
    /// [`underpin_privacy::Error::StepsExhausted`] after the last step; [`Error::Unpaid`] for a run that was taken up
    /// without the budget that paid for it.
    pub fn draw(&mut self) -> Result<Drawn, Error> {
        self.charge.check()?;
        if self.taken >= self.method.steps {
            return Err(underpin_privacy::Error::StepsExhausted { max_steps: self.method.steps }.into());
        }
        let (all, ticket) = self.steps.draw()?;
        self.taken += 1;
        let (units, canaries): (Vec<usize>, Vec<usize>) = all.into_iter().partition(|unit| *unit < self.units);
        let canaries = canaries.into_iter().map(|canary| canary - self.units).collect();
        Ok(Drawn { units, canaries, ticket, step: self.taken })
    }

    /// Sums up the units' bounded gradients, some units at a time, on all devices at once.
    ///
    /// `losses(model, part, tape)` runs the model on a part's units and gives their losses, `[rows_per_unit * unit]`, each
    /// made from its own row alone; a unit's gradient is the sum over its rows, so that a mean needs losses divided by
    /// the number of rows.
    ///
    /// # Errors
    ///
    /// [`Error::BatchTooLarge`], those of [`Tape::recording`] and [`Tape::backward`], [`Error::Losses`] for another number
    /// of losses, [`Error::DeviceLost`] for a device that no longer answers. The step stays spent.
    pub fn sum<M, F>(&self, model: &M, drawn: Drawn, losses: F) -> Result<Summed, Error>
    where
        M: Module,
        F: Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
    {
        let rows = drawn.units.len();
        if drawn.ticket.is_some() && rows > Recording::MOST {
            return Err(Error::BatchTooLarge { rows, allowed: Recording::MOST });
        }
        let mut gradient: Option<Gradient> = None;
        let (mut count, mut loss) = (0.0, 0.0);
        let mut add = |piece: Piece| -> Result<(), Error> {
            match &mut gradient {
                Some(gradient) => gradient.add(&piece.gradient)?,
                None => gradient = Some(piece.gradient),
            }
            count += piece.count;
            loss += piece.loss;
            Ok(())
        };
        let size = self.method.physical_batch;
        let part = |at: usize, device| {
            let places = at * size..((at + 1) * size).min(rows);
            Part { units: &drawn.units[places.clone()], places, device }
        };
        let parts = rows.div_ceil(size);
        guarded(&self.devices, || {
            if let [device] = self.devices.as_slice() {
                for at in 0..parts {
                    add(self.piece(model, part(at, device), rows, drawn.ticket.is_some(), &losses)?)?;
                }
            } else {
                for piece in self.on_all_devices(model, parts, &part, rows, drawn.ticket.is_some(), &losses)? {
                    add(piece)?;
                }
            }
            Ok(())
        })?;
        let count = matches!(self.method.clipping, Clipping::Adaptive { .. }).then_some(count);
        let canaries = match &self.canaries {
            Some(canaries) => {
                let mut recording = canaries.recording(&drawn.canaries);
                self.clipper.sum(&mut recording, rows).gradient.values().to_vec()
            }
            None => Vec::new(),
        };
        let gradient = gradient.map_or_else(|| Gradient::none(model), Ok)?;
        let loss = (rows > 0).then(|| loss / rows as f64);
        Ok(Summed { drawn, gradient, count, canaries, loss })
    }

    /// One thread for each device; the pieces come back in the order of one device alone.
    fn on_all_devices<'a, M, F>(
        &'a self,
        model: &M,
        parts: usize,
        part: &(impl Fn(usize, &'a Device) -> Part<'a> + Sync),
        rows: usize,
        private: bool,
        losses: &F,
    ) -> Result<Vec<Piece>, Error>
    where
        M: Module,
        F: Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
    {
        let count = self.devices.len();
        let one = |place: usize, model: &M, device: &'a Device| {
            let own = (place..parts).step_by(count);
            own.map(|at| Ok((at, self.piece(model, part(at, device), rows, private, losses)?))).collect()
        };
        let found: Vec<Result<Vec<(usize, Piece)>, Error>> = std::thread::scope(|scope| {
            let start = |(place, device): (usize, &'a Device)| {
                let own = if place == 0 { model.clone() } else { model.clone().fork(&device.clone().autodiff()) };
                scope.spawn(move || one(place, &own, device))
            };
            let threads: Vec<_> = self.devices.iter().enumerate().map(start).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        let mut pieces = found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect::<Vec<_>>();
        pieces.sort_by_key(|(at, _)| *at);
        Ok(pieces.into_iter().map(|(_, piece)| piece).collect())
    }

    fn piece<M, F>(&self, model: &M, part: Part<'_>, rows: usize, private: bool, losses: &F) -> Result<Piece, Error>
    where
        M: Module,
        F: Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
    {
        let (mut recording, loss) = self.record(model, part, losses)?;
        if private {
            let sum = self.clipper.sum(&mut recording, rows);
            return Ok(Piece { gradient: sum.gradient, count: sum.count.unwrap_or(0.0), loss });
        }
        Ok(Piece { gradient: recording.sum(), count: 0.0, loss })
    }

    fn record<M, F>(&self, model: &M, part: Part<'_>, losses: &F) -> Result<(Recording, f64), Error>
    where
        M: Module,
        F: Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
    {
        let expected = part.units.len() * self.method.rows_per_unit;
        let mut tape = Tape::recording(model)?;
        let losses = losses(model, part, &mut tape);
        let [found] = losses.dims();
        if found != expected {
            return Err(Error::Losses { found, expected });
        }
        let total = host::values(losses.clone()).into_iter().map(f64::from).sum();
        Ok((tape.backward(losses)?.grouped(self.method.rows_per_unit)?, total))
    }

    /// Releases the sum, with noise, and moves the weights by it.
    ///
    /// # Errors
    ///
    /// The step stays spent: the errors of [`underpin_privacy::PrivateSteps::release`]; [`Error::Replay`] and
    /// [`Error::Checkpoint`] in a run that is kept on disk; those of [`underpin_privacy::PaidRun::check`] and
    /// [`underpin_privacy::PaidRun::mark`] in one that a budget pays for; [`Error::DeviceLost`] for the device of the model.
    pub fn apply<M: Module>(&mut self, model: M, summed: Summed) -> Result<M, Error> {
        let Summed { drawn, gradient, count, canaries, .. } = summed;
        let Drawn { units, ticket, step, .. } = drawn;
        let average = if let Some(ticket) = ticket {
            self.released(ticket, step, &gradient, count, &canaries)?
        } else {
            let rows = units.len() as f64;
            gradient.values().par_iter().map(|value| rounded(value / rows)).collect()
        };
        let rate = self.method.learning_rate * self.method.schedule.factor(step, self.method.steps);
        let model = guarded(&self.devices, || {
            let model = self.optimiser.0.step(rate, model, gradient.params(&average, &self.devices[0]));
            if self.average.takes(step, self.method.steps) {
                self.average.add(&Weights::of(&model).values);
            }
            Ok(model)
        })?;
        self.applied = step;
        Ok(model)
    }

    fn released(
        &mut self,
        ticket: Batch,
        step: u64,
        gradient: &Gradient,
        count: Option<f64>,
        canaries: &[f64],
    ) -> Result<Vec<f32>, Error> {
        let width = gradient.values().len();
        let mut vector: Vec<f32> = gradient.values().par_iter().map(|value| rounded(*value)).collect();
        vector.extend(count.iter().chain(canaries).map(|value| rounded(*value)));
        self.begin(step, &ticket, &vector)?;
        self.steps.release(ticket, &mut vector)?;
        let rest = vector.split_off(width);
        let thinned = self.steps.rows() as f64 / self.units as f64;
        let unit = self.clipper.unit() * thinned;
        vector.par_iter_mut().for_each(|value| *value = rounded(f64::from(*value) * unit));
        let (answers, rest) = rest.split_at(usize::from(count.is_some()));
        if let [answers] = answers {
            self.clipper.follow(f64::from(*answers) * thinned);
        }
        if let Some(canaries) = &mut self.canaries {
            canaries.observe(rest);
        }
        Ok(vector)
    }

    /// One whole step; gives the mean loss, too, which is not private. Arguments and errors as for [`sum`](Self::sum) and
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    ///
    /// Those of the three parts.
    pub fn step<M, F>(&mut self, model: M, losses: F) -> Result<(M, Option<f64>), Error>
    where
        M: Module,
        F: Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
    {
        let drawn = self.draw()?;
        let summed = self.sum(&model, drawn, losses)?;
        let loss = summed.loss();
        Ok((self.apply(model, summed)?, loss))
    }

    /// The model with the weights that the run ends with: averaged, as [`Method::averaging`] says.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for a model with another number of weights than the one trained; [`Error::DeviceLost`].
    pub fn averaged<M: Module>(&self, model: M) -> Result<M, Error> {
        let Some(values) = self.average.values() else { return Ok(model) };
        guarded(&self.devices, || {
            let ids = Weights::of(&model).ids;
            Weights { values, ids }.put_into(model)
        })
    }

    /// ε spent at `delta` by the steps begun, those of earlier processes included; none for a run without noise.
    ///
    /// # Errors
    ///
    /// Those of the accountant.
    pub fn epsilon(&self, delta: Delta) -> Result<Option<Bounds>, Error> {
        let begun = self.journal.as_ref().map_or(0, Journal::begun);
        self.steps.epsilon(begun, delta)
    }

    /// What the canaries prove so far; none without canaries. A tenth of them, and two at least, is guessed.
    ///
    /// # Errors
    ///
    /// [`underpin_privacy::Error::OutOfRange`] unless `confidence` lies in `[0.5, 1)`.
    pub fn audit(&self, delta: Delta, confidence: f64) -> Result<Option<SelfAudit>, Error> {
        self.canaries.as_ref().map(|canaries| canaries.audit(delta, confidence)).transpose()
    }

    /// Steps drawn so far.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Where batches come from, with the account.
    pub const fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The clipping at work, with its present threshold.
    pub const fn clipper(&self) -> &Clipper {
        &self.clipper
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
