//! Finds outliers by the distance to the k-th nearest neighbour.

use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Sanitizer};

use super::context::{above, judge};
use super::false_positive_rate::FalsePositiveRate;
use super::nearest::{neighbours, permitted};
use crate::Error;
use crate::record::{Collection, Near, Reason};

/// Outliers: drops rows that lie farther from their k-th nearest neighbour than held-out rows do.
///
/// The score of a row is the distance to its `neighbours`-th nearest row.
///
/// # Source
///
/// Ramaswamy, Rastogi and Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets", SIGMOD 2000, definition
/// 1. Deviation: rows above a calibrated threshold are dropped, not a fixed number. See [`FalsePositiveRate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnnOutliers {
    /// Which neighbour's distance is taken, 1 to 32.
    pub neighbours: usize,
    /// Fraction of clean rows that may be flagged.
    pub false_positive_rate: FalsePositiveRate,
}

impl Sanitizer<Collection> for KnnOutliers {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "knn_outliers", |collection, record| {
            collection.reference("knn_outliers")?;
            let rank = permitted(self.neighbours)?;
            record.set("collection.knn_outliers.neighbours", rank);
            let near = neighbours(collection);
            let score =
                |near: &Near| near.get(rank - 1).or(near.last()).map_or(0.0, |(_, distance)| f64::from(*distance));
            let reference = near.held_out.iter().map(score).collect();
            let threshold = self.false_positive_rate.threshold(reference, "knn_outliers", record);
            Ok(above(near.rows.iter().map(score), threshold, Reason::Outlier, "distance"))
        })
    }
}
