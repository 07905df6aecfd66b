//! What was done to the data, as an algebra, and what it costs.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::pld::{Leaf, Mixture};
use crate::{Bounds, Error};

/// What was done to the data: mechanisms and their composition.
///
/// Sensitivity is 1 throughout: scales are in units of what one row can change. Composition is of mechanisms fixed
/// beforehand, under [`crate::Adjacency::AddOrRemove`]; within it all act on neighbours in the same direction.
///
/// # Guarantees
///
/// 1. The bounds of [`epsilon`](Self::epsilon) and [`delta`](Self::delta) enclose what the composition of the named
///    worst pairs costs (`mixtures_enclose_the_peers`, `closed_forms_lie_within`).
///
/// # Limits
///
/// The lower bound is that of the worst pair named by each event; a mechanism known to be ε-private only may cost less.
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::Event;
///
/// let done = Event::Composed(vec![
///     Event::Laplace { scale: 10.0 },
///     Event::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.1 }.repeated(1_000),
/// ]);
/// let spent = done.epsilon(Delta::new(1e-5)?)?;
/// assert!(spent.lower <= spent.upper && spent.upper < 1.8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Nothing.
    None,
    /// Gaussian noise on a statistic of L2 sensitivity 1.
    Gaussian {
        /// Standard deviation.
        noise_multiplier: f64,
    },
    /// Laplace noise on a statistic of sensitivity 1.
    Laplace {
        /// Scale b; ε = 1/b.
        scale: f64,
    },
    /// Discrete Gaussian noise on an integer of sensitivity 1 ([`crate::DiscreteGaussian`]).
    DiscreteGaussian {
        /// σ.
        sigma: f64,
    },
    /// A category told truly with probability `e^ε / (e^ε + categories - 1)`, else any other one.
    RandomizedResponse {
        /// ε of one answer.
        epsilon: Epsilon,
        /// Number of categories, at least 2.
        categories: u32,
    },
    /// The Gaussian mechanism on a Poisson sample: one step of [`crate::SubsampledGaussian`].
    SubsampledGaussian {
        /// Probability with which each row is taken.
        sampling_rate: f64,
        /// Standard deviation over clipping norm.
        noise_multiplier: f64,
    },
    /// One epoch of the Gaussian mechanism over shuffled, disjoint batches: each row is in one batch of it.
    ///
    /// Accounted as what it is known to be, one Gaussian mechanism without amplification, where the number of rows is
    /// public ([`crate::Adjacency::ZeroOut`]): given the order, a row enters one release, and the others are made from
    /// it. Shuffled batches accounted as if they were Poisson samples state an ε that is too small (Chua et al. 2024).
    ShuffledGaussian {
        /// Standard deviation over clipping norm.
        noise_multiplier: f64,
    },
    /// Anything ε-private.
    Pure {
        /// Its ε.
        epsilon: Epsilon,
    },
    /// Anything (ε, δ)-private.
    Approximate {
        /// Its ε.
        epsilon: Epsilon,
        /// Its δ.
        delta: Delta,
    },
    /// All of these.
    Composed(Vec<Event>),
    /// The same, again and again.
    Repeated(Box<Event>, u64),
}

impl Event {
    /// This event `times` times.
    #[must_use]
    pub fn repeated(self, times: u64) -> Self {
        Self::Repeated(Box::new(self), times)
    }

    /// ε at `delta`, from both sides; within 1 % of the upper one where the lattice can tell so much.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a parameter out of range, or more than 2^53 repetitions;
    /// [`Error::OutOfReach`] when no lattice is long enough.
    pub fn epsilon(&self, delta: Delta) -> Result<Bounds, Error> {
        self.mixture()?.epsilon(delta.value()).ok_or(Error::OutOfReach)
    }

    /// δ at `epsilon` (0 allowed), from both sides.
    ///
    /// # Errors
    ///
    /// As for [`epsilon`](Self::epsilon); [`Error::OutOfRange`] unless `epsilon` is finite and not negative.
    pub fn delta(&self, epsilon: f64) -> Result<Bounds, Error> {
        let epsilon = within("epsilon", epsilon, "[0, inf)", |epsilon| epsilon >= 0.0 && epsilon.is_finite())?;
        self.mixture()?.delta(epsilon).ok_or(Error::OutOfReach)
    }

    /// The upper bound on ε by the Rényi accountant alone (Mironov 2017; converted by Canonne, Kamath and Steinke 2020);
    /// infinite with an event that gives all away now and then ([`Event::Approximate`]).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] as for [`epsilon`](Self::epsilon).
    pub fn renyi_epsilon(&self, delta: Delta) -> Result<f64, Error> {
        Ok(self.mixture()?.renyi_epsilon(delta.value()))
    }

    fn mixture(&self) -> Result<Mixture, Error> {
        let mut leaves = Vec::new();
        self.gather(1, &mut leaves)?;
        Ok(Mixture::new(leaves))
    }

    fn gather(&self, times: u64, leaves: &mut Vec<(Leaf, u64)>) -> Result<(), Error> {
        let noise = |name, value: f64| within(name, value, "[0.05, 1000000]", |value| (0.05..=1e6).contains(&value));
        let leaf = match self {
            Self::None | Self::Repeated(_, 0) => return Ok(()),
            Self::Composed(events) => return events.iter().try_for_each(|event| event.gather(times, leaves)),
            Self::Repeated(event, count) => {
                let total = within("repetitions", times as f64 * *count as f64, "[0, 2^53]", |n| n <= 9e15)?;
                return event.gather(total as u64, leaves);
            }
            Self::Gaussian { noise_multiplier } | Self::ShuffledGaussian { noise_multiplier } => {
                Leaf::Gaussian { rate: 1.0, sigma: noise("noise_multiplier", *noise_multiplier)? }
            }
            Self::SubsampledGaussian { sampling_rate, noise_multiplier } => Leaf::Gaussian {
                rate: within("sampling_rate", *sampling_rate, "[1e-9, 1]", |q| (1e-9..=1.0).contains(&q))?,
                sigma: noise("noise_multiplier", *noise_multiplier)?,
            },
            Self::Laplace { scale } => Leaf::Laplace { scale: noise("scale", *scale)? },
            Self::DiscreteGaussian { sigma } => {
                Leaf::discrete_gaussian(within("sigma", *sigma, "[0.05, 1000]", |sigma| {
                    (0.05..=1000.0).contains(&sigma)
                })?)
            }
            Self::RandomizedResponse { epsilon, categories } => {
                within("categories", f64::from(*categories), "[2, 2^32)", |k| k >= 2.0)?;
                Leaf::response(small(*epsilon)?, f64::from(*categories), 0.0)
            }
            Self::Pure { epsilon } => Leaf::response(small(*epsilon)?, 2.0, 0.0),
            Self::Approximate { epsilon, delta } => Leaf::response(small(*epsilon)?, 2.0, delta.value()),
        };
        leaves.push((leaf, times));
        Ok(())
    }
}

fn small(epsilon: Epsilon) -> Result<f64, Error> {
    within("epsilon", epsilon.value(), "[1e-9, 100]", |epsilon| (1e-9..=100.0).contains(&epsilon))
}
