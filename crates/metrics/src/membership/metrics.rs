//! Metrics of membership scores: AUC, advantage, TPR at a fixed FPR.

use underpin_core::{About, Interval, Measurement, Metric, Quantity};

use super::scores::MembershipScores;
use crate::interval::{Proportion, auc, binomial_tail, difference, lower_bound};
use crate::roc::{RocPoint, roc};
use crate::scores::check_scores;
use crate::{Error, Setting};

/// Area under the ROC curve of a membership attack. Unit: probability; chance 1/2; lower is safer.
///
/// Interval by DeLong ([`auc`]).
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipAuc {
    /// What it is measured under.
    pub setting: Setting,
}

impl Metric<MembershipScores> for MembershipAuc {
    type Error = Error;

    fn measure(&self, scores: &MembershipScores) -> Result<Measurement, Error> {
        let (area, interval) = auc(&scores.members, &scores.others, self.setting.confidence)?;
        let measurement = self.setting.measurement(
            About::MembershipInference,
            Quantity::MembershipAuc,
            area,
            interval,
            count(scores),
        );
        Ok(Measurement { chance: Some(0.5), queries: Some(scores.queries), ..measurement })
    }
}

/// Where "member" begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Fixed beforehand.
    Fixed(f64),
    /// Chosen on every other sample for the samples between, and the other way round, so that no sample is judged by
    /// a threshold chosen on it.
    CrossFitted,
}

/// `TPR - FPR` of answering "member" when the score reaches the threshold.
///
/// Unit: difference, in `[-1, 1]`; chance 0; lower is safer. Interval for two independent fractions
/// ([`difference`]); with a cross-fitted threshold it holds for the two thresholds chosen.
///
/// # Source
///
/// Yeom, Giacomelli, Fredrikson and Jha, CSF 2018, definition 4.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipAdvantage {
    /// What it is measured under.
    pub setting: Setting,
    /// Where "member" begins.
    pub threshold: Threshold,
}

impl Metric<MembershipScores> for MembershipAdvantage {
    type Error = Error;

    fn measure(&self, scores: &MembershipScores) -> Result<Measurement, Error> {
        let MembershipScores { members, others, queries } = scores;
        check_scores(members, others)?;
        let (tpr, fpr) = match self.threshold {
            Threshold::Fixed(threshold) if threshold.is_nan() => {
                return Err(Error::out_of_range("threshold", threshold, "the numbers"));
            }
            Threshold::Fixed(threshold) => (reached(members, threshold), reached(others, threshold)),
            Threshold::CrossFitted => cross_fitted(members, others)?,
        };
        let interval = difference(tpr, fpr, self.setting.confidence)?;
        let (about, quantity) = (About::MembershipInference, Quantity::MembershipAdvantage);
        let value = tpr.value() - fpr.value();
        let measurement = self.setting.measurement(about, quantity, value, interval, count(scores));
        Ok(Measurement { chance: Some(0.0), queries: Some(*queries), ..measurement })
    }
}

/// Fraction of members found at a false-positive rate of at most `fpr`. Chance is `fpr`; lower is safer.
///
/// The point is the best threshold whose rate on these very others keeps to `fpr`. The interval allows for the
/// threshold being estimated. Of the `n` others `J ~ Bin(n, fpr)` lie beyond the true threshold, of the `m` members
/// `K ~ Bin(m, rate)`, independently; and `K` is what the scores show for `J`. So `P(J >= j)` and `P(K <= k)` are two
/// independent p-values: a rate is too high when Fisher's product of both is too small for every `j`, too low likewise
/// from the other side. No distribution is assumed; of tied scores either may be the larger.
///
/// # Guarantees
///
/// 1. The interval covers the rate at the true threshold with at least the stated confidence:
///    `tpr_at_fpr_covers_the_true_rate`.
///
/// # Source
///
/// Carlini et al., IEEE S&P 2022, section III-C; product of p-values: Fisher, Statistical Methods for Research Workers,
/// 4th edition 1932, section 21.1.
#[derive(Clone, Debug, PartialEq)]
pub struct TprAtFpr {
    /// What it is measured under.
    pub setting: Setting,
    /// The false-positive rate, in `(0, 1)`.
    pub fpr: f64,
}

impl Metric<MembershipScores> for TprAtFpr {
    type Error = Error;

