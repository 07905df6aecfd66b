//! The chain of all sanitizers in their usual order.

use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Record, Sanitizer, Seed};

use super::clustering::ActivationClustering;
use super::duplicates::{ExactDuplicates, NearDuplicates};
use super::false_positive_rate::FalsePositiveRate;
use super::label_errors::KnnLabels;
use super::leakage::Leakage;
use super::outliers::KnnOutliers;
use super::representation::Representation;
use super::spectral::SpectralSignatures;
use crate::Error;
use crate::record::Collection;

/// Settings of all sanitizers, to be run in their usual order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sanitizers {
    /// Rows that almost equal a held-out row.
    pub leakage: Leakage,
    /// Rows that almost equal another.
    pub near_duplicates: NearDuplicates,
    /// Fraction of a part of a class that must go to other classes for it to be a backdoor.
    pub reclassified: f64,
    /// Rows whose label is contradicted.
    pub knn_labels: KnnLabels,
    /// Rows far from all others.
    pub knn_outliers: KnnOutliers,
    /// Greatest fraction of clean rows that the backdoor detector may flag.
    pub spectral_false_positive_rate: FalsePositiveRate,
}

impl Default for Sanitizers {
    /// Ten neighbours; at most 10 % false positives for labels, contradicted by at least 0.6; 1 % for backdoors, 0.5 % for
    /// outliers; 0.7 of a part reclassified; a tenth of the median nearest
    /// distance for duplicates.
    fn default() -> Self {
        let rate = |rate| FalsePositiveRate::new(rate).expect("invariant: the rates below lie in (0, 1)");
        Self {
            leakage: Leakage::default(),
            near_duplicates: NearDuplicates::default(),
            reclassified: 0.7,
            knn_labels: KnnLabels { neighbours: 10, least: 0.6, false_positive_rate: rate(0.1) },
            knn_outliers: KnnOutliers { neighbours: 10, false_positive_rate: rate(0.005) },
            spectral_false_positive_rate: rate(0.01),
        }
    }
}

impl Sanitizers {
    /// Runs exact duplicates, leakage, near duplicates, activation clustering, spectral signatures, labels and outliers.
    ///
    /// Backdoors come before the labels: the rows of a backdoor vote for each other's labels.
    ///
    /// # Errors
    ///
    /// [`Error::NoReference`] without held-out rows; [`Error::OutOfRange`] or [`Error::Representation`].
    pub fn sanitize(
        &self,
        collection: Collection,
        representation: &dyn Representation,
        seed: Seed,
    ) -> Result<Audited<Collection>, Error> {
        let false_positive_rate = self.spectral_false_positive_rate;
        let spectral = SpectralSignatures { representation, false_positive_rate, seed };
        let clustering = ActivationClustering { representation, neighbours: 10, reclassified: self.reclassified };
        let steps: [&dyn Sanitizer<Collection, Error = Error>; 7] = [
            &ExactDuplicates,
            &self.leakage,
            &self.near_duplicates,
            &clustering,
            &spectral,
            &self.knn_labels,
            &self.knn_outliers,
        ];
        let mut all = Audited { value: collection, record: Record::default() };
        for step in steps {
            let Audited { value, record } = step.sanitize(all.value)?;
            all.record.merge(record);
            all.value = value;
        }
        Ok(all)
    }
}
