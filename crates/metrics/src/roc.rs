//! Receiver operating characteristic: true-positive rate against false-positive rate.

use underpin_core::{Point, Series};

use crate::Error;
use crate::scores::check_scores;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::auc;
    use underpin_core::Confidence;

    #[test]
    fn tied_scores_are_crossed_at_once() {
        let points = roc(&[2.0, 1.0], &[1.0, 0.0]).unwrap();
        let counts: Vec<(usize, usize)> = points.iter().map(|p| (p.false_positives, p.true_positives)).collect();
        assert_eq!(counts, [(0, 0), (0, 1), (1, 2), (2, 2)]);
        assert!(matches!(roc(&[], &[1.0]), Err(Error::NoObservations { .. })));
        assert!(matches!(roc(&[1.0], &[0.0, f64::NAN]), Err(Error::NotANumber { position: 1, .. })));
    }

    #[test]
    fn curves_agree_with_scikit_learn() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/roc.json")).unwrap();
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let group = |class: i64| -> Vec<f64> {
                let labels = case["y"].as_array().unwrap();
                let scores = case["score"].as_array().unwrap();
                let members = labels.iter().zip(scores).filter(|(label, _)| label.as_i64() == Some(class));
                members.map(|(_, score)| score.as_f64().unwrap()).collect()
            };
            let (positives, negatives) = (group(1), group(0));
            let (area, _) = auc(&positives, &negatives, Confidence::new(0.95).unwrap()).unwrap();
            assert!((area - case["auc"].as_f64().unwrap()).abs() < 1e-12, "{}", case["name"]);
            let series = roc_series(&positives, &negatives, "t").unwrap();
            for fpr in [0.001, 0.01, 0.1] {
                let best = series.points.iter().filter(|point| point.0 <= fpr).map(|point| point.1).fold(0.0, f64::max);
                let expected = case[format!("tpr_at_fpr_{fpr}")].as_f64().unwrap();
                assert!((best - expected).abs() < 1e-12, "{} {fpr}", case["name"]);
            }
            let advantage = series.points.iter().map(|point| point.1 - point.0).fold(0.0, f64::max);
            let expected = case["membership_advantage"].as_f64().unwrap();
            assert!((advantage - expected).abs() < 1e-12, "{}", case["name"]);
        }
    }
}
