//! The Poisson-subsampled Gaussian mechanism: what DP-SGD runs at every step.

use underpin_core::Delta;

use crate::error::within;
use crate::pld::Repeated;
use crate::{Error, PrivateSteps, SecretKey, rdp};

/// Which data sets count as neighbours: what one person's data may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One row more or one row less (unbounded differential privacy).
    AddOrRemove,
    /// One row replaced by another (bounded differential privacy).
    Replace,
    /// One row replaced by one that contributes nothing; the number of rows is public (Kairouz et al. 2021).
    ZeroOut,
}

/// Two proven bounds on one number: it lies in `[lower, upper]`, rounding errors included.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// Never above the number.
    pub lower: f64,
    /// Never below the number.
    pub upper: f64,
}

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

/// Largest gap between the bounds on ε, relative to the upper one.
const GAP: f64 = 0.01;
pub(crate) const NOISE_RANGE: &str = "[0.05, 1000000]";
pub(crate) const LEAST_NOISE: f64 = 0.05;
pub(crate) const MOST_NOISE: f64 = 1e6;

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
            noise_multiplier: within("noise_multiplier", noise_multiplier, NOISE_RANGE, |sigma| {
                (LEAST_NOISE..=MOST_NOISE).contains(&sigma)
            })?,
            clipping_norm: within("clipping_norm", clipping_norm, "[1e-12, 1e12]", |c| (1e-12..=1e12).contains(&c))?,
        })
    }

    /// The ε that `steps` steps spend at `delta`, from both sides.
    ///
    /// By privacy loss distributions, to within 1 % of the upper bound where 2^19 lattice points can tell so much; the
    /// Rényi bound where it is lower. No step spends nothing.
    ///
    /// # Errors
    ///
    /// None for a mechanism that could be made; the result leaves room for accountants that refuse.
    pub fn epsilon(&self, steps: u64, delta: Delta) -> Result<Bounds, Error> {
        self.epsilon_within(steps, delta, GAP)
    }

    /// As [`epsilon`](Self::epsilon), the bounds no further apart than `gap` of the upper one where that can be had.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `gap` lies in `[1e-4, 1]`.
    pub fn epsilon_within(&self, steps: u64, delta: Delta, gap: f64) -> Result<Bounds, Error> {
        let gap = within("gap", gap, "[1e-4, 1]", |gap| (1e-4..=1.0).contains(&gap))?;
        if steps == 0 {
            return Ok(Bounds { lower: 0.0, upper: 0.0 });
        }
        match self.repeated(steps, delta).epsilon(gap) {
            Some(bounds) if bounds.upper - bounds.lower <= gap * bounds.upper => Ok(bounds),
            Some(bounds) => Ok(Bounds { upper: bounds.upper.min(self.renyi(steps, delta)), ..bounds }),
            None => Ok(Bounds { lower: 0.0, upper: self.renyi(steps, delta) }),
        }
    }

    /// The same with another noise multiplier; the caller keeps to the range.
    pub(crate) const fn with_noise(self, noise_multiplier: f64) -> Self {
        Self { noise_multiplier, ..self }
    }

    /// The upper bound on ε alone, at most a little above that of `epsilon`.
    pub(crate) fn upper(&self, steps: u64, delta: Delta) -> f64 {
        match self.repeated(steps, delta).upper(GAP) {
            Some(upper) if upper.is_finite() => upper,
            _ => self.renyi(steps, delta),
        }
    }

    fn repeated(&self, steps: u64, delta: Delta) -> Repeated {
        Repeated { rate: self.sampling_rate, sigma: self.noise_multiplier, steps, delta: delta.value() }
    }

    /// The upper bound on ε by the Rényi accountant alone (Mironov, Talwar and Zhang 2019; converted by Canonne, Kamath
    /// and Steinke 2020): never below that of [`epsilon`](Self::epsilon), and what most published runs state.
    pub fn renyi_epsilon(&self, steps: u64, delta: Delta) -> f64 {
        if steps == 0 { 0.0 } else { self.renyi(steps, delta) }
    }

    fn renyi(&self, steps: u64, delta: Delta) -> f64 {
        rdp::subsampled_gaussian(self.sampling_rate, self.noise_multiplier, steps, delta.value())
    }

    /// Starts a run over `rows` rows that ends after `max_steps` steps at the latest.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `rows` or `max_steps` is 0, or when a batch would hold so many rows that its sum
    /// leaves the noise's integer range.
    pub fn start(&self, rows: usize, max_steps: u64, key: SecretKey) -> Result<PrivateSteps, Error> {
        PrivateSteps::new(*self, rows, max_steps, key)
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
