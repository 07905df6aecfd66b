//! Confidence intervals for fractions (proportions) and their differences.

use underpin_core::{Confidence, Interval};

use super::beta::{normal_quantile, regularised, relative_error};
use crate::Error;

/// Exact interval for the fraction of successes; covers the true fraction with at least the stated confidence.
///
/// Two-sided, each tail half of `1 - confidence`. Ends lie in `[0, 1]`; no success gives 0 below, no failure 1 above.
///
/// # Guarantees
///
/// 1. The ends are never inside the exact ones, floating point included: `clopper_pearson_rounds_outward`.
///
/// # Errors
///
/// [`Error::NoObservations`] without a trial, [`Error::OutOfRange`] with more successes than trials.
///
/// # Source
///
/// Clopper and Pearson, Biometrika 1934.
///
/// # Examples
///
/// ```
/// use underpin_core::Confidence;
/// use underpin_metrics::interval::clopper_pearson;
///
/// let interval = clopper_pearson(5, 10, Confidence::new(0.95)?)?;
/// assert!((interval.lower - 0.187086).abs() < 1e-6 && (interval.upper - 0.812914).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn clopper_pearson(successes: u64, trials: u64, confidence: Confidence) -> Result<Interval, Error> {
    check(successes, trials)?;
    let tail = 0.5 * (1.0 - confidence.value());
    Ok(Interval {
        lower: lower_bound(successes, trials, tail),
        upper: (1.0 - lower_bound(trials - successes, trials, tail)).next_up().min(1.0),
        confidence,
    })
}

/// The fraction that is exceeded with all but probability `tail`: the exact one-sided lower bound, rounded down.
pub(crate) fn lower_bound(successes: u64, trials: u64, tail: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    let (a, b) = (successes as f64, (trials - successes) as f64 + 1.0);
    let target = tail * (1.0 - 2.0 * relative_error(a, b));
    let (mut low, mut high) = (0.0, a / trials as f64);
    while high - low > f64::EPSILON * high {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if regularised(middle, a, b) <= target {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.next_down().max(0.0)
}

/// `P(X >= at_least)` of a binomial variable.
pub(crate) fn binomial_tail(at_least: u64, trials: u64, probability: f64) -> f64 {
    if at_least == 0 {
        1.0
    } else if at_least > trials {
        0.0
    } else {
        regularised(probability, at_least as f64, (trials - at_least) as f64 + 1.0)
    }
}

/// Successes among trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials.
    pub trials: u64,
}

impl Proportion {
    /// Counts `true`.
    pub fn of(trials: &[bool]) -> Self {
        Self { successes: trials.iter().filter(|success| **success).count() as u64, trials: trials.len() as u64 }
    }

    /// The fraction itself; NaN without a trial.
    pub fn value(self) -> f64 {
        self.successes as f64 / self.trials as f64
    }
}

/// Interval for the fraction of `first` less the fraction of `second`, two independent samples.
///
/// # Errors
///
/// As [`clopper_pearson`], for either fraction.
///
/// # Source
///
/// Newcombe, Statistics in Medicine 17:873, 1998, method 10 (hybrid score); approximate coverage.
pub fn difference(first: Proportion, second: Proportion, confidence: Confidence) -> Result<Interval, Error> {
    hybrid(first, second, 0.0, confidence)
}

/// Interval for the fraction of `true` in `first` less that in `second`, where position `i` of both is the same sample.
///
/// # Errors
///
/// [`Error::Length`] when the lists differ in length, [`Error::NoObservations`] when they are empty.
///
/// # Source
///
/// Newcombe, Statistics in Medicine 17:2635, 1998, method 10 (hybrid score with correlation); approximate coverage.
pub fn paired_difference(first: &[bool], second: &[bool], confidence: Confidence) -> Result<Interval, Error> {
    if first.len() != second.len() {
        return Err(Error::Length { name: "paired observations", expected: first.len(), found: second.len() });
    }
    hybrid(Proportion::of(first), Proportion::of(second), correlation(first, second), confidence)
}

fn check(successes: u64, trials: u64) -> Result<(), Error> {
    if trials == 0 {
        Err(Error::NoObservations { what: "trials" })
    } else if successes > trials {
        Err(Error::out_of_range("successes", successes as f64, "[0, trials]"))
    } else {
        Ok(())
    }
}

/// Newcombe's φ: the correlation of the pairs, corrected for continuity when positive; 0 when a margin is empty.
fn correlation(first: &[bool], second: &[bool]) -> f64 {
    let count = |x, y| first.iter().zip(second).filter(|(a, b)| **a == x && **b == y).count() as f64;
    let (a, b, c, d) = (count(true, true), count(true, false), count(false, true), count(false, false));
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    if margins == 0.0 {
        return 0.0;
    }
    let excess = a * d - b * c;
    let corrected = if excess > 0.0 { (excess - 0.5 * (a + b + c + d)).max(0.0) } else { excess };
    corrected / margins.sqrt()
}

fn hybrid(first: Proportion, second: Proportion, phi: f64, confidence: Confidence) -> Result<Interval, Error> {
    check(first.successes, first.trials)?;
    check(second.successes, second.trials)?;
    let z = normal_quantile(0.5 * (1.0 - confidence.value()));
    let ((p1, p2), (l1, u1), (l2, u2)) = ((first.value(), second.value()), wilson(first, z), wilson(second, z));
    let reach = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
    Ok(Interval {
        lower: (p1 - p2 - reach(p1 - l1, u2 - p2)).max(-1.0),
        upper: (p1 - p2 + reach(u1 - p1, p2 - l2)).min(1.0),
        confidence,
    })
}

/// Wilson's score interval (JASA 1927).
fn wilson(counted: Proportion, z: f64) -> (f64, f64) {
    let (n, p) = (counted.trials as f64, counted.value());
    let centre = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - reach) / scale).clamp(0.0, p), ((centre + reach) / scale).clamp(p, 1.0))
}

#[cfg(test)]
#[path = "proportion_tests.rs"]
mod tests;
