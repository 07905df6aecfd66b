//! Scores of a membership attack, and the confidence they rest on.

use underpin_core::{Examples, Outputs};

use crate::Error;

/// Scores of a membership attack, higher for likelier members.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipScores {
    /// Scores of samples that the target was trained on.
    pub members: Vec<f64>,
    /// Scores of samples that it was not trained on.
    pub others: Vec<f64>,
    /// Queries that the attack made of the target.
    pub queries: u64,
}

impl MembershipScores {
    /// Splits scores by the truth: the first `members` are of samples trained on.
    pub(super) fn split(mut scores: Vec<f64>, members: usize, queries: u64) -> Self {
        let others = scores.split_off(members);
        Self { members: scores, others, queries }
    }
}

/// Errors on a pool without members or without others.
pub(super) fn check_members(pool: &Examples, members: usize) -> Result<(), Error> {
    match members {
        0 => Err(Error::NoObservations { what: "members" }),
        members if members >= pool.len() => Err(Error::NoObservations { what: "samples that are no members" }),
        _ => Ok(()),
    }
}

/// `ln p_y - ln (sum of the others)` of each answer: near normal over training runs (Carlini et al. 2022, section IV-C).
///
/// Both terms are floored at `1e-10`, so the value lies in `[-23.1, 23.1]`. The others are summed instead of taken as
/// `1 - p_y`, which would lose all digits near 1.
pub(super) fn logit_confidence(outputs: &Outputs, labels: &[usize]) -> Result<Vec<f64>, Error> {
    const FLOOR: f64 = 1e-10;
    let scaled = |(position, (row, label)): (usize, (&[f32], &usize))| {
        let own = f64::from(row[*label]);
        let total: f64 = row.iter().enumerate().filter(|(class, _)| class != label).map(|(_, p)| f64::from(*p)).sum();
        if own.is_nan() || total.is_nan() {
            return Err(Error::NotANumber { name: "score of answer", position });
        }
        Ok(own.clamp(FLOOR, 1.0).ln() - total.clamp(FLOOR, 1.0).ln())
    };
    outputs.rows().zip(labels).enumerate().map(scaled).collect()
}
