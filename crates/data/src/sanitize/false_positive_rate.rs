//! False-positive rate of a sanitizer, and the calibrated (conformal) threshold that keeps it.

use serde::{Deserialize, Serialize};
use underpin_core::Record;

use crate::Error;

/// False-positive rate: the greatest fraction of clean rows that a sanitizer may flag, in `(0, 1)`.
///
/// # Guarantees
///
/// 1. If clean rows and held-out rows are exchangeable, a clean row is flagged with probability at most this rate
///    (`clean_scores_are_flagged_no_more_often_than_stated`).
/// 2. With enough held-out rows (299 for 1 %) the fraction flagged is, with 95 % confidence over the held-out rows, at most
///    this rate (`with_enough_rows_the_rate_holds_with_confidence`). With fewer only the first holds; with too few (under
///    99 for 1 %) nothing is flagged, and the record notes it.
///
/// # Limits
///
/// Held-out rows that are poisoned themselves raise the threshold: then less is caught, not more flagged.
///
/// # Source
///
/// Conformal p-values for outliers: Bates, Candès, Lei, Romano and Sesia, Annals of Statistics 51(1), 2023, section 2;
/// the second guarantee is a one-sided tolerance limit (Wilks, Annals of Mathematical Statistics 12(1), 1941).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FalsePositiveRate(f64);

impl FalsePositiveRate {
    /// Checks the range.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `0 < rate < 1`.
    pub fn new(rate: f64) -> Result<Self, Error> {
        if rate > 0.0 && rate < 1.0 {
            Ok(Self(rate))
        } else {
            Err(Error::out_of_range("false_positive_rate", rate, "(0, 1)"))
        }
    }

    /// The rate itself.
    pub const fn value(self) -> f64 {
        self.0
    }

    /// The score that a row must exceed to be flagged, noted in the record; infinite if too few rows are held out.
    pub(super) fn threshold(self, mut reference: Vec<f64>, name: &str, record: &mut Record) -> f64 {
        reference.sort_by(f64::total_cmp);
        let count = reference.len();
        let threshold = self.rank(count).map_or(f64::INFINITY, |rank| reference[rank - 1]);
        record.set(format!("collection.{name}.false_positive_rate"), self.0);
        record.set(format!("collection.{name}.held_out"), count);
        record.set(format!("collection.{name}.calibrated"), threshold.is_finite());
        record.set(format!("collection.{name}.threshold"), threshold);
        threshold
    }

    /// Which of `count` sorted reference scores, from 1, is the threshold.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count is a count")]
    fn rank(self, count: usize) -> Option<usize> {
        if let Some(above) = self.tolerated(count) {
            return Some(count - above);
        }
        let rank = ((count + 1) as f64 * (1.0 - self.0)).ceil() as usize;
        (1..=count).contains(&rank).then_some(rank)
    }

    /// The most reference scores that may lie above the threshold: `max { j : P(Bin(count, rate) <= j) <= 0.05 }`.
    fn tolerated(self, count: usize) -> Option<usize> {
        let (rate, n) = (self.0, count as f64);
        let mut log_term = n * (-rate).ln_1p();
        let mut cumulative = 0.0;
        let mut tolerated = None;
        for successes in 0..count {
            cumulative += log_term.exp();
            if cumulative > 0.05 {
                break;
            }
            tolerated = Some(successes);
            let j = successes as f64;
            log_term += ((n - j) / (j + 1.0)).ln() + rate.ln() - (-rate).ln_1p();
        }
        tolerated
    }
}

impl TryFrom<f64> for FalsePositiveRate {
    type Error = Error;

    fn try_from(rate: f64) -> Result<Self, Error> {
        Self::new(rate)
    }
}

impl From<FalsePositiveRate> for f64 {
    fn from(rate: FalsePositiveRate) -> Self {
        rate.0
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn rate(rate: f64) -> FalsePositiveRate {
        FalsePositiveRate::new(rate).unwrap()
    }

    /// Of scores drawn alike, a new one exceeds the r-th of n with probability (n + 1 - r) / (n + 1) exactly.
    #[test]
    fn clean_scores_are_flagged_no_more_often_than_stated() {
        for (alpha, least) in [(0.001, 999), (0.005, 199), (0.01, 99), (0.05, 19), (0.3, 3)] {
            let first = (1_usize..2000).find(|count| rate(alpha).rank(*count).is_some()).unwrap();
            assert_eq!(first, least, "{alpha}");
            for count in first..first + 2000 {
                let above = (count + 1 - rate(alpha).rank(count).unwrap()) as f64 / (count + 1) as f64;
                assert!(above <= alpha + 1e-12, "{alpha} {count}: {above}");
            }
        }
    }

    /// In 2,000 trials the fraction flagged exceeds the rate in at most 5 % of them: 146 of 2,000 is 4.7 standard
    /// deviations above, a false alarm of about one in a million.
    #[test]
    fn with_enough_rows_the_rate_holds_with_confidence() {
        assert_eq!((rate(0.01).tolerated(298), rate(0.01).tolerated(299)), (None, Some(0)));
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        for count in [299, 1000, 5000] {
            let exceeded = (0..2000).filter(|_| {
                let scores = (0..count).map(|_| rng.random::<f64>()).collect();
                1.0 - rate(0.01).threshold(scores, "test", &mut Record::default()) > 0.01
            });
            assert!(exceeded.count() <= 146, "{count}");
        }
    }

    #[test]
    fn too_few_scores_and_ties_flag_nothing() {
        let mut record = Record::default();
        assert!(rate(0.01).threshold(vec![0.0; 98], "test", &mut record).is_infinite());
        assert_eq!(record.parameters["collection.test.calibrated"], false.into());
        assert!(rate(0.01).threshold(vec![3.0; 400], "test", &mut record) >= 3.0);
        assert!(rate(0.01).threshold(vec![f64::INFINITY; 400], "test", &mut record).is_infinite());
        assert!(rate(0.01).threshold(vec![], "test", &mut record).is_infinite());
        for bad in [0.0, 1.0, f64::NAN, -1.0] {
            assert!(FalsePositiveRate::new(bad).is_err());
        }
    }
}
