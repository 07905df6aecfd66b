//! What was done to the data, as an algebra, and what it costs.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::pld::{Composition, Leaf};
use crate::{Adjacency, Bounds, Error};

/// Largest gap between the bounds unless another is asked for, relative to the upper one.
pub(crate) const GAP: f64 = 0.01;

/// What was done to the data: mechanisms and their composition.
///
/// # Scales
///
/// A row contributes a vector of norm at most 1 (L2; L1 for Laplace noise; 0 or 1 for the discrete Gaussian), and scales
/// are in that unit: `noise_multiplier` is the noise's standard deviation over the clipping norm. The event says nothing
/// about neighbours; the question does. Under [`Adjacency::AddOrRemove`] and [`Adjacency::ZeroOut`] a sum changes by at
/// most 1, under [`Adjacency::Replace`] by at most 2. (Of a statistic that a replaced row changes by at most `Δ`, state
/// `2 σ / Δ`.) `RandomizedResponse`, `Pure` and `Approximate` hold under the relation that is asked about.
///
/// # Guarantees
///
/// Composition is of mechanisms chosen one after the other, each with the answers before it (Zhu, Dong and Wang 2022,
/// Theorem 10: dominating pairs compose), all on neighbours in the same direction; the larger direction counts.
///
/// 1. The bounds of [`epsilon`](Self::epsilon) and [`delta`](Self::delta) enclose what the composition of the worst pairs
///    costs (`mixtures_enclose_the_peers`, `closed_forms_lie_within`, `one_laplace_lies_within`).
/// 2. `SubsampledGaussian`, a row added or removed: the worst pairs are `(1-q) N(0) + q N(1)` and `N(0)`, and the reverse
///    (Zhu, Dong and Wang 2022, Theorem 11; `one_step_encloses_its_closed_form`).
/// 3. `SubsampledGaussian`, a row replaced: `(1-q) N(0) + q N(1)` and `(1-q) N(0) + q N(-1)`
///    (`no_replacement_costs_more_than_the_opposite`, `swapped_encloses_its_closed_form`).
/// 4. `FixedSizeGaussian`, a row added or removed: as 2 with twice the sensitivity, since the row takes another's place in
///    the sample (`fixed_size_samples_count_twice_the_sensitivity`).
/// 5. `FixedSizeGaussian`, a row replaced: at ratios above 1 the curve of `(1-q) N(0) + q N(2)` over `N(0)`, below 1 that
///    of the reverse (Zhu, Dong and Wang 2022; Lebeda, Regehr, Kamath and Steinke 2024): the upper
///    bound's. Each half belongs to other rows, and no rows are known that have both: the lower bound is that of the
///    first, the gap is what is not known, and composing the first alone would not be proven
///    (`either_direction_of_a_fixed_size_sample_is_covered`).
/// 6. Shuffled batches are not accounted as Poisson samples (`shuffling_amplifies_nothing`).
///
/// Why 3, 4 and 5: couple the samples of both data sets, so that they differ in the changed row only. Given the others,
/// the outputs are `P = (1-q) N(0) + q N(u)` and `Q = (1-q) N(0) + q N(v)` about a common centre. Let `h` be the
/// hockey-stick divergence at `α >= 1`, `E(L)+` of `L = q Y_u - α q Y_v - (α-1)(1-q)`, `Y` the densities relative to
/// `N(0)`. Along a path of `u` and `v`, `dh = Σ -½ c_i c_j E[Y_i Y_j δ(L)] d|i - j|²/σ²` over the pairs of 0, `u`, `v`,
/// `c` the coefficients (Kahane 1986): `h` rises with `|u|` and `|u - v|`, and falls as `|v|` rises. Poisson sampling has
/// `|u|, |v| <= 1`: turn `v` opposite to `u`, lengthen `u` to 1; lengthening `v` too, `q Y_u >= (α-1)(1-q)` where `L = 0`
/// makes the rise by `|u - v|` outweigh the fall. Fixed size replaces a row `y` of the sample: `u = x - y`, `v = x' - y`,
/// all differences at most 2, and `h` is greatest at `|u| = |u - v| = 2`, `v = 0`. For `α < 1` read the pair backwards.
/// Mixing over the other rows adds nothing, the divergence being jointly convex.
///
/// # Limits
///
/// The lower bound is that of the worst pair named by each event; a mechanism known to be ε-private only may cost less.
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::{Adjacency, Event};
///
/// let done = Event::Composed(vec![
///     Event::Laplace { scale: 10.0 },
///     Event::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.1 }.repeated(1_000),
/// ]);
/// let spent = done.epsilon(Delta::new(1e-5)?, Adjacency::AddOrRemove)?;
/// assert!(spent.lower <= spent.upper && spent.upper < 1.8);
/// let replaced = done.epsilon(Delta::new(1e-5)?, Adjacency::Replace)?;
/// assert!(replaced.lower > spent.upper);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Nothing.
    None,
    /// Gaussian noise on a sum of all rows.
    Gaussian {
        /// Standard deviation over the norm of one row.
        noise_multiplier: f64,
    },
    /// Laplace noise on a sum of all rows.
    Laplace {
        /// Scale b over the norm of one row.
        scale: f64,
    },
    /// Discrete Gaussian noise on an integer sum of all rows ([`crate::DiscreteGaussian`]).
    DiscreteGaussian {
        /// σ.
        sigma: f64,
    },
    /// A category reported truly with probability `e^ε / (e^ε + categories - 1)`, else any other one.
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
    /// The Gaussian mechanism on a sample of fixed size, drawn without replacement and independently of those before.
    ///
    /// Neighbours with a row more have `rows + 1`; no rows than the batch needs are left by removing one.
    FixedSizeGaussian {
        /// Rows in the sample, at least 1.
        batch_size: u64,
        /// Rows in all, at least `batch_size`.
        rows: u64,
        /// Standard deviation over clipping norm (not over the sensitivity, which is twice the clipping norm).
        noise_multiplier: f64,
    },
    /// One epoch of the Gaussian mechanism over shuffled, disjoint batches: each row is in one batch of it.
    ///
    /// Accounted as what it is known to be, one Gaussian mechanism without amplification, where the number of rows is
    /// public: given the order, a row enters one release, and the others are made from it. Where a row more or less
    /// shifts the batches it is refused. Shuffled batches accounted as if they were Poisson samples state an ε that is
    /// too small (Chua, Ghazi, Kamath, Kumar, Manurangsi, Sinha and Zhang 2024).
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

    /// ε at `delta`, from both sides, within 1 % of the upper one: [`epsilon_within`](Self::epsilon_within).
    ///
    /// # Errors
    ///
    /// As for [`epsilon_within`](Self::epsilon_within).
    pub fn epsilon(&self, delta: Delta, adjacency: Adjacency) -> Result<Bounds, Error> {
        self.epsilon_within(delta, adjacency, GAP)
    }

    /// ε at `delta`, from both sides, no further apart than `gap` of the upper one where that can be had.
    ///
    /// [`Bounds::gap`] returns whether it was reached. It is not where the losses span so much more than their finest part
    /// that 2^21 lattice points do not hold both, nor for a [`FixedSizeGaussian`](Self::FixedSizeGaussian) under
    /// [`Adjacency::Replace`]; the upper bound is then never above the Rényi accountant's.
    ///
    /// Takes at most some 300 MB.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a parameter out of range, more than 2^53 repetitions, or unless `gap` lies in
    /// `[1e-4, 1]`; [`Error::Unaccounted`] where nothing is proven under the relation; [`Error::OutOfReach`] when no
    /// lattice is long enough and no Rényi bound is known.
    pub fn epsilon_within(&self, delta: Delta, adjacency: Adjacency, gap: f64) -> Result<Bounds, Error> {
        let gap = within("gap", gap, "[1e-4, 1]", |gap| (1e-4..=1.0).contains(&gap))?;
        self.composition(adjacency)?.epsilon(delta.value(), gap).ok_or(Error::OutOfReach)
    }

    /// δ at `epsilon` (0 allowed), from both sides, within 1 % of the upper one where that can be had.
    ///
    /// # Errors
    ///
    /// As for [`epsilon_within`](Self::epsilon_within); [`Error::OutOfRange`] unless `epsilon` is finite and not negative.
    pub fn delta(&self, epsilon: f64, adjacency: Adjacency) -> Result<Bounds, Error> {
        let epsilon = within("epsilon", epsilon, "[0, inf)", |epsilon| epsilon >= 0.0 && epsilon.is_finite())?;
        self.composition(adjacency)?.delta(epsilon, GAP).ok_or(Error::OutOfReach)
    }

    /// The upper bound on ε by the Rényi accountant alone (Mironov 2017; converted by Canonne, Kamath and Steinke 2020);
    /// infinite with an event that gives all away now and then ([`Event::Approximate`]).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] and [`Error::Unaccounted`] as for [`epsilon_within`](Self::epsilon_within).
    pub fn renyi_epsilon(&self, delta: Delta, adjacency: Adjacency) -> Result<f64, Error> {
        Ok(self.composition(adjacency)?.renyi_epsilon(delta.value()))
    }

    /// The Rényi divergence of order `order`, whole or fractional, from above, the larger of both directions.
    ///
    /// Exact to rounding for all but: `DiscreteGaussian` (that of the Gaussian), and under [`Adjacency::Replace`]
    /// `SubsampledGaussian` and `FixedSizeGaussian` (upper bounds derived in the source).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `order` lies in `(1, 4096]`, and as for [`renyi_epsilon`](Self::renyi_epsilon).
    pub fn renyi_divergence(&self, order: f64, adjacency: Adjacency) -> Result<f64, Error> {
        let order = within("order", order, "(1, 4096]", |order| order > 1.0 && order <= 4096.0)?;
        Ok(self.composition(adjacency)?.renyi_divergence(order))
    }

    /// An upper bound on ε, at least that of [`epsilon`](Self::epsilon) and at most a little above it.
    pub(crate) fn upper(&self, delta: Delta, adjacency: Adjacency) -> Result<f64, Error> {
        Ok(self.composition(adjacency)?.upper(delta.value(), GAP))
    }

    /// Whether it is in range and accounted under the relation.
    pub(crate) fn check(&self, adjacency: Adjacency) -> Result<(), Error> {
        self.composition(adjacency).map(drop)
    }

    fn composition(&self, adjacency: Adjacency) -> Result<Composition, Error> {
        let mut leaves = Vec::new();
        self.gather(1, adjacency, &mut leaves)?;
        Ok(Composition::new(leaves))
    }

    fn gather(&self, times: u64, adjacency: Adjacency, leaves: &mut Vec<(Leaf, u64)>) -> Result<(), Error> {
        // What a row changes a sum by.
        let sensitivity = if adjacency == Adjacency::Replace { 2.0 } else { 1.0 };
        let leaf = match self {
            Self::None | Self::Repeated(_, 0) => return Ok(()),
            Self::Composed(events) => {
                return events.iter().try_for_each(|event| event.gather(times, adjacency, leaves));
            }
            Self::Repeated(event, count) => {
                let total = within("repetitions", times as f64 * *count as f64, "[0, 2^53]", |n| n <= 9e15)?;
                return event.gather(total as u64, adjacency, leaves);
            }
            Self::Gaussian { noise_multiplier } => {
                Leaf::Gaussian { rate: 1.0, sigma: noise("noise_multiplier", *noise_multiplier)? / sensitivity }
            }
            Self::ShuffledGaussian { noise_multiplier } => shuffled(*noise_multiplier, sensitivity, adjacency)?,
            Self::SubsampledGaussian { sampling_rate, noise_multiplier } => {
                let rate = within("sampling_rate", *sampling_rate, "[1e-9, 1]", |q| (1e-9..=1.0).contains(&q))?;
                let sigma = noise("noise_multiplier", *noise_multiplier)?;
                match adjacency {
                    Adjacency::Replace if rate < 1.0 => Leaf::Swapped { rate, sigma },
                    _ => Leaf::Gaussian { rate, sigma: sigma / sensitivity },
                }
            }
            Self::FixedSizeGaussian { batch_size, rows, noise_multiplier } => {
                fixed_size(*batch_size, *rows, *noise_multiplier, adjacency)?
            }
            Self::Laplace { scale } => Leaf::Laplace { scale: noise("scale", *scale)? / sensitivity },
            Self::DiscreteGaussian { sigma } => {
                let sigma = within("sigma", *sigma, "[0.05, 1000]", |sigma| (0.05..=1000.0).contains(&sigma))?;
                Leaf::discrete_gaussian(sigma, sensitivity)
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

fn noise(name: &'static str, value: f64) -> Result<f64, Error> {
    within(name, value, "[0.05, 1000000]", |value| (0.05..=1e6).contains(&value))
}

fn small(epsilon: Epsilon) -> Result<f64, Error> {
    within("epsilon", epsilon.value(), "[1e-9, 100]", |epsilon| (1e-9..=100.0).contains(&epsilon))
}

fn shuffled(noise_multiplier: f64, sensitivity: f64, adjacency: Adjacency) -> Result<Leaf, Error> {
    if adjacency == Adjacency::AddOrRemove {
        let reason = "a row more or less shifts the shuffled batches, and they are not Poisson samples (Chua et al. 2024); \
                      ask about replace-one or zero-out-one";
        return Err(Error::Unaccounted { event: "ShuffledGaussian", adjacency, reason });
    }
    Ok(Leaf::Gaussian { rate: 1.0, sigma: noise("noise_multiplier", noise_multiplier)? / sensitivity })
}

fn fixed_size(batch_size: u64, rows: u64, noise_multiplier: f64, adjacency: Adjacency) -> Result<Leaf, Error> {
    within("rows", rows as f64, "[1, 2^53]", |rows| (1.0..=9e15).contains(&rows))?;
    within("batch_size", batch_size as f64, "[1, rows]", |_| (1..=rows).contains(&batch_size))?;
    let range = "[0.1, 1000000]";
    let sigma = within("noise_multiplier", noise_multiplier, range, |sigma| (0.1..=1e6).contains(&sigma))? / 2.0;
    // From above: a higher rate costs more.
    let rate = (batch_size as f64 / rows as f64 * (1.0 + 2.0 * f64::EPSILON)).min(1.0);
    within("batch_size / rows", rate, "[1e-9, 1]", |rate| rate >= 1e-9)?;
    match adjacency {
        Adjacency::Replace if rate < 1.0 => Ok(Leaf::FixedSize { rate, sigma }),
        Adjacency::AddOrRemove | Adjacency::Replace => Ok(Leaf::Gaussian { rate, sigma }),
        Adjacency::ZeroOut => Err(Error::Unaccounted {
            event: "FixedSizeGaussian",
            adjacency,
            reason: "no tight pair is known; ask about replace-one, which covers it",
        }),
    }
}
