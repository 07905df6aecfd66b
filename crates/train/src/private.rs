//! Differentially private training.

use std::path::Path;

use serde::{Deserialize, Serialize};
use underpin_core::{Delta, Epsilon, Examples, Seed};
use underpin_privacy::{BandedFactor, CorrelatedGaussian, NoiseSource, Participation, SecretKey, SubsampledGaussian};

use crate::{Clipping, Cyclic, Error, Payment, Settings, Steps};

/// How private the model must be.
///
/// # Guarantees
///
/// Neighbours: one row contributes or does not, at a public number of rows
/// ([`Adjacency::ZeroOut`](underpin_privacy::Adjacency::ZeroOut)). The number of rows and the settings are assumed
/// public: the sampling rate and the number of steps follow from them.
///
/// 1. The model, and whatever is computed from it, is (`target`, `delta`)-differentially private: every gradient is
///    clipped example by example and released with noise before it touches the weights
///    (`epsilon_never_exceeds_the_target`).
/// 2. Noise is never used twice: two runs from a [`NoiseSource::fresh`] source draw independent noise and batches, though
///    they have rows, settings, seed and secret in common, or differ in the adversary alone
///    (`runs_that_differ_in_nothing_draw_independent_noise`). Noise and batches come from a key derived from the run's
///    fresh bytes and secret, every row and label, the settings and the seed (`runs_that_differ_share_no_noise`).
/// 3. An adversary gets a secret seed, so that its random starts, too, are unknown and drawn alike for every example
///    (`runs_that_differ_share_no_noise`).
/// 4. With canaries, a run whose own audit refutes its accountant at 99.9 % confidence fails
///    (`a_run_with_canaries_reports_both_bounds`).
/// 5. With a `payment`, the cost is in the budget before the first batch is drawn ([`Engine::pay`](crate::Engine::pay);
///    `a_spent_budget_refuses_before_anything_is_drawn`); the model is the same (`what_pays_does_not_change_the_model`).
///
/// # Limits
///
/// Losses are not private: they go to progress events for the operator, never into the record, and whoever shows or keeps
/// those events has released them, which ε does not count. Accuracy on held-out rows ([`Sgd::train_watched`](crate::Sgd::train_watched))
/// releases of the training rows only what the private weights do; the held-out rows it releases without any privacy. An error that stops
/// training (divergence) is not private either. Hyper-parameters tuned on the same rows spend privacy that is not
/// counted. Each example's gradient is what single precision makes of it; that it may differ in its last bits with the
/// other rows of the batch is not counted. What the adversary makes of an example must depend on that example alone.
#[derive(Clone, Debug)]
pub struct Privacy {
    /// The ε that the whole training may spend.
    pub target: Epsilon,
    /// The δ at which that ε is stated; well below 1/n for n rows.
    pub delta: Delta,
    /// How each example's gradient is bounded.
    pub clipping: Clipping,
    /// Where batches and noise come from.
    pub mechanism: Mechanism,
    /// Canaries by which the run audits itself: 0, or 6 at least.
    ///
    /// They are units beside the rows, sampled at the same rate, whose gradients lie in coordinates that no weight sees;
    /// averages are over the rows alone. So noise, ε and the weights' distribution are those of a run without them
    /// (`canaries_leave_the_data_their_step`).
    pub canaries: u32,
    /// Where noise and batches come from.
    pub noise: NoiseSource,
    /// The budget that pays; none for a run that stands for itself.
    pub payment: Option<Payment>,
}

/// Where the batches and the noise of private training come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mechanism {
    /// DP-SGD: Poisson sampling, independent noise (Abadi et al. 2016).
    #[default]
    Poisson,
    /// DP-FTRL: every row once an epoch, in a public order; noise that cancels between steps by an optimised banded matrix
    /// (Choquette-Choo et al. 2023). The account rests on no secret sampling.
    Banded {
        /// Steps over which noise is correlated, from 1 to the steps of an epoch.
        bands: usize,
    },
}

/// Values of rows that enter the key at a time.
const CHUNK: usize = 1 << 16;

impl Privacy {
    /// A clipping norm that served with [`Settings::recommended`](crate::Settings::recommended).
    pub const CLIPPING_NORM: f64 = 2.0;

