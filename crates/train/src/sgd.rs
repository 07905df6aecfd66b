//! Stochastic gradient descent: plain, adversarial, private, or both.

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Attack, Audited, Denied, Examples, Perturbed, Seed, Trainer};
use underpin_privacy::Batch;

use crate::adversary::{NoAdversary, perturbed};
use crate::classifier::losses;
use crate::network::Network;
use crate::private::PrivateRun;
use crate::record::{Log, Score};
use crate::tape::{Gradient, host};
use crate::{Classifier, Error, Optimiser, Privacy, Recording, Settings, Tape};

/// Values of per-example gradients, and of inputs, held at a time; a larger batch goes through in parts.
const MEMORY: usize = 1 << 25;

/// Trains a [`Classifier`] by minibatches.
///
/// # Guarantees
///
/// 1. The same settings, data, seed and key give bit-identical weights on the same device
///    (`the_same_seed_gives_the_same_model`).
///
/// With privacy, those of [`Privacy`] hold as well.
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
        let Settings { architecture, device, .. } = &self.settings;
        self.settings.check(data.len())?;
        Denied::unless_valid(data.inputs(), data.inputs().shape())?;
        if data.labels().iter().all(|label| *label == data.labels()[0]) {
            return Err(Error::OneClass { rows: data.len(), class: data.labels()[0] });
        }
        let shape = data.inputs().shape();
        let mut model =
            Classifier::initial(architecture.clone(), shape, data.classes(), *device, seed.derive("initial"))?;
        let mut sampler = match &self.privacy {
            Some(privacy) => Sampler::Poisson(privacy.start(data, &self.settings, seed)?),
            None => Sampler::Shuffled(Shuffled::new(data.len(), self.settings.batch_size, seed)),
        };
        let mut optimiser = optimiser(self.settings.optimiser);
        let rate = match self.settings.optimiser {
            Optimiser::Sgd { learning_rate, .. } | Optimiser::Adam { learning_rate } => learning_rate,
        };
        let mut log = Log::new(self, data.len());
        let mut average = Average::of_last(self.settings.averaging);
        for step in 1..=log.steps {
            let (indices, ticket) = sampler.draw()?;
            let batch = self.attacked(&model, data.select(&indices), &sampler, seed, step, log.steps)?;
            let (score, gradient) = self.gradient(&model, &batch)?;
            if score.rows > 0 && !score.loss.is_finite() {
                return Err(Error::Diverged { step, steps: log.steps, loss: score.mean_loss() });
            }
            let gradient = sampler.average(ticket, &gradient, batch.len())?;
            let gradient = gradient.into_params(&device.device());
            model.network = optimiser.step(rate, model.network, gradient);
            average.add(step, log.steps, &model);
            log.step(step, score, &sampler)?;
        }
        let model = average.finish(model)?;
        Ok(Audited { value: model, record: log.finish(&sampler)? })
    }
}

impl<A> Sgd<A>
where
    A: Attack<Classifier, Outcome = Perturbed> + Sync,
{
    fn attacked(
        &self,
        model: &Classifier,
        batch: Examples,
        sampler: &Sampler,
        seed: Seed,
        step: u64,
        steps: u64,
    ) -> Result<Examples, Error> {
        let Some(adversary) = &self.adversary else { return Ok(batch) };
        let seed = match sampler {
            Sampler::Poisson(run) => run.adversary_seed(step)?,
            Sampler::Shuffled(_) => seed.derive("adversary").nth(step),
        };
        let warm_up = self.settings.warm_up * steps as f64;
        let share = if warm_up > 0.0 { (step as f64 / warm_up).min(1.0) } else { 1.0 };
        perturbed(adversary, model, batch, seed, share, step)
    }

    /// How well the batch is told, and the sum of the gradients, clipped if training is private.
    fn gradient(&self, model: &Classifier, batch: &Examples) -> Result<(Score, Gradient), Error> {
        let parameters = model.network.parameters();
        let mut total = Gradient::zero(parameters);
        if self.privacy.is_some() && batch.len() > Recording::MOST {
            return Err(Error::BatchTooLarge { rows: batch.len(), allowed: Recording::MOST });
        }
        let (size, device) = (model.shape.size(), model.device.device());
        let rows = (MEMORY / total.values().len().max(size)).clamp(1, 512);
        let mut score = Score::default();
        let parts = batch.inputs().values().chunks(rows * size).zip(batch.labels().chunks(rows));
        for (inputs, labels) in parts {
            let mut tape = Tape::recording(&model.network)?;
            let inputs = host::tensor(inputs.to_vec(), [labels.len(), size], &device);
            let logits = model.network.forward(inputs, &model.shape, &mut tape);
            let right = right(&host::values(logits.clone()), labels);
            let losses = losses(logits, labels);
            let loss = host::values(losses.clone()).into_iter().map(f64::from).sum();
            score.add(Score { loss, right, rows: labels.len() });
            let mut recording = tape.backward(losses)?;
            total.add(&match &self.privacy {
                Some(privacy) => recording.clipped_sum(privacy.clipping_norm, batch.len()),
                None => recording.sum(),
            })?;
        }
        Ok((score, total))
    }
}

