//! Quantiles.

use opendp::metrics::SymmetricDistance;
use opendp::transformations::make_quantile_score_candidates;
use underpin_core::Epsilon;

use super::column::domain;
use super::price::checked;
use super::{Candidates, Column, Release, Statistics};
use crate::error::within;
use crate::{Error, NoisyMax, ScoreChange};

/// Resolution of α: multiples of `2^-13`, which OpenDP takes as they are.
const SHARES: f64 = 8192.0;

impl Statistics<'_> {
    /// The one of `candidates` nearest in rank to the `alpha`-quantile: 0.5 is the median.
    ///
    /// The score of a candidate is how far `(1 - alpha)` times the rows below it is from `alpha` times the rows above it;
    /// [`NoisyMax`] chooses. `alpha` is rounded to a multiple of `2^-13`. Infinities are below and above all candidates.
    ///
    /// # Source
    ///
    /// Smith, *Privacy-Preserving Statistical Estimation with Optimal Convergence Rates*, STOC 2011.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `alpha` lies in `[0, 1]`, and for an extreme `epsilon`, `[2^-26, 2^10]` is always
    /// allowed; [`Error::OverBudget`]; [`Error::Nothing`] under [`crate::Adjacency::Replace`] when there is no row.
    pub fn quantile(
        &mut self,
        column: &Column<f64>,
        alpha: f64,
        candidates: &Candidates,
        epsilon: Epsilon,
    ) -> Result<Release<f64>, Error> {
        let alpha = within("alpha", alpha, "[0, 1]", |alpha| (0.0..=1.0).contains(&alpha))?;
        let alpha = (alpha * SHARES).round() / SHARES;
        let rows = self.public_rows(column);
        if rows == Some(0) {
            return Err(Error::Nothing { what: "row to take a quantile of" });
        }
        let scores = checked(make_quantile_score_candidates(
            domain::<f64>(rows),
            SymmetricDistance,
            candidates.as_slice().to_vec(),
            alpha,
        ))?;
        let change = ScoreChange::Each(checked(scores.map(&self.distance()))?);
        let selection = NoisyMax::new(change, epsilon)?;
        self.release("quantile", selection.cost(), None, |stream| {
            // The lowest score is the best.
            let scores = checked(scores.invoke(column.values()))?;
            let lowest = scores.iter().min().copied().unwrap_or_default();
            let gaps: Vec<u64> = scores.iter().map(|score| score - lowest).collect();
            Ok(candidates.as_slice()[selection.select_by_gap(&gaps, stream)?])
        })
    }
}
