//! Canaries: injected units by which a private run audits itself.

use burn::module::ParamId;
use serde::{Deserialize, Serialize};
use underpin_core::Delta;
use underpin_privacy::{Guesses, SecretKey, SubsampledGaussian};

use crate::tape::{ExampleGradients, Grouped, Parameter};
use crate::{Error, Recording};

/// Canaries of a private run.
///
/// Canary `i` is a unit beside the data's: sampled like every other, with a gradient of its own in one coordinate of its
/// own that no weight sees, ten clipping norms long, so that it goes through the run's clipping, sum, noise and
/// division like the gradient of an outlier. A secret fair coin decides whether it takes part at all. At the end, the
/// coordinate's released values are added up, and the highest and lowest sums guessed to be in and out.
#[derive(Debug)]
pub(crate) struct Canaries {
    included: Vec<bool>,
    parameter: Parameter,
    length: f32,
    pub(crate) scores: Vec<f64>,
}

/// Canaries per guess: a tenth of them, the surest, is guessed. At that fraction the bound was near its highest for ε from
/// 1 to 3 and 1,000 canaries or more. It is fixed beforehand, as the bound requires.
const PER_GUESS: usize = 10;

/// What the canaries of a run prove (Steinke, Nasr and Jagielski 2023).
///
/// # Limits
///
/// A run of lower ε than it states is not distinguished from one that keeps it: the bound is what the guesses happen to prove,
/// about half of ε for a sound run. Canaries go through the run's sampling, clipping, sum, noise and division; how the
/// gradient of a row of data is formed they do not see. From `r` right guesses at most about `ln(r / 3)` nats can be
/// proven.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfAudit {
    /// How the guesses did.
    pub guesses: Guesses,
    /// The ε that the run exceeds, with `confidence`; nats.
    pub epsilon_lower: f64,
    /// Probability with which the bound holds.
    pub confidence: f64,
}

impl Canaries {
    /// `count` canaries, with coins from the run's secret key.
    pub(crate) fn new(count: u32, clipping_norm: f64, key: &SecretKey) -> Result<Self, Error> {
        let count = count as usize;
        let coins = SubsampledGaussian::new(0.5, 1.0, 1.0)?;
        let heads = coins.start(count, 1, key.derive("canaries", &[]))?.draw()?;
        let mut included = vec![false; count];
        heads.indices().iter().for_each(|canary| included[*canary] = true);
        let parameter = Parameter { id: ParamId::new(), shape: vec![count] };
        let length = crate::tape::host::rounded(10.0 * clipping_norm);
        Ok(Self { included, parameter, length, scores: vec![0.0; count] })
    }

    pub(crate) fn count(&self) -> usize {
        self.included.len()
    }

    /// The gradients of the canaries drawn that take part.
    pub(crate) fn recording(&self, drawn: &[usize]) -> Recording {
        let positions: Vec<usize> = drawn.iter().copied().filter(|canary| self.included[*canary]).collect();
        let gradients = Spikes { positions, length: self.length };
        let examples = gradients.positions.len();
        Recording::of_one(examples, self.parameter.clone(), Box::new(gradients))
    }

    /// Adds a released average's values of the canaries' coordinates.
    pub(crate) fn observe(&mut self, released: &[f32]) {
        self.scores.iter_mut().zip(released).for_each(|(score, value)| *score += f64::from(*value));
    }

    /// Guesses a tenth of the canaries, and at least two.
    pub(crate) fn audit(&self, delta: Delta, confidence: f64) -> Result<SelfAudit, Error> {
        let made = u32::try_from(self.count().div_ceil(2 * PER_GUESS) * 2).unwrap_or(0);
        let guesses = Guesses::by_score(&self.scores, &self.included, made)?;
        Ok(SelfAudit { guesses, epsilon_lower: guesses.epsilon_lower(delta, confidence)?, confidence })
    }
}

/// Gradients of one coordinate each.
struct Spikes {
    positions: Vec<usize>,
    length: f32,
}

impl ExampleGradients for Spikes {
    fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
        Box::new(Grouped::new(self, rows, size))
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        for norm in norms {
            *norm += f64::from(self.length).powi(2);
        }
    }

    fn add_weighted(&self, weights: &[f32], _: usize, sum: &mut [f64]) {
        for (position, weight) in self.positions.iter().zip(weights) {
            sum[*position] += f64::from(weight * self.length);
        }
    }
}

#[cfg(test)]
#[path = "canary_tests.rs"]
mod tests;
