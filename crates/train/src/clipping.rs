//! How one example's gradient is bounded.

use serde::{Deserialize, Serialize};

use crate::tape::{factor, rounded_down};
use crate::{Error, Gradient, Recording};

/// How each example's gradient is bounded before it enters the sum.
///
/// # Guarantees
///
/// What one example adds to the vector that is released, the count of [`Clipping::Adaptive`] included, has an L2 norm of
/// at most [`Clipping::norm`], whatever its gradient; a gradient that is not finite adds nothing to the gradients' sum:
///
/// 1. [`Clipping::Flat`]: the gradient is scaled by `min(1, norm / length)` (`no_clipping_adds_more_than_its_norm`).
/// 2. [`Clipping::PerLayer`]: each of `L` layers is scaled to at most `norm / sqrt(L)`; the squares add up to at most
///    `norm²` (`no_clipping_adds_more_than_its_norm`).
/// 3. [`Clipping::Automatic`]: the gradient is scaled by `norm / (length + stability)`, and
///    `norm * length / (length + stability) < norm` (`no_clipping_adds_more_than_its_norm`).
/// 4. [`Clipping::Adaptive`]: the gradient, over the threshold and clipped to 1, fills `sqrt(1 - fraction²)` of `norm`, and
///    the answer "below the threshold", `+1` or `-1`, the `fraction` that is left: one vector, one noise, one account
///    (`no_clipping_adds_more_than_its_norm`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clipping {
    /// The whole gradient (Abadi et al., CCS 2016, algorithm 1).
    Flat {
        /// L2 norm to which each gradient is clipped; in `[1e-12, 1e12]`.
        norm: f64,
    },
    /// Each layer on its own, to equal parts of the square (McMahan et al., ICLR 2018, section 3.1).
    ///
    /// A layer is weight and bias together; layers that share a parameter are one.
    PerLayer {
        /// L2 norm of a gradient all of whose layers are clipped; in `[1e-12, 1e12]`.
        norm: f64,
    },
    /// Every gradient is scaled to nearly the same length (Bu, Wang, Zha and Karypis, NeurIPS 2023, AUTO-S,
    /// equation 3.2).
    Automatic {
        /// Length that long gradients tend to; it scales the learning rate, nothing else. In `[1e-12, 1e12]`.
        norm: f64,
        /// γ, what is added to the length; 0.01 in the paper. In `[1e-6, 1e6]`.
        stability: f64,
    },
    /// The threshold follows a quantile of the lengths (Andrew, Thakkar, McMahan and Ramaswamy, NeurIPS 2021,
    /// algorithm 1): after each step it is multiplied by `exp(-rate * (below - quantile))`, `below` being the noisy
    /// fraction of examples below it.
    ///
    /// Its noise: with noise multiplier `z` for both, the gradients get `z / sqrt(1 - fraction²)` thresholds and the count
    /// of examples below gets σ_b = `z / (2 fraction)`; the paper's theorem 1, read backwards. The released gradient is
    /// multiplied by the threshold again, which depends on earlier releases alone.
    Adaptive {
        /// The first threshold; in `[1e-12, 1e12]`. The threshold stays within a factor of 1e6 of it.
        initial: f64,
        /// Fraction of examples that are to be below the threshold, γ in the paper; in `[0, 1]`.
        quantile: f64,
        /// η_C in the paper, 0.2 there; in `(0, 1]`.
        rate: f64,
        /// Fraction of the norm that the count fills, in `(0, 0.9]`; 0.05 adds 0.13 % to the gradients' noise.
        fraction: f64,
    },
}

