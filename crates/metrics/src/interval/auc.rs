//! Area under a ROC curve.

use underpin_core::{Confidence, Interval};

use super::beta::normal_quantile;
use super::proportion::lower_bound;
use crate::Error;
use crate::scores::check_scores;

/// Area under the ROC curve of scores that should be higher for `positives`, with its interval.
///
/// The probability that a random positive scores above a random negative, ties counting half.
/// DeLong's variance, on the logit scale so that the ends stay in `[0, 1]`. Where the variance vanishes (the groups
/// are apart), the exact binomial bound on `min(positives, negatives)` independent pairs stands in for it.
///
/// # Errors
///
/// [`Error::NoObservations`] when a group is empty, [`Error::NotANumber`] at a NaN score.
///
/// # Source
///
/// DeLong, DeLong and Clarke-Pearson, Biometrics 1988; logit scale: Pepe 2003, section 5.2.
pub fn auc(positives: &[f64], negatives: &[f64], confidence: Confidence) -> Result<(f64, Interval), Error> {
    check_scores(positives, negatives)?;
    let above = placements(positives, negatives);
    let below = placements(negatives, positives);
    let area = mean(&above);
    let tail = 0.5 * (1.0 - confidence.value());
    let variance = variance(&above) / above.len() as f64 + variance(&below) / below.len() as f64;
    let spread = normal_quantile(tail) * variance.sqrt() / (area * (1.0 - area));
    let (lower, upper) = if spread > 0.0 && spread.is_finite() {
        let logit = (area / (1.0 - area)).ln();
        let expit = |x: f64| 1.0 / (1.0 + (-x).exp());
        (expit(logit - spread), expit(logit + spread))
    } else {
        let pairs = positives.len().min(negatives.len()) as u64;
        // Half an unfinished pair either way: the bound of the nearest whole count on the wide side.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count")]
        let wins = |area: f64| ((area * pairs as f64).floor() as u64).min(pairs);
        (lower_bound(wins(area), pairs, tail), (1.0 - lower_bound(wins(1.0 - area), pairs, tail)).next_up().min(1.0))
    };
    Ok((area, Interval { lower, upper, confidence }))
}

/// Area under the ROC curve by the Mann-Whitney statistic.
pub(crate) fn mann_whitney(positives: &[f64], negatives: &[f64]) -> f64 {
    mean(&placements(positives, negatives))
}

/// For each score, the fraction of `others` below it, ties counting half.
fn placements(scores: &[f64], others: &[f64]) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = |score: &f64| {
        let below = sorted.partition_point(|other| other < score);
        let not_above = sorted.partition_point(|other| other <= score);
        (below + not_above) as f64 / (2 * sorted.len()) as f64
    };
    scores.iter().map(place).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Unbiased; 0 for a single value, whose spread nothing shows.
fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (values.len().max(2) - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confidence() -> Confidence {
        Confidence::new(0.95).unwrap()
    }

    #[test]
    fn the_area_counts_ties_half() {
        // Pairs: 2>1, 2=2, 3>1, 3>2 give (1 + 0.5 + 1 + 1) / 4.
        let (area, interval) = auc(&[2.0, 3.0], &[1.0, 2.0], confidence()).unwrap();
        assert!((area - 0.875).abs() < 1e-15);
        assert!(interval.lower < area && area < interval.upper);
    }

    #[test]
    fn delong_by_hand() {
        // Placements of positives {1, 3, 4} among {0, 2}: 1/2, 1, 1; of negatives among positives: 0, 1/3.
        // Variances 1/12 and 1/18; Var = (1/12)/3 + (1/18)/2 = 1/18; area 5/6.
        let (area, interval) = auc(&[1.0, 3.0, 4.0], &[0.0, 2.0], confidence()).unwrap();
        assert!((area - 5.0 / 6.0).abs() < 1e-15);
        let spread = 1.959_963_984_540_054 * (1.0_f64 / 18.0).sqrt() / (5.0 / 36.0);
        let upper = 1.0 / (1.0 + (-(5.0_f64.ln() + spread)).exp());
        assert!((interval.upper - upper).abs() < 1e-12);
    }

    #[test]
    fn groups_that_are_apart_keep_an_open_interval() {
        let (area, interval) = auc(&[3.0; 20], &[1.0; 30], confidence()).unwrap();
        assert!(area >= 1.0 && interval.upper >= 1.0);
        // All of 20 pairs: 0.025^(1/20).
        assert!((interval.lower - 0.025_f64.powf(0.05)).abs() < 1e-9, "{interval:?}");
        let (area, interval) = auc(&[1.0; 20], &[1.0; 20], confidence()).unwrap();
        assert!((area - 0.5).abs() < 1e-15 && interval.lower < 0.3 && interval.upper > 0.7, "{interval:?}");
    }

    #[test]
    fn empty_and_nan_scores_are_refused() {
        assert!(matches!(auc(&[], &[1.0], confidence()), Err(Error::NoObservations { .. })));
        assert!(matches!(auc(&[1.0], &[f64::NAN], confidence()), Err(Error::NotANumber { position: 0, .. })));
    }
}
