//! Statistics over data sets, each paid for before it is worked out.

mod column;
mod counts;
mod price;
mod quantile;
mod sums;

pub use column::{Candidates, Categories, Category, Column, Interval};

use underpin_core::Epsilon;

use crate::{Adjacency, Budget, Cost, DiscreteLaplace, Error, SecretKey, SecretStream};

/// A noisy value, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Release<T> {
    /// The value; may be published.
    pub value: T,
    /// What was spent on it.
    pub cost: Cost,
    /// Scale `b` of the discrete Laplace noise in each number of `value`, in its unit: standard deviation about `√2 b`.
    /// None where noise enters otherwise: mean, quantile, top-k.
    pub scale: Option<f64>,
}

/// Noisy statistics of columns of one data set, all paid for by one [`Budget`].
///
/// Each row is one person's; it holds one value of each column. What one row may change is the [`Adjacency`] of the
/// budget's [`crate::BudgetTerms`], so that sensitivities and budget cannot differ:
///
/// | adjacency | data sets compared | number of rows |
/// |---|---|---|
/// | `AddOrRemove` | one row more or less | secret, has to be asked for |
/// | `ZeroOut` | one row contributes or does not; columns hold the rows that contribute | their number is secret |
/// | `Replace` | one row has other values | public |
///
/// # Guarantees
///
/// 1. Each answer is private as its cost says, under the adjacency (`sensitivities_are_those_worked_out_by_hand`,
///    `neighbours_are_hard_to_tell_apart`), and costs at most what was allowed for it (`no_release_costs_more_than_asked`).
/// 2. The cost is reserved before the data is touched; a cost that does not fit leaves nothing spent and nothing
///    computed (`what_does_not_fit_is_not_computed`).
/// 3. Values out of their [`Interval`] count as its nearer end, and real values are rounded to a grid row by row, before
///    any sum: sums are sums of bounded integers, exact up to 2^38 rows, without floating-point error to account for
///    (`sums_are_exact_on_the_grid`).
/// 4. Noise is added to integers, drawn exactly, from the key (`DiscreteLaplace`, `NoisyMax`); the same key, data and
///    questions give the same answers (`the_same_key_gives_the_same_answers`).
///
/// # What is OpenDP's and what is not
///
/// Domains, clamping, counting, summing, scores of quantiles, and the stability and privacy maps are those of OpenDP
/// 0.16. No random bit is: without OpenSSL, OpenDP draws from rand 0.7's `thread_rng`, which its source calls
/// non-secure. The samplers here draw the same laws from AES in counter mode (`tests/oracle.rs` compares). The threshold of
/// [`frequent`](Self::frequent) is our own: OpenDP 0.16 publishes counts that reach the threshold and bounds the
/// probability of passing it, and so states a δ up to twice too small (`opendp_understates_its_delta`).
///
/// # Limits
///
/// The key must be used for one `Statistics` alone: with two, two answers have the same noise, and their difference has
/// none. The data set must not change between two answers, else the cost is that of whatever changed. Refusing a NaN
/// when a [`Column`] is made reveals that there is one: clean before. Time taken is not hidden.
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::statistics::{Categories, Column, Interval, Statistics};
/// use underpin_privacy::{Budget, SecretKey};
///
/// let ages = Column::new(vec![34.0, 51.5, 28.0, 47.0])?;
/// let colours = Column::new(["red", "blue", "red", "red"].map(String::from).to_vec())?;
///
/// let budget = Budget::new(Epsilon::new(2.0)?, Delta::new(1e-6)?)?;
/// let mut statistics = Statistics::new(&budget, SecretKey::from_os()?);
/// let epsilon = Epsilon::new(0.2)?;
/// let mean = statistics.mean(&ages, Interval::new(0.0, 120.0)?, epsilon)?;
/// let counts = statistics.histogram(&colours, &Categories::new(["red", "blue"].map(String::from).to_vec())?, epsilon)?;
/// println!("about {} years, about {:?}; {} of the budget is left", mean.value, counts.value, budget.left());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Statistics<'a> {
    budget: &'a Budget,
    key: SecretKey,
    releases: u64,
}

impl<'a> Statistics<'a> {
    /// Answers paid for by `budget`, the noise drawn from `key`.
    pub const fn new(budget: &'a Budget, key: SecretKey) -> Self {
        Self { budget, key, releases: 0 }
    }

    /// What counts as neighbours: what the budget says.
    pub const fn adjacency(&self) -> Adjacency {
        self.budget.terms().adjacency
    }

    /// Distance of neighbours in rows added and removed (OpenDP's symmetric distance).
    const fn distance(&self) -> u32 {
        match self.adjacency() {
            Adjacency::AddOrRemove | Adjacency::ZeroOut => 1,
            Adjacency::Replace => 2,
        }
    }

    /// The number of rows, where neighbours have the same.
    fn public_rows<T>(&self, column: &Column<T>) -> Option<usize> {
        match self.adjacency() {
            Adjacency::AddOrRemove | Adjacency::ZeroOut => None,
            Adjacency::Replace => Some(column.len()),
        }
    }

    /// Reserves `cost`, under the statistic's name in the budget's record, then answers.
    fn release<T>(
        &mut self,
        name: &str,
        cost: Cost,
        scale: Option<f64>,
        answer: impl FnOnce(&mut SecretStream) -> Result<T, Error>,
    ) -> Result<Release<T>, Error> {
        let reservation = self.budget.reserve_for(name, cost)?;
        self.releases += 1;
        let mut stream = self.key.stream("statistic", &[&self.releases.to_le_bytes()]);
        let value = reservation.answer(|| answer(&mut stream))?;
        Ok(Release { value, cost, scale })
    }

    /// Adds noise for `sensitivity` (L1) to the integers that `exact` works out.
    fn with_laplace(
        &mut self,
        name: &str,
        sensitivity: i64,
        epsilon: Epsilon,
        exact: impl FnOnce() -> Result<Vec<i64>, Error>,
    ) -> Result<Release<Vec<i64>>, Error> {
        let (noise, spent) = price::laplace(sensitivity, epsilon)?;
        self.release(name, Cost::Pure(spent), Some(noise.scale()), |stream| Ok(add_to_each(exact()?, noise, stream)))
    }
}

fn add_to_each(mut values: Vec<i64>, noise: DiscreteLaplace, stream: &mut SecretStream) -> Vec<i64> {
    for value in &mut values {
        *value = value.saturating_add(noise.sample(stream));
    }
    values
}

#[cfg(test)]
mod tests;
