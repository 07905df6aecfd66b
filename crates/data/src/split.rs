//! Sets a test share aside before anything else looks at the rows.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use underpin_core::Seed;

use crate::Error;
use crate::door::Door;

/// How rows are set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Share of each label's rows that never train, in `(0, 1)`.
    pub test_share: f64,
    /// Decides which rows.
    pub seed: Seed,
}

/// Two parts of one file; no row is in both.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Rows to be sanitized and trained on.
    pub train: Door,
    /// Rows that never train.
    pub test: Door,
}

/// Sets a stratified test share aside: of each label the same share of rows, rounded to the nearest.
///
/// Rows without a readable label stay on the training side, where the contract drops them. Rows that are the same on
/// both sides leave the training side later, by [`Leakage`](crate::Leakage).
///
/// # Errors
///
/// [`Error::Setting`] when the share is not in `(0, 1)`; [`Error::TooFewRows`] when one side would be empty.
pub fn split(door: Door, split: &Split) -> Result<Parts, Error> {
    let share = split.test_share;
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::Setting { name: "test_share", value: share, range: "(0, 1)" });
    }
    let mut strata: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, row) in door.rows().enumerate() {
        if let Some(label) = row.label(door.label()) {
            strata.entry(label).or_default().push(at);
        }
    }
    let mut rng = ChaCha20Rng::seed_from_u64(split.seed.derive("split").0);
    let mut held_out = vec![false; door.len()];
    for rows in strata.values_mut() {
        rows.shuffle(&mut rng);
        rows[..part(rows.len(), share)].iter().for_each(|at| held_out[*at] = true);
    }
    let found = door.len();
    let parts = Parts { train: door.clone().select(|at| !held_out[at]), test: door.select(|at| held_out[at]) };
    if parts.train.is_empty() || parts.test.is_empty() {
        return Err(Error::TooFewRows { file: parts.train.name().to_owned(), found, needed: 4 });
    }
    Ok(parts)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
fn part(count: usize, share: f64) -> usize {
    (count as f64 * share).round() as usize
}