    fn measure(&self, scores: &MembershipScores) -> Result<Measurement, Error> {
        if !(self.fpr > 0.0 && self.fpr < 1.0) {
            return Err(Error::out_of_range("fpr", self.fpr, "(0, 1)"));
        }
        let MembershipScores { members, others, queries } = scores;
        let allowed = |point: &&RocPoint| point.false_positives as f64 <= self.fpr * others.len() as f64;
        let points = roc(members, others)?;
        let found = points.iter().filter(allowed).map(|point| point.true_positives).max().unwrap_or(0);
        let value = found as f64 / members.len() as f64;
        let interval = self.interval(scores, value);
        let setting = self.setting.clone().with("fpr", self.fpr);
        let measurement =
            setting.measurement(About::MembershipInference, Quantity::TprAtFpr, value, interval, count(scores));
        Ok(Measurement { chance: Some(self.fpr), queries: Some(*queries), ..measurement })
    }
}

impl TprAtFpr {
    fn interval(&self, scores: &MembershipScores, value: f64) -> Interval {
        const NEARLY: f64 = 1.0 - 1e-12;
        let MembershipScores { members, others, .. } = scores;
        let (n, m) = (others.len() as u64, members.len() as u64);
        let mut falling = others.clone();
        falling.sort_by(|a, b| b.total_cmp(a));
        let least = fisher(0.5 * (1.0 - self.setting.confidence.value()));
        let (mut lower, mut upper) = (1.0_f64, 0.0_f64);
        for beyond_threshold in 0..=others.len() {
            let j = beyond_threshold as u64;
            // At most these members lie beyond a threshold that j others exceed, and at least those.
            let most = falling.get(beyond_threshold).map_or(m, |next| reached(members, *next).successes);
            let fewest = beyond_threshold.checked_sub(1).map_or(0, |last| beyond(members, falling[last]).successes);
            let (at_least, at_most) = (binomial_tail(j, n, self.fpr), binomial_tail(n - j, n, 1.0 - self.fpr));
            if at_least > least {
                upper = upper.max(1.0 - lower_bound(m - most, m, least / at_least));
            }
            if at_most > least {
                lower = lower.min(lower_bound(fewest, m, if at_most < NEARLY { least / at_most } else { least }));
            }
            if at_least <= least && at_most >= NEARLY {
                break; // further on, neither bound moves outward
            }
        }
        let upper = upper.next_up().min(1.0).max(value);
        Interval { lower: lower.min(value), upper, confidence: self.setting.confidence }
    }
}

/// The product of two independent p-values that is undercut with probability `tail`: `c (1 - ln c) = tail`, rounded
/// down.
fn fisher(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, tail);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle > 0.0 && middle * (1.0 - middle.ln()) > tail * (1.0 - 1e-9) { high = middle } else { low = middle }
    }
    low
}

fn count(scores: &MembershipScores) -> u64 {
    (scores.members.len() + scores.others.len()) as u64
}

fn reached(scores: &[f64], threshold: f64) -> Proportion {
    let successes = scores.iter().filter(|score| **score >= threshold).count() as u64;
    Proportion { successes, trials: scores.len() as u64 }
}

fn beyond(scores: &[f64], threshold: f64) -> Proportion {
    let successes = scores.iter().filter(|score| **score > threshold).count() as u64;
    Proportion { successes, trials: scores.len() as u64 }
}

/// Hits of each half at the threshold that is best on the other.
fn cross_fitted(members: &[f64], others: &[f64]) -> Result<(Proportion, Proportion), Error> {
    let fold = |scores: &[f64], parity: usize| -> Vec<f64> { scores.iter().skip(parity).step_by(2).copied().collect() };
    let mut total = [Proportion { successes: 0, trials: 0 }; 2];
    for parity in [0, 1] {
        let threshold = best_threshold(&fold(members, 1 - parity), &fold(others, 1 - parity))?;
        for (sum, group) in total.iter_mut().zip([members, others]) {
            let hits = reached(&fold(group, parity), threshold);
            sum.successes += hits.successes;
            sum.trials += hits.trials;
        }
    }
    Ok((total[0], total[1]))
}

/// The threshold with the largest `TPR - FPR`, the highest of equals.
fn best_threshold(members: &[f64], others: &[f64]) -> Result<f64, Error> {
    let advantage = |point: &RocPoint| {
        point.true_positives as f64 / members.len() as f64 - point.false_positives as f64 / others.len() as f64
    };
    let points = roc(members, others)?;
    let best = points.iter().rev().max_by(|a, b| advantage(a).total_cmp(&advantage(b)));
    Ok(best.map_or(f64::INFINITY, |point| point.threshold))
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
