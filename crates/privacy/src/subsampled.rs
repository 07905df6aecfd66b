//! The Poisson-subsampled Gaussian mechanism: what DP-SGD runs at every step.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
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

const NOISE_RANGE: &str = "[0.05, 1000000]";
const LEAST_NOISE: f64 = 0.05;
const MOST_NOISE: f64 = 1e6;

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

    /// The least noise, to a relative 1e-4, with which `steps` steps stay within `target`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] as for [`new`](Self::new); [`Error::Unreachable`] when no noise multiplier in range
    /// reaches the target.
    pub fn calibrated(
        target: Epsilon,
        delta: Delta,
        sampling_rate: f64,
        steps: u64,
        clipping_norm: f64,
    ) -> Result<Self, Error> {
        let enough = |sigma: f64| -> Result<Option<Self>, Error> {
            let mechanism = Self::new(sampling_rate, sigma, clipping_norm)?;
            Ok((mechanism.epsilon(steps, delta)?.upper <= target.value()).then_some(mechanism))
        };
        if let Some(mechanism) = enough(LEAST_NOISE)? {
            return Ok(mechanism);
        }
        let Some(mut best) = enough(MOST_NOISE)? else {
            return Err(Error::Unreachable { name: "noise_multiplier", target: target.value(), range: NOISE_RANGE });
        };
        let mut low = LEAST_NOISE;
        while best.noise_multiplier > low * (1.0 + 1e-4) {
            let middle = (low * best.noise_multiplier).sqrt();
            match enough(middle)? {
                Some(mechanism) => best = mechanism,
                None => low = middle,
            }
        }
        Ok(best)
    }

    /// The ε that `steps` steps spend at `delta`.
    ///
    /// No step spends nothing.
    ///
    /// # Errors
    ///
    /// None for a mechanism that could be made; the result allows for accountants that refuse.
    pub fn epsilon(&self, steps: u64, delta: Delta) -> Result<Bounds, Error> {
        if steps == 0 {
            return Ok(Bounds { lower: 0.0, upper: 0.0 });
        }
        let upper = rdp::subsampled_gaussian(self.sampling_rate, self.noise_multiplier, steps, delta.value());
        Ok(Bounds { lower: 0.0, upper })
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
