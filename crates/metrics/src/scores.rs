//! Checks of the scores of two groups: positives, which should score higher, and negatives.

use crate::Error;

/// Errors when a group is empty or a score is NaN.
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