    /// Flat clipping, Poisson sampling, no canaries, no budget.
    pub fn flat(target: Epsilon, delta: Delta, clipping_norm: f64, noise: NoiseSource) -> Self {
        let clipping = Clipping::Flat { norm: clipping_norm };
        Self { target, delta, clipping, mechanism: Mechanism::Poisson, canaries: 0, noise, payment: None }
    }

    /// Calibrates the noise and starts the run, whose fresh bytes are kept at `kept`.
    pub(crate) fn start(
        &self,
        data: &Examples,
        settings: &Settings,
        seed: Seed,
        kept: Option<&Path>,
    ) -> Result<PrivateRun, Error> {
        let count = settings.steps(data.len());
        // The run sets a millionth of delta aside for its noise's distance from its ideal: twice that is left out here.
        let delta = Delta::new(self.delta.value() * (1.0 - 2e-6))?;
        let (norm, rows) = (self.clipping.norm(), data.len() + self.canaries as usize);
        let key = self.run_key(data, settings, seed, kept)?;
        let (adversary, own) = (key.derive("adversary", &[]), key.derive("steps", &[]));
        let steps = match self.mechanism {
            Mechanism::Poisson => {
                let rate = settings.batch_size as f64 / data.len() as f64;
                let mechanism = SubsampledGaussian::calibrated(self.target, delta, rate, count, norm)?;
                Steps::Poisson(mechanism.start(rows, count, own)?)
            }
            Mechanism::Banded { bands } => {
                let steps = usize::try_from(count).unwrap_or(usize::MAX);
                let participation = Participation::new(steps, data.len().div_ceil(settings.batch_size))?;
                let factor = BandedFactor::optimised(bands, participation)?;
                let mechanism = CorrelatedGaussian::calibrated(self.target, delta, factor, participation, norm)?;
                Steps::Correlated(Cyclic::new(mechanism.start(rows, own)?, seed))
            }
        };
        Ok(PrivateRun { steps, adversary, canaries: key })
    }

    fn run_key(
        &self,
        data: &Examples,
        settings: &Settings,
        seed: Seed,
        kept: Option<&Path>,
    ) -> Result<SecretKey, Error> {
        let shape: Vec<u8> =
            data.inputs().shape().axes().iter().flat_map(|axis| (*axis as u64).to_le_bytes()).collect();
        let counts = [data.len() as u64, data.classes() as u64].map(u64::to_le_bytes).concat();
        // What pays has no part in it: the same run, whoever pays for it.
        let Self { target, delta, clipping, mechanism, canaries, noise, payment: _ } = self;
        let settings = format!("{settings:?} {target:?} {delta:?} {clipping:?} {mechanism:?} {canaries:?}");
        let parts: [&[u8]; 4] = [&shape, &counts, settings.as_bytes(), &seed.0.to_le_bytes()];
        let mut key = noise.run_key(kept)?.derive("training run", &parts);
        for values in data.inputs().values().chunks(CHUNK) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            key = key.derive("rows", &[&bytes]);
        }
        for labels in data.labels().chunks(CHUNK) {
            let bytes: Vec<u8> = labels.iter().flat_map(|label| (*label as u64).to_le_bytes()).collect();
            key = key.derive("labels", &[&bytes]);
        }
        Ok(key)
    }
}

/// A private training about to begin.
#[derive(Debug)]
pub(crate) struct PrivateRun {
    pub(crate) steps: Steps,
    /// Key of the adversary's seeds.
    pub(crate) adversary: SecretKey,
    /// Key of the canaries' coins.
    pub(crate) canaries: SecretKey,
}

/// A secret, uniform seed for the adversary at one step: 64 fair coins under the run's key.
pub(crate) fn adversary_seed(key: &SecretKey, step: u64) -> Result<Seed, Error> {
    let coins = SubsampledGaussian::new(0.5, 1.0, 1.0)?;
    let heads = coins.start(64, 1, key.derive("seed", &[&step.to_le_bytes()]))?.draw()?;
    Ok(Seed(heads.indices().iter().fold(0, |seed, coin| seed | 1 << coin)))
}