impl Clipping {
    /// L2 norm of the most that one example adds to what is released: the clipping norm of the mechanism.
    pub const fn norm(&self) -> f64 {
        match self {
            Self::Flat { norm } | Self::PerLayer { norm } | Self::Automatic { norm, .. } => *norm,
            Self::Adaptive { initial, .. } => *initial,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a value out of range.
    pub fn start(self) -> Result<Clipper, Error> {
        let within = |name, value: f64, [low, high]: [f64; 2], allowed| {
            let inside = value >= low && value <= high;
            if inside { Ok(()) } else { Err(Error::out_of_range(name, value, allowed)) }
        };
        within("clipping norm", self.norm(), [1e-12, 1e12], "[1e-12, 1e12]")?;
        match self {
            Self::Flat { .. } | Self::PerLayer { .. } => {}
            Self::Automatic { stability, .. } => within("stability", stability, [1e-6, 1e6], "[1e-6, 1e6]")?,
            Self::Adaptive { quantile, rate, fraction, .. } => {
                within("quantile", quantile, [0.0, 1.0], "[0, 1]")?;
                within("clipping rate", rate, [f64::MIN_POSITIVE, 1.0], "(0, 1]")?;
                within("fraction of the count", fraction, [f64::MIN_POSITIVE, 0.9], "(0, 0.9]")?;
            }
        }
        Ok(Clipper { rule: self, threshold: self.norm() })
    }
}

/// A clipping rule at work, with its present threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipper {
    rule: Clipping,
    threshold: f64,
}

/// What the examples of one recording add to a release.
#[derive(Clone, Debug, PartialEq)]
pub struct ClippedSum {
    /// The sum of the bounded gradients.
    pub gradient: Gradient,
    /// Their answers to "below the threshold", added up; none unless the clipping is adaptive.
    pub count: Option<f64>,
}

impl Clipper {
    /// The sum of a recording's gradients, each bounded; `batch` as for [`Recording::clipped_sum`].
    pub fn sum(&self, recording: &mut Recording, batch: usize) -> ClippedSum {
        let mut count = None;
        let gradient = match self.rule {
            Clipping::Flat { norm } => recording.clipped_sum(norm, batch),
            Clipping::PerLayer { norm } => {
                let layers = recording.layer_norms();
                let most = norm / (layers.len().max(1) as f64).sqrt() * (1.0 - 1e-9);
                let finite = |example: usize| layers.iter().all(|norms| norms[example].is_finite());
                let factor = |(example, norm): (usize, &f64)| if finite(example) { factor(*norm, most) } else { 0.0 };
                recording.scaled_sum(|layer| layers[layer].iter().enumerate().map(factor).collect(), batch)
            }
            Clipping::Automatic { norm, stability } => {
                let factor =
                    |length: f64| if length.is_finite() { rounded_down(norm / (length + stability)) } else { 0.0 };
                let factors: Vec<f32> = recording.norms().into_iter().map(factor).collect();
                recording.scaled_sum(|_| factors.clone(), batch)
            }
            Clipping::Adaptive { initial, fraction, .. } => {
                let lengths = recording.norms();
                let most = initial * (1.0 - fraction * fraction).sqrt();
                let factor = |length: &f64| {
                    if length.is_finite() { rounded_down(most / length.max(self.threshold)) } else { 0.0 }
                };
                let factors: Vec<f32> = lengths.iter().map(factor).collect();
                let votes = lengths.iter().map(|length| if *length <= self.threshold { 1.0 } else { -1.0 });
                count = Some(votes.sum::<f64>() * fraction * initial);
                recording.scaled_sum(|_| factors.clone(), batch)
            }
        };
        ClippedSum { gradient, count }
    }

    /// What a released average is multiplied by, so that it is one of clipped gradients.
    pub(crate) fn unit(&self) -> f64 {
        match self.rule {
            Clipping::Adaptive { initial, fraction, .. } => {
                self.threshold / (initial * (1.0 - fraction * fraction).sqrt())
            }
            _ => 1.0,
        }
    }

    /// Moves the threshold by the released average of the answers.
    pub(crate) fn follow(&mut self, released: f64) {
        if let Clipping::Adaptive { initial, quantile, rate, fraction } = self.rule {
            let below = f64::midpoint(released / (fraction * initial), 1.0);
            let threshold = self.threshold * (-rate * (below - quantile)).exp();
            self.threshold = threshold.clamp(initial * 1e-6, initial * 1e6);
        }
    }

    /// The rule.
    pub const fn rule(&self) -> &Clipping {
        &self.rule
    }

    /// Length at which gradients are clipped now.
    pub const fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The same rule at a threshold it had reached.
    pub(crate) fn at(self, threshold: f64) -> Self {
        Self { threshold, ..self }
    }
}

#[cfg(test)]
#[path = "clipping_tests.rs"]
mod tests;
