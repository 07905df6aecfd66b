//! Stochastic gradient descent: plain, adversarial, private, or both.

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig};
use underpin_core::{Attack, Audited, Denied, Examples, Perturbed, Seed, Trainer};
use underpin_privacy::SecretKey;

use crate::adversary::{NoAdversary, perturbed};
use crate::classifier::losses;
use crate::private::adversary_seed;
use crate::tape::host;
use crate::training_record::{Log, Watched};
use crate::{
    Checkpoints, Classifier, Clipping, CorrectedAdam, Engine, Error, Method, Optimiser, Privacy, Settings, Shuffled,
    Steps,
};

/// Values of per-example gradients, and of inputs, held at a time; a larger batch goes through in parts.
const MEMORY: usize = 1 << 25;

/// Trains a [`Classifier`] by minibatches.
///
/// # Guarantees
///
/// 1. The same settings, data and seed give bit-identical weights on the same device, where training is not private
///    (`the_same_seed_gives_the_same_model`). Private training draws fresh noise each time; kept on disk
///    ([`train_kept`](Sgd::train_kept)) it goes on with the noise that it began with.
///
/// With privacy, those of [`Privacy`] and [`Engine`] hold as well.
///
/// # Source
///
/// Private: Abadi et al., CCS 2016, algorithm 1. Adversarial: Madry et al., ICLR 2018, equation 2.1; deviation: the
/// perturbations may grow to full size over [`Settings::warm_up`].
#[derive(Clone, Debug)]
pub struct Sgd<A = NoAdversary> {
    /// What and how.
    pub settings: Settings,
    /// How private; none for training that is not.
    pub privacy: Option<Privacy>,
    /// Who perturbs each batch; none for training that is not adversarial.
    ///
    /// With privacy, it must make each perturbed example from its own example (and label) alone.
    pub adversary: Option<A>,
}

impl Sgd {
    /// Training without any defence.
    pub fn plain(settings: Settings) -> Self {
        Self { settings, privacy: None, adversary: None }
    }
}

impl<A> Trainer for Sgd<A>
where
    A: Attack<Classifier, Outcome = Perturbed> + Sync,
{
    type Model = Classifier;
    type Error = Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Classifier>, Error> {
        self.run(data, seed, None, None)
    }
}

