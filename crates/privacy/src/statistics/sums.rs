//! Counts of all rows, sums and means.

use opendp::core::{Function, StabilityMap, Transformation};
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::error::Fallible;
use opendp::metrics::{AbsoluteDistance, SymmetricDistance};
use opendp::transformations::{make_clamp, make_count, make_sum};
use underpin_core::Epsilon;

use super::column::{Value, domain};
use super::price::{checked, laplace};
use super::{Column, Interval, Release, Statistics};
use crate::{Cost, Error};

/// Binary logarithm of the grid's resolution: values have magnitudes of at most `2^24` steps.
const STEP_BITS: i32 = 24;

/// Sums of values on a grid, by OpenDP.
pub(super) struct GridSum {
    /// From values to their sum, in steps.
    pub(super) sum:
        Transformation<VectorDomain<AtomDomain<f64>>, SymmetricDistance, AtomDomain<i64>, AbsoluteDistance<i64>>,
    /// Width of a step: a power of two.
    pub(super) step: f64,
}

impl GridSum {
    /// The sum of values clamped to `interval`; of so many `rows`, if that is public.
    pub(super) fn new(interval: Interval, rows: Option<usize>) -> Fallible<Self> {
        let step = step(interval.lower().abs().max(interval.upper().abs()));
        let to_step = move |value: f64| (value / step).round() as i64;
        Self::of(rows, step, to_step, (to_step(interval.lower()), to_step(interval.upper())))
    }

    /// The sum of the distances of values, clamped to `interval`, from its middle.
    fn centred(interval: Interval, rows: Option<usize>) -> Fallible<Self> {
        let half = interval.upper() / 2.0 - interval.lower() / 2.0;
        let step = step(half);
        let to_step = move |value: f64| {
            ((value.clamp(interval.lower(), interval.upper()) - interval.middle()) / step).round() as i64
        };
        let reach = (half / step).ceil() as i64;
        Self::of(rows, step, to_step, (-reach, reach))
    }

    /// Values to integers row by row, clamped to `ends`, added up.
    fn of(rows: Option<usize>, step: f64, to_step: impl Fn(f64) -> i64 + 'static, ends: (i64, i64)) -> Fallible<Self> {
        let (values, steps) = (domain::<f64>(rows), domain::<i64>(rows));
        let on_grid = Transformation::new(
            values,
            SymmetricDistance,
            steps.clone(),
            SymmetricDistance,
            Function::new(move |values: &Vec<f64>| values.iter().map(|value| to_step(*value)).collect()),
            // Row by row: what is added or removed stays so.
            StabilityMap::new_from_constant(1),
        )?;
        let clamp = make_clamp(steps, SymmetricDistance, ends)?;
        let sum = make_sum::<SymmetricDistance, i64>(clamp.output_domain.clone(), SymmetricDistance)?;
        Ok(Self { sum: ((on_grid >> clamp)? >> sum)?, step })
    }
}

impl Statistics<'_> {
    /// The number of rows. May come out negative.
    ///
    /// # Errors
    ///
    /// [`Error::Public`] under [`crate::Adjacency::Replace`]; [`Error::OverBudget`]; [`Error::OutOfRange`] when `epsilon` is
    /// below `2^-40` or above `2^10`.
    pub fn count<T: Value>(&mut self, column: &Column<T>, epsilon: Epsilon) -> Result<Release<i64>, Error> {
        if self.public_rows(column).is_some() {
            return Err(Error::Public { what: "the number of rows" });
        }
        let count = checked(make_count::<T, i64>(domain(None), SymmetricDistance))?;
        let sensitivity = checked(count.map(&self.distance()))?;
        let counts =
            self.with_laplace("count", sensitivity, epsilon, || Ok(vec![checked(count.invoke(column.values()))?]))?;
        Ok(Release { value: counts.value[0], cost: counts.cost, scale: counts.scale })
    }

    /// The sum of the values, each clamped to `interval` and rounded to `2^-24` of the interval's larger end.
    ///
    /// Sensitivity: the larger of the ends' magnitudes; under [`crate::Adjacency::Replace`] the interval's width.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]; [`Error::OutOfRange`] for an extreme `epsilon`; `[2^-14, 2^10]` is always allowed.
    pub fn sum(&mut self, column: &Column<f64>, interval: Interval, epsilon: Epsilon) -> Result<Release<f64>, Error> {
        let GridSum { sum, step } = checked(GridSum::new(interval, self.public_rows(column)))?;
        let sensitivity = checked(sum.map(&self.distance()))?;
        let sums =
            self.with_laplace("sum", sensitivity, epsilon, || Ok(vec![checked(sum.invoke(column.values()))?]))?;
        Ok(Release { value: sums.value[0] as f64 * step, cost: sums.cost, scale: sums.scale.map(|scale| scale * step) })
    }

    /// The mean of the values, each clamped to `interval`; lies in it.
    ///
    /// The noisy sum of the distances from the interval's middle, over the noisy number of rows, half of `epsilon` spent
    /// on each; under [`crate::Adjacency::Replace`] the number is public and all of `epsilon` goes to the sum. Of few
    /// rows, it is mostly noise.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]; [`Error::OutOfRange`] for an extreme `epsilon`, `[2^-14, 2^10]` is always allowed;
    /// [`Error::Nothing`] under [`crate::Adjacency::Replace`] when there is no row.
    pub fn mean(&mut self, column: &Column<f64>, interval: Interval, epsilon: Epsilon) -> Result<Release<f64>, Error> {
        let rows = self.public_rows(column);
        if rows == Some(0) {
            return Err(Error::Nothing { what: "row to take the mean of" });
        }
        let GridSum { sum, step } = checked(GridSum::centred(interval, rows))?;
        let sensitivity = checked(sum.map(&self.distance()))?;
        let mean = |sum: i64, rows: f64| {
            (interval.middle() + sum as f64 * step / rows.max(1.0)).clamp(interval.lower(), interval.upper())
        };
        if let Some(rows) = rows {
            let sums =
                self.with_laplace("mean", sensitivity, epsilon, || Ok(vec![checked(sum.invoke(column.values()))?]))?;
            return Ok(Release { value: mean(sums.value[0], rows as f64), cost: sums.cost, scale: None });
        }
        let half = Epsilon::new(epsilon.value() / 2.0).unwrap_or(epsilon);
        let count = checked(make_count::<f64, i64>(domain(None), SymmetricDistance))?;
        let (for_sum, sum_spends) = laplace(sensitivity, half)?;
        let (for_count, count_spends) = laplace(checked(count.map(&self.distance()))?, half)?;
        self.release("mean", Cost::Pure(total(sum_spends, count_spends)), None, |stream| {
            let sum = checked(sum.invoke(column.values()))?.saturating_add(for_sum.sample(stream));
            let rows = checked(count.invoke(column.values()))?.saturating_add(for_count.sample(stream));
            Ok(mean(sum, rows as f64))
        })
    }
}

/// The sum of two ε, rounded up.
fn total(one: Epsilon, other: Epsilon) -> Epsilon {
    // OK because each is at most 2^11.
    Epsilon::new((one.value() + other.value()).next_up()).expect("invariant: two finite epsilons")
}

/// The power of two of which `magnitude` is at most `2^24`.
fn step(magnitude: f64) -> f64 {
    // OK because 1e-101 <= magnitude <= 1e100.
    let exponent = magnitude.log2().floor() as i32 + 2;
    2f64.powi(exponent - STEP_BITS)
}
