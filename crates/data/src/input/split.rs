//! Sets a test fraction aside before anything else looks at the rows.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use underpin_core::Seed;

use super::raw::RawTable;
use crate::Error;

/// How rows are set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Fraction of each label's rows that never train, in `(0, 1)`.
    pub test_fraction: f64,
    /// Decides which rows.
    pub seed: Seed,
}

/// Two parts of one file; no row is in both.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Rows to be sanitized and trained on.
    pub train: RawTable,
    /// Rows that never train.
    pub test: RawTable,
}

/// Sets a stratified test fraction aside: of each label the same fraction of rows, rounded to the nearest.
///
/// Rows without a readable label stay on the training side, where the contract drops them. Rows that are the same on
/// both sides leave the training side later, by [`Leakage`](crate::Leakage).
///
/// # Errors
///
/// [`Error::OutOfRange`] when the fraction is not in `(0, 1)`; [`Error::TooFewRows`] when one side would be empty.
pub fn split(raw_table: RawTable, split: &Split) -> Result<Parts, Error> {
    let fraction = split.test_fraction;
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::out_of_range("test_fraction", fraction, "(0, 1)"));
    }
    let mut strata: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, row) in raw_table.rows().enumerate() {
        if let Some(label) = row.label(raw_table.label()) {
            strata.entry(label).or_default().push(at);
        }
    }
    let mut rng = ChaCha20Rng::seed_from_u64(split.seed.derive("split").0);
    let mut held_out = vec![false; raw_table.len()];
    for rows in strata.values_mut() {
        rows.shuffle(&mut rng);
        rows[..part(rows.len(), fraction)].iter().for_each(|at| held_out[*at] = true);
    }
    let found = raw_table.len();
    let parts =
        Parts { train: raw_table.clone().select(|at| !held_out[at]), test: raw_table.select(|at| held_out[at]) };
    if parts.train.is_empty() || parts.test.is_empty() {
        return Err(Error::TooFewRows { file: parts.train.name().to_owned(), found, needed: 4 });
    }
    Ok(parts)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count is a count")]
fn part(count: usize, fraction: f64) -> usize {
    (count as f64 * fraction).round() as usize
}