impl<A> Sgd<A>
where
    A: Attack<Classifier, Outcome = Perturbed> + Sync,
{
    /// As [`Trainer::train`], kept on disk: killed at any moment and called again, it goes on where it was, and ends with
    /// the same weights ([`Engine::keep`]). The run's fresh bytes are kept beside it, for their owner alone, from before the
    /// first batch is drawn: a step that is repeated after a crash has the same noise on the same gradient, which is the same
    /// release and costs nothing more; on another gradient it is refused. The files stay when training ends, so that the
    /// model is not lost with the process: put it where it belongs, then call [`Checkpoints::remove`].
    ///
    /// The folder of the files is made, for its owner alone, if it is absent; one that others may enter is warned of.
    ///
    /// # Errors
    ///
    /// Those of training; [`Error::Checkpoint`] and [`Error::Replay`].
    pub fn train_kept(
        &self,
        data: &Examples,
        seed: Seed,
        checkpoints: &Checkpoints,
    ) -> Result<Audited<Classifier>, Error> {
        self.run(data, seed, Some(checkpoints), None)
    }

    /// As [`Trainer::train`]; its progress events report accuracy on `held_out` beside loss and ε.
    ///
    /// The accuracy is that of the model that training would end with at that step, averaging included, on the first of
    /// the held-out rows: as many as keep all these looks together within a twentieth of the rows trained on, which took
    /// less than 2 % of the time. No weight depends on `held_out`, and nothing of it enters the record.
    ///
    /// # Errors
    ///
    /// Those of training; [`Error::Inputs`] when the held-out rows are of another shape or not finite, [`Error::OutOfRange`]
    /// when there are none.
    pub fn train_watched(
        &self,
        data: &Examples,
        seed: Seed,
        held_out: &Examples,
    ) -> Result<Audited<Classifier>, Error> {
        Denied::unless_valid(held_out.inputs(), data.inputs().shape())?;
        let rows = u128::from(self.settings.steps(data.len())) * (self.settings.batch_size * self.copies()) as u128;
        self.run(data, seed, None, Some(&Watched::new(held_out, rows)?))
    }

    fn run(
        &self,
        data: &Examples,
        seed: Seed,
        kept: Option<&Checkpoints>,
        watched: Option<&Watched>,
    ) -> Result<Audited<Classifier>, Error> {
        let Settings { architecture, device, .. } = &self.settings;
        self.settings.check(data.len())?;
        Denied::unless_valid(data.inputs(), data.inputs().shape())?;
        if data.labels().iter().all(|label| *label == data.labels()[0]) {
            return Err(Error::OneClass { rows: data.len(), class: data.labels()[0] });
        }
        if let Some(augmentation) = &self.settings.augmentation {
            augmentation.check(data.inputs())?;
        }
        let shape = data.inputs().shape();
        let mut model =
            Classifier::initial(architecture.clone(), shape, data.classes(), *device, seed.derive("initial"))?;
        if let Some(checkpoints) = kept {
            checkpoints.make_folder()?;
        }
        let (mut engine, adversary) = self.engine(data, seed, &model, kept)?;
        let mut log = Log::new(&self.settings, self.privacy.as_ref(), self.adversary.is_some(), data.len());
        let identity = if kept.is_some() { self.identity(data, seed) } else { String::new() };
        if let Some(checkpoints) = kept {
            let (resumed, network, note) = engine.keep(model.network, checkpoints)?;
            (engine, model.network) = (resumed, network);
            if let Some(note) = note {
                log.resume(&note, checkpoints, &identity)?;
            }
        }
        if let Some(payment) = self.privacy.as_ref().and_then(|privacy| privacy.payment.as_ref()) {
            engine = engine.pay(&model.network, payment)?;
        }
        while engine.taken() < log.steps {
            let drawn = engine.draw()?;
            let step = drawn.step();
            let batch = data.select(drawn.units());
            let batch = match &self.settings.augmentation {
                Some(augmentation) => {
                    augmentation.versions(&batch, drawn.units(), seed.derive("augmentation").nth(step))?
                }
                None => batch,
            };
            let batch = self.attacked(&model, batch, adversary.as_ref(), seed, step, log.steps)?;
            let (copies, size) = (self.copies(), shape.size());
            let summed = engine.sum(&model.network, drawn, |network, part, tape| {
                let rows = part.places.start * copies..part.places.end * copies;
                let values = batch.inputs().values()[rows.start * size..rows.end * size].to_vec();
                let inputs = host::tensor(values, [rows.len(), size], part.device);
                let losses = losses(network.forward(inputs, shape, tape), &batch.labels()[rows]);
                if copies > 1 { losses / copies as f64 } else { losses }
            })?;
            let loss = summed.loss();
            if loss.is_some_and(|loss| !loss.is_finite()) {
                return Err(Error::Diverged { step, steps: log.steps, loss: loss.unwrap_or(f64::NAN) });
            }
            model.network = engine.apply(model.network, summed)?;
            let accuracy = match watched.filter(|_| log.is_due(step)) {
                Some(watched) => {
                    let network = engine.averaged(model.network.clone())?;
                    Some(watched.accuracy(&Classifier { network, ..model.clone() })?)
                }
                None => None,
            };
            log.step(step, loss, accuracy, &engine)?;
            if let Some(checkpoints) = kept.filter(|kept| step.is_multiple_of(kept.every) || step == log.steps) {
                let note = log.note(checkpoints, &identity)?;
                engine.save(&model.network, checkpoints, &note)?;
            }
        }
        model.network = engine.averaged(model.network)?;
        Ok(Audited { value: model, record: log.finish(&engine)? })
    }

    /// What makes two training runs the same: settings, seed and rows.
    fn identity(&self, data: &Examples, seed: Seed) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(format!("{:?} {seed:?} {:?} {}", self.settings, data.inputs().shape(), data.classes()).as_bytes());
        data.inputs().values().iter().for_each(|value| {
            hasher.update(&value.to_le_bytes());
        });
        data.labels().iter().for_each(|label| {
            hasher.update(&(*label as u64).to_le_bytes());
        });
        hasher.finalize().to_hex().to_string()
    }

    /// Rows of a unit.
    fn copies(&self) -> usize {
        self.settings.augmentation.map_or(1, |augmentation| augmentation.copies)
    }

    /// The engine of a run, and the key of its adversary's seeds if they are secret.
    fn engine(
        &self,
        data: &Examples,
        seed: Seed,
        model: &Classifier,
        kept: Option<&Checkpoints>,
    ) -> Result<(Engine, Option<SecretKey>), Error> {
        let Settings { batch_size, device, schedule, averaging, .. } = self.settings;
        let (parameters, size) = (model.parameters(), data.inputs().shape().size());
        let method = Method {
            clipping: self.privacy.as_ref().map_or(Clipping::Flat { norm: 1.0 }, |privacy| privacy.clipping),
            steps: self.settings.steps(data.len()),
            learning_rate: self.settings.optimiser.learning_rate(),
            schedule,
            averaging,
            rows_per_unit: self.copies(),
            physical_batch: (MEMORY / parameters.max(size * self.copies())).clamp(1, 512),
        };
        let Some(privacy) = &self.privacy else {
            let steps = Steps::Shuffled(Shuffled::new(data.len(), batch_size, seed)?);
            let optimiser = self.optimiser(&steps, data.len())?;
            return Ok((Engine::new(steps, method, optimiser, vec![device.device()])?, None));
        };
        let fresh = kept.map(Checkpoints::fresh);
        let run = privacy.start(data, &self.settings, seed, fresh.as_deref())?;
        let optimiser = self.optimiser(&run.steps, data.len())?;
        let engine = Engine::new(run.steps, method, optimiser, vec![device.device()])?;
        let engine = if privacy.canaries > 0 { engine.with_canaries(privacy.canaries, &run.canaries)? } else { engine };
        Ok((engine, Some(run.adversary)))
    }

    fn optimiser(&self, steps: &Steps, rows: usize) -> Result<ModuleOptimizer, Error> {
        let Optimiser::CorrectedAdam { floor, .. } = self.settings.optimiser else {
            return Ok(optimiser(self.settings.optimiser));
        };
        let fixed = self.privacy.as_ref().is_some_and(|run| !matches!(run.clipping, Clipping::Adaptive { .. }));
        let deviation = steps.noise_deviation(rows).filter(|_| fixed).ok_or(Error::NoisyOptimiser)?;
        Ok(ModuleOptimizer::from(CorrectedAdam::new(deviation, floor)?))
    }

    fn attacked(
        &self,
        model: &Classifier,
        batch: Examples,
        key: Option<&SecretKey>,
        seed: Seed,
        step: u64,
        steps: u64,
    ) -> Result<Examples, Error> {
        let Some(adversary) = &self.adversary else { return Ok(batch) };
        let seed = match key {
            Some(key) => adversary_seed(key, step)?,
            None => seed.derive("adversary").nth(step),
        };
        let warm_up = self.settings.warm_up * steps as f64;
        let fraction = if warm_up > 0.0 { (step as f64 / warm_up).min(1.0) } else { 1.0 };
        perturbed(adversary, model, batch, seed, fraction, step)
    }
}

fn optimiser(optimiser: Optimiser) -> ModuleOptimizer {
    match optimiser {
        Optimiser::Sgd { momentum: 0.0, .. } => SgdConfig::new().init(),
        Optimiser::Sgd { momentum, .. } => {
            let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        }
        Optimiser::Adam { .. } | Optimiser::CorrectedAdam { .. } => AdamConfig::new().with_epsilon(1e-8).init(),
    }
}

#[cfg(test)]
#[path = "sgd_tests.rs"]
pub(crate) mod tests;
