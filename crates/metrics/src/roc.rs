//! Receiver operating characteristic: true-positive rate against false-positive rate.

use underpin_core::{Point, Series};

use crate::Error;

/// One threshold of a ROC curve: whoever scores at least `threshold` is called positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The threshold; infinite at the start of the curve.
    pub threshold: f64,
    /// Negatives called positive.
    pub false_positives: usize,
    /// Positives called positive.
    pub true_positives: usize,
}

/// The ROC curve of scores that should be higher for `positives`, from nobody called positive to everybody.
///
/// One point per distinct score, so tied scores are crossed at once; both counts never decrease.
///
/// # Errors
///
/// [`Error::NoObservations`] when a group is empty, [`Error::NotANumber`] at a NaN score.
pub fn roc(positives: &[f64], negatives: &[f64]) -> Result<Vec<RocPoint>, Error> {
    check_scores(positives, negatives)?;
    let mut all: Vec<(f64, bool)> =
        positives.iter().map(|score| (*score, true)).chain(negatives.iter().map(|score| (*score, false))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut point = RocPoint { threshold: f64::INFINITY, false_positives: 0, true_positives: 0 };
    let mut points = vec![point];
    #[allow(clippy::float_cmp, reason = "equal scores are one threshold")]
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, positive)| *positive).count();
        point.threshold = tied[0].0;
        point.true_positives += hits;
        point.false_positives += tied.len() - hits;
        points.push(point);
    }
    Ok(points)
}

/// [`roc`] as a curve named `roc`, rates in `[0, 1]`.
///
/// # Errors
///
/// As [`roc`].
pub fn roc_series(positives: &[f64], negatives: &[f64], label: impl Into<String>) -> Result<Series, Error> {
    let rates = |point: RocPoint| {
        Point(
            point.false_positives as f64 / negatives.len() as f64,
            point.true_positives as f64 / positives.len() as f64,
        )
    };
    Ok(Series {
        name: "roc".into(),
        label: label.into(),
        x: "false-positive rate".into(),
        y: "true-positive rate".into(),
        points: roc(positives, negatives)?.into_iter().map(rates).collect(),
    })
}

pub(crate) fn check_scores(positives: &[f64], negatives: &[f64]) -> Result<(), Error> {
    for (what, group) in [("score of a positive", positives), ("score of a negative", negatives)] {
        if group.is_empty() {
            return Err(Error::NoObservations { what });
        }
        if let Some(position) = group.iter().position(|score| score.is_nan()) {
            return Err(Error::NotANumber { name: what, position });
        }
    }
    Ok(())
}
