//! The Poisson-subsampled Gaussian mechanism: what DP-SGD runs at every step.

use underpin_core::Delta;

use crate::error::within;
use crate::event::GAP;
use crate::{Adjacency, Bounds, Error, Event};

/// Sums of clipped rows, each row taken with a known probability, under Gaussian noise (Abadi et al. 2016).
///
/// One step takes each row independently with probability `sampling_rate` (Poisson sampling; shuffled or fixed-size
/// batches are another mechanism with other bounds), adds up their vectors clipped to L2 norm `clipping_norm`, and
/// adds Gaussian noise of standard deviation `noise_multiplier * clipping_norm` to each coordinate.
///
/// # Guarantees
///
/// Under [`Adjacency::AddOrRemove`], and under [`Adjacency::ZeroOut`] where the number of rows is public:
///
/// 1. `steps` steps are (ε, δ)-differentially private at every ε that is not below the upper bound of
///    [`epsilon`](Self::epsilon) (`bounds_enclose_the_peers`).
/// 2. [`calibrated`](Self::calibrated) never overshoots its target (`calibration_never_overshoots`).
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::SubsampledGaussian;
///
/// let delta = Delta::new(1e-5)?;
/// let mechanism = SubsampledGaussian::calibrated(Epsilon::new(3.0)?, delta, 0.01, 1_000, 1.0)?;
/// assert!(mechanism.epsilon(1_000, delta)?.upper <= 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubsampledGaussian {
    sampling_rate: f64,
    noise_multiplier: f64,
    clipping_norm: f64,
}

impl SubsampledGaussian {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `sampling_rate` lies in `[1e-9, 1]`, `noise_multiplier` in `[0.05, 1e6]` and
    /// `clipping_norm` in `[1e-12, 1e12]`.
    pub fn new(sampling_rate: f64, noise_multiplier: f64, clipping_norm: f64) -> Result<Self, Error> {
        Ok(Self {
            sampling_rate: within("sampling_rate", sampling_rate, "[1e-9, 1]", |q| (1e-9..=1.0).contains(&q))?,
            noise_multiplier: within("noise_multiplier", noise_multiplier, "[0.05, 1000000]", |sigma| {
                (0.05..=1e6).contains(&sigma)
            })?,
            clipping_norm: within("clipping_norm", clipping_norm, "[1e-12, 1e12]", |c| (1e-12..=1e12).contains(&c))?,
        })
    }

    /// The ε that `steps` steps spend at `delta` under [`Adjacency::AddOrRemove`], from both sides, within 1 % of the upper
    /// one where that can be had: [`Event::epsilon`]. No step spends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for more than 2^53 steps.
    pub fn epsilon(&self, steps: u64, delta: Delta) -> Result<Bounds, Error> {
        self.epsilon_within(steps, delta, GAP)
    }

    /// As [`epsilon`](Self::epsilon), the bounds no further apart than `gap` of the upper one where that can be had.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for more than 2^53 steps, or unless `gap` lies in `[1e-4, 1]`.
    pub fn epsilon_within(&self, steps: u64, delta: Delta, gap: f64) -> Result<Bounds, Error> {
        self.event().repeated(steps).epsilon_within(delta, self.adjacency(), gap)
    }

    /// One step, as an [`Event`] that can be composed with others and asked about under other neighbouring relations.
    pub const fn event(&self) -> Event {
        Event::SubsampledGaussian { sampling_rate: self.sampling_rate, noise_multiplier: self.noise_multiplier }
    }

    /// The upper bound on ε by the Rényi accountant alone ([`Event::renyi_epsilon`]): what most published runs state.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for more than 2^53 steps.
    pub fn renyi_epsilon(&self, steps: u64, delta: Delta) -> Result<f64, Error> {
        self.event().repeated(steps).renyi_epsilon(delta, self.adjacency())
    }

    /// Probability with which a step takes each row.
    pub const fn sampling_rate(&self) -> f64 {
        self.sampling_rate
    }

    /// Standard deviation of the noise in units of the clipping norm, σ in the papers.
    pub const fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// L2 norm to which each row's vector is clipped, C in the papers.
    pub const fn clipping_norm(&self) -> f64 {
        self.clipping_norm
    }

    /// The neighbouring relation of the bounds: [`Adjacency::AddOrRemove`].
    pub const fn adjacency(&self) -> Adjacency {
        Adjacency::AddOrRemove
    }
}
