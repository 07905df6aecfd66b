//! Sanitizers: duplicates, leakage, backdoors, label errors and outliers are found and rejected.

mod chain;
mod clustering;
mod context;
mod duplicates;
mod false_positive_rate;
mod label_errors;
mod leakage;
mod median_mad;
mod nearest;
mod outliers;
mod principal_axis;
mod representation;
mod spectral;
mod whitening;

pub use chain::Sanitizers;
pub use clustering::ActivationClustering;
pub use duplicates::{ExactDuplicates, NearDuplicates};
pub use false_positive_rate::FalsePositiveRate;
pub use label_errors::KnnLabels;
pub use leakage::Leakage;
pub use outliers::KnnOutliers;
pub use representation::{Features, Representation};
pub use spectral::SpectralSignatures;
