//! Finds label errors by k nearest neighbours.

use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Sanitizer};

use super::context::{above, judge};
use super::false_positive_rate::FalsePositiveRate;
use super::nearest::{neighbours, permitted};
use crate::Error;
use crate::record::{Collection, Near, Reason};

/// Label errors: drops rows whose label their k nearest neighbours contradict more strongly than those of held-out rows.
///
/// The score of a row is the fraction of its `neighbours` nearest rows that bear the most frequent other label, less the
/// fraction that bear its own; ties are broken by how much nearer the nearest row of another label is. The row itself does
/// not vote, so the vote is out of sample. A row is dropped when its score exceeds both `least` and the threshold.
///
/// The rate should be well above the fraction of wrong labels expected among held-out rows: up to that fraction they do not
/// raise the threshold above what clean rows give. `least` keeps the fraction of rows dropped far below the rate where
/// classes are apart.
///
/// # Limits
///
/// Where classes overlap, contradicted labels are normal: the threshold rises, and wrong labels pass.
///
/// # Source
///
/// Disagreement with the nearest neighbours as evidence of label noise: Wilson, IEEE Transactions on Systems, Man and
/// Cybernetics 2(3), 1972; Bahri, Jiang and Gupta, "Deep k-NN for Noisy Labels", ICML 2020, section 3. Deviation: the
/// vote is compared with a calibrated threshold, not with a majority. See [`FalsePositiveRate`] for what that guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnnLabels {
    /// Number of neighbours that vote, 1 to 32.
    pub neighbours: usize,
    /// Contradiction below which no label is called wrong, in `[0, 1]`.
    pub least: f64,
    /// Fraction of clean rows that may be flagged.
    pub false_positive_rate: FalsePositiveRate,
}

impl Sanitizer<Collection> for KnnLabels {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "knn_labels", |collection, record| {
            let held_out = collection.reference("knn_labels")?;
            let votes = permitted(self.neighbours)?;
            if !(0.0..=1.0).contains(&self.least) {
                return Err(Error::out_of_range("least", self.least, "[0, 1]"));
            }
            record.set("collection.knn_labels.least", self.least);
            record.set("collection.knn_labels.neighbours", votes);
            let near = neighbours(collection);
            let (labels, classes) = (collection.rows().examples().labels(), collection.rows().examples().classes());
            let score = |(near, label): (&Near, &usize)| contradiction(near, *label, labels, classes, votes);
            let reference = near.held_out.iter().zip(held_out.examples().labels()).map(score).collect();
            let threshold = self.false_positive_rate.threshold(reference, "knn_labels", record).max(self.least);
            record.set("collection.knn_labels.threshold", threshold);
            let scores = near.rows.iter().zip(labels).map(score);
            Ok(above(scores, threshold, Reason::LabelError, "contradiction"))
        })
    }
}

/// How strongly neighbours contradict `label`: -1 (all agree) to 1 (all bear one other label), plus less than one vote.
fn contradiction(near: &Near, label: usize, labels: &[usize], classes: usize, votes: usize) -> f64 {
    let voters = near.len().min(votes);
    if voters == 0 {
        return -1.0;
    }
    let mut counts = vec![0_usize; classes];
    near[..voters].iter().for_each(|(at, _)| counts[labels[*at as usize]] += 1);
    let own = std::mem::take(&mut counts[label]);
    let other = counts.into_iter().max().unwrap_or(0);
    let last = near.last().map_or(0.0, |(_, distance)| f64::from(*distance));
    let nearest = |same: bool| {
        let found = near.iter().find(|(at, _)| (labels[*at as usize] == label) == same);
        found.map_or(last, |(_, distance)| f64::from(*distance))
    };
    let (same, different) = (nearest(true), nearest(false));
    let tie = if same + different > 0.0 { same / (same + different) } else { 0.5 };
    (other as f64 - own as f64 + 0.999 * tie) / voters as f64
}
