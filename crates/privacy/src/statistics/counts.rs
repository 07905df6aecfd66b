//! Counts by category.

use opendp::metrics::{L1Distance, SymmetricDistance};
use opendp::transformations::{make_count_by, make_count_by_categories};
use underpin_core::{Delta, Epsilon};

use super::column::{Value, domain};
use super::price::{checked, laplace, threshold};
use super::{Categories, Category, Column, Release, Statistics, add_to_each};
use crate::{Cost, Error, NoisyMax, ScoreChange};

impl Statistics<'_> {
    /// How many rows each of `categories` has, in their order; rows of other categories are not counted. A count may come
    /// out negative.
    ///
    /// Sensitivity (L1): 1; under [`crate::Adjacency::Replace`] 2.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]; [`Error::OutOfRange`] for an extreme `epsilon`; `[2^-39, 2^10]` is always allowed.
    pub fn histogram<T: Category + Value>(
        &mut self,
        column: &Column<T>,
        categories: &Categories<T>,
        epsilon: Epsilon,
    ) -> Result<Release<Vec<i64>>, Error> {
        let counts = checked(make_count_by_categories::<L1Distance<i64>, T, i64>(
            domain(self.public_rows(column)),
            SymmetricDistance,
            categories.as_slice().to_vec(),
            false,
        ))?;
        let sensitivity = checked(counts.map(&self.distance()))?;
        self.with_laplace("histogram", sensitivity, epsilon, || checked(counts.invoke(column.values())))
    }

    /// Categories that are not known before, with their noisy counts, the most frequent first: those only whose noisy
    /// count reaches a threshold, so that a category of one row is published with probability at most `delta`
    /// (stability-based histogram).
    ///
    /// The threshold is about `1 + ln(1/delta) / epsilon` rows. The first `k` of the answer are a top-k that costs no
    /// more.
    ///
    /// # Source
    ///
    /// Korolova, Kenthapadi, Mishra and Ntoulas, WWW 2009; Bun, Nissim and Stemmer, *Simultaneous Private Learning of
    /// Multiple Concepts*, 2016, Theorem 3.5; Rogers, *A Unifying Privacy Analysis Framework for Unknown Domain
    /// Algorithms*, 2023.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]; [`Error::OutOfRange`] for an extreme `epsilon`; `[2^-39, 2^10]` is always allowed.
    pub fn frequent<T: Category + Value>(
        &mut self,
        column: &Column<T>,
        epsilon: Epsilon,
        delta: Delta,
    ) -> Result<Release<Vec<(T, i64)>>, Error> {
        let counts = checked(make_count_by::<T, i64>(domain(self.public_rows(column)), SymmetricDistance))?;
        // Categories changed, rows changed in all of them, rows changed in one.
        let (keys, rows, in_one) = checked(counts.map(&self.distance()))?;
        let (noise, spent) = laplace(rows, epsilon)?;
        // OK because neighbours are at most two rows apart.
        let (threshold, passed) = threshold(noise, keys, in_one as u32, delta)?;
        self.release("frequent", Cost::Approximate { epsilon: spent, delta: passed }, Some(noise.scale()), |stream| {
            let mut counts: Vec<_> = checked(counts.invoke(column.values()))?.into_iter().collect();
            // A hash map's order is no one's; the noise must not follow it.
            counts.sort_unstable();
            let (keys, exact): (Vec<T>, Vec<i64>) = counts.into_iter().unzip();
            let noisy = add_to_each(exact, noise, stream);
            let mut kept: Vec<_> = keys.into_iter().zip(noisy).filter(|(_, count)| *count >= threshold).collect();
            kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            Ok(kept)
        })
    }

    /// The `k` of `categories` with the most rows, the most frequent first: `k` times [`NoisyMax`], each at `epsilon / k`,
    /// of those not yet chosen (peeling).
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]; [`Error::OutOfRange`] unless `k` lies between 1 and the number of categories, and for an
    /// extreme `epsilon / k`; `[2^-39, 2^10]` is always allowed.
    pub fn top_k<T: Category + Value>(
        &mut self,
        column: &Column<T>,
        categories: &Categories<T>,
        k: usize,
        epsilon: Epsilon,
    ) -> Result<Release<Vec<T>>, Error> {
        let all = categories.as_slice();
        crate::error::within("k", k as f64, "[1, categories]", |_| (1..=all.len()).contains(&k))?;
        let counts = checked(make_count_by_categories::<L1Distance<i64>, T, i64>(
            domain(self.public_rows(column)),
            SymmetricDistance,
            all.to_vec(),
            false,
        ))?;
        // The difference of two counts moves by no more than all counts together.
        let change = ScoreChange::Range(checked(counts.map(&self.distance()))?.unsigned_abs());
        let fraction = Epsilon::new(epsilon.value() / k as f64 * (1.0 - 4.0 * f64::EPSILON)).unwrap_or(epsilon);
        let selection = NoisyMax::new(change, fraction)?;
        let whole = fraction.value() * k as f64 * (1.0 + f64::EPSILON);
        let cost = Cost::Pure(Epsilon::new(whole).unwrap_or(epsilon));
        self.release("top_k", cost, None, |stream| {
            let mut counts = checked(counts.invoke(column.values()))?;
            let mut left: Vec<&T> = all.iter().collect();
            (0..k)
                .map(|_| {
                    let chosen = selection.select(&counts, stream)?;
                    counts.remove(chosen);
                    Ok(left.remove(chosen).clone())
                })
                .collect()
        })
    }
}
