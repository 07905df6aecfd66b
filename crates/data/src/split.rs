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
pub fn split(mut door: Door, split: &Split) -> Result<Parts, Error> {
    let share = split.test_share;
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::Setting { name: "test_share", value: share, range: "(0, 1)" });
    }
    let mut strata: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, row) in door.rows().iter().enumerate() {
        let whole = row.len() == door.columns().len();
        if let Some(label) = row.label(door.label()).filter(|_| whole) {
            strata.entry(label).or_default().push(at);
        }
    }
    let mut rng = ChaCha20Rng::seed_from_u64(split.seed.derive("split").0);
    let mut held_out = vec![false; door.rows().len()];
    for rows in strata.values_mut() {
        rows.shuffle(&mut rng);
        rows[..part(rows.len(), share)].iter().for_each(|at| held_out[*at] = true);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (row, held_out) in std::mem::take(&mut door.rows).into_iter().zip(held_out) {
        if held_out { test.push(row) } else { train.push(row) }
    }
    let found = train.len() + test.len();
    let parts = Parts { train: door.with_rows(train), test: door.with_rows(test) };
    if parts.train.rows.is_empty() || parts.test.rows.is_empty() {
        return Err(Error::TooFewRows { file: door.name.clone(), found, needed: 4 });
    }
    Ok(parts)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
fn part(count: usize, share: f64) -> usize {
    (count as f64 * share).round() as usize
}
