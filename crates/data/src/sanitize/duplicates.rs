//! Finds exact and near duplicates.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Sanitizer};

use super::context::judge;
use super::nearest::neighbours;
use crate::Error;
use crate::record::{Collection, Flag, Near, Neighbours, Reason};

/// Drops rows whose features another row has: all but the first if their labels agree, all of them if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactDuplicates;

impl Sanitizer<Collection> for ExactDuplicates {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "exact_duplicates", |collection, _| {
            let rows = collection.rows();
            let (inputs, labels) = (rows.examples().inputs(), rows.examples().labels());
            let mut same: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
            for (position, row) in inputs.rows().enumerate() {
                same.entry(row.iter().map(|value| value.to_bits()).collect()).or_default().push(position);
            }
            let mut flags = Vec::new();
            for group in same.into_values().filter(|group| group.len() > 1) {
                let first = group[0];
                let agree = group.iter().all(|position| labels[*position] == labels[first]);
                let (reason, detail, flagged) = if agree {
                    (Reason::ExactDuplicate, format!("same as row {}", rows.ids()[first]), &group[1..])
                } else {
                    let ids = group.iter().take(8).map(|at| rows.ids()[*at].to_string()).collect::<Vec<_>>().join(", ");
                    (Reason::ConflictingLabels, format!("same features, other labels: rows {ids}"), &group[..])
                };
                flags.extend(flagged.iter().map(|position| Flag {
                    position: *position,
                    reason,
                    detail: detail.clone(),
                }));
            }
            Ok(flags)
        })
    }
}

/// Drops rows that almost equal an earlier row of their class.
///
/// Almost equal: nearer than `ratio` times the median distance from a held-out row (from a row, if none are held out) to
/// its nearest row. Of more than 32 almost equal rows some may pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearDuplicates {
    /// Fraction of the median nearest distance, in `[0, 1]`.
    pub ratio: f64,
}

impl Default for NearDuplicates {
    /// A tenth.
    fn default() -> Self {
        Self { ratio: 0.1 }
    }
}

impl Sanitizer<Collection> for NearDuplicates {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "near_duplicates", |collection, record| {
            let neighbours = neighbours(collection);
            let limit = distance_limit(self.ratio, &neighbours)?;
            record.set("collection.near_duplicates.ratio", self.ratio);
            record.set("collection.near_duplicates.distance", f64::from(limit));
            let labels = collection.rows().examples().labels();
            let mut earlier: Vec<Near> = vec![Vec::new(); neighbours.rows.len()];
            for (position, near) in neighbours.rows.iter().enumerate() {
                for (other, distance) in near.iter().take_while(|(_, distance)| *distance <= limit) {
                    let other = *other as usize;
                    if labels[other] == labels[position] {
                        let (first, second) = (other.min(position), other.max(position));
                        // OK because positions came from a u32.
                        earlier[second].push((u32::try_from(first).unwrap_or(u32::MAX), *distance));
                    }
                }
            }
            let mut flagged = vec![false; earlier.len()];
            let mut flags = Vec::new();
            for (position, copies) in earlier.iter().enumerate() {
                if let Some((copy, distance)) = copies.iter().find(|(copy, _)| !flagged[*copy as usize]) {
                    flagged[position] = true;
                    let id = collection.rows().ids()[*copy as usize];
                    let detail = format!("{distance:.6} from row {id}, allowed: more than {limit:.6}");
                    flags.push(Flag { position, reason: Reason::NearDuplicate, detail });
                }
            }
            Ok(flags)
        })
    }
}

/// `ratio` times the median distance to the nearest row.
#[allow(clippy::cast_possible_truncation, reason = "a distance in f32 times a ratio")]
pub(super) fn distance_limit(ratio: f64, neighbours: &Neighbours) -> Result<f32, Error> {
    if !(0.0..=1.0).contains(&ratio) {
        return Err(Error::out_of_range("ratio", ratio, "[0, 1]"));
    }
    let lists = if neighbours.held_out.is_empty() { &neighbours.rows } else { &neighbours.held_out };
    let mut nearest: Vec<f32> = lists.iter().filter_map(|near| near.first()).map(|(_, distance)| *distance).collect();
    if nearest.is_empty() {
        return Ok(0.0);
    }
    let middle = nearest.len() / 2;
    let (_, median, _) = nearest.select_nth_unstable_by(middle, f32::total_cmp);
    Ok((f64::from(*median) * ratio) as f32)
}
