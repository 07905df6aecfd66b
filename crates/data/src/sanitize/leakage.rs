//! Finds leakage: training rows that equal or almost equal a held-out row.

use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Sanitizer};

use super::context::judge;
use super::duplicates::distance_limit;
use super::nearest::{NEIGHBOURS, distance, neighbours};
use crate::Error;
use crate::record::{Collection, Flag, Near, Reason};

/// Drops rows that equal or almost equal a held-out row, whatever their labels.
///
/// Almost equal as in [`NearDuplicates`](crate::NearDuplicates).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leakage {
    /// Fraction of the median nearest distance, in `[0, 1]`.
    pub ratio: f64,
}

impl Default for Leakage {
    /// A tenth.
    fn default() -> Self {
        Self { ratio: 0.1 }
    }
}

impl Sanitizer<Collection> for Leakage {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "leakage", |collection, record| {
            let held_out = collection.reference("leakage")?;
            let neighbours = neighbours(collection);
            let limit = distance_limit(self.ratio, &neighbours)?;
            record.set("collection.leakage.ratio", self.ratio);
            record.set("collection.leakage.distance", f64::from(limit));
            let inputs = collection.rows().examples().inputs();
            let mut flags = Vec::new();
            for (at, near) in neighbours.held_out.iter().enumerate() {
                let listed: Near = near.iter().copied().take_while(|(_, distance)| *distance <= limit).collect();
                // Should the whole list be that near, there may be more such rows than it holds.
                let all = if listed.len() < NEIGHBOURS.min(near.len()) {
                    listed
                } else {
                    let row = held_out.examples().inputs().row(at);
                    let distances = (0..).zip(inputs.rows().map(|other| distance(row, other)));
                    distances.filter(|(_, distance)| *distance <= limit).collect()
                };
                let id = held_out.ids()[at];
                flags.extend(all.into_iter().map(|(position, distance)| Flag {
                    position: position as usize,
                    reason: Reason::Leakage,
                    detail: format!("{distance:.6} from held-out row {id}, allowed: more than {limit:.6}"),
                }));
            }
            Ok(flags)
        })
    }
}