/// Examples whose label has the greatest logit.
fn right(logits: &[f32], labels: &[usize]) -> usize {
    let classes = logits.len() / labels.len().max(1);
    let told = logits.chunks_exact(classes.max(1)).zip(labels);
    told.filter(|(logits, label)| logits.iter().all(|logit| *logit <= logits[**label])).count()
}

/// The mean of the weights over the last steps.
#[derive(Debug)]
struct Average {
    share: f64,
    sum: Vec<f64>,
    steps: u64,
}

impl Average {
    fn of_last(share: f64) -> Self {
        Self { share, sum: Vec::new(), steps: 0 }
    }

    fn add(&mut self, step: u64, of: u64, model: &Classifier) {
        if (of - step) as f64 >= self.share * of as f64 {
            return;
        }
        let values = model.network.values();
        self.sum.resize(values.len(), 0.0);
        self.sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
        self.steps += 1;
    }

    /// The model with the mean; as it is when no step was to be averaged.
    #[allow(clippy::cast_possible_truncation, reason = "weights are in single precision")]
    fn finish(self, model: Classifier) -> Result<Classifier, Error> {
        if self.steps == 0 {
            return Ok(model);
        }
        let values: Vec<f32> = self.sum.iter().map(|sum| (sum / self.steps as f64) as f32).collect();
        let layers = model.architecture.layers(&model.shape, model.classes)?;
        let network = Network::with_values(&layers, &values, &model.device.device());
        Ok(Classifier { network, ..model })
    }
}

fn optimiser(optimiser: Optimiser) -> ModuleOptimizer {
    match optimiser {
        Optimiser::Sgd { momentum: 0.0, .. } => SgdConfig::new().init(),
        Optimiser::Sgd { momentum, .. } => {
            let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        }
        Optimiser::Adam { .. } => AdamConfig::new().with_epsilon(1e-8).init(),
    }
}

/// Where batches come from.
#[derive(Debug)]
pub(crate) enum Sampler {
    /// Every row with the same probability, on its own; what the accountant counts.
    Poisson(PrivateRun),
    /// Every row once an epoch.
    Shuffled(Shuffled),
}

impl Sampler {
    /// The rows of the next batch, and in private training the ticket for its release.
    fn draw(&mut self) -> Result<(Vec<usize>, Option<Batch>), Error> {
        match self {
            Self::Poisson(run) => {
                let batch = run.steps.draw()?;
                Ok((batch.indices().to_vec(), Some(batch)))
            }
            Self::Shuffled(shuffled) => Ok((shuffled.next(), None)),
        }
    }

    /// The sum divided by the rows drawn; in private training, noised and divided by the rows expected.
    #[allow(clippy::cast_possible_truncation, reason = "the rounding is in the noise's slack")]
    fn average(&mut self, ticket: Option<Batch>, sum: &Gradient, rows: usize) -> Result<Gradient, Error> {
        match (self, ticket) {
            (Self::Poisson(run), Some(batch)) => {
                let mut values: Vec<f32> = sum.values().iter().map(|value| *value as f32).collect();
                run.steps.release(batch, &mut values)?;
                Ok(sum.with_values(values.into_iter().map(f64::from).collect())?)
            }
            _ => Ok(sum.with_values(sum.values().iter().map(|value| value / rows as f64).collect())?),
        }
    }
}

/// A new order of the rows every epoch.
#[derive(Debug)]
pub(crate) struct Shuffled {
    order: Vec<usize>,
    at: usize,
    batch_size: usize,
    rng: ChaCha12Rng,
}

impl Shuffled {
    fn new(rows: usize, batch_size: usize, seed: Seed) -> Self {
        let rng = ChaCha12Rng::seed_from_u64(seed.derive("order").0);
        Self { order: (0..rows).collect(), at: 0, batch_size, rng }
    }

    fn next(&mut self) -> Vec<usize> {
        if self.at == 0 {
            self.order.shuffle(&mut self.rng);
        }
        let end = (self.at + self.batch_size).min(self.order.len());
        let batch = self.order[self.at..end].to_vec();
        self.at = if end == self.order.len() { 0 } else { end };
        batch
    }
}

#[cfg(test)]
#[path = "sgd_tests.rs"]
mod tests;
