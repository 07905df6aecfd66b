//! Detection rate and false-positive rate of sanitizers on injected faults.

use underpin_core::{About, Measurement, Quantity};

use crate::interval::Proportion;
use crate::{Error, Setting};

/// Detection rate: fraction of injected faults that were caught; higher is safer.
///
/// # Errors
///
/// [`Error::NoObservations`] when none was injected, [`Error::OutOfRange`] when more were caught.
pub fn detection_rate(setting: &Setting, caught: u64, injected: u64) -> Result<Measurement, Error> {
    setting.proportion(About::Poisoning, Quantity::DetectionRate, Proportion { successes: caught, trials: injected })
}

/// False-positive rate: fraction of clean rows that were flagged; lower is better.
///
/// # Errors
///
/// [`Error::NoObservations`] without a clean row, [`Error::OutOfRange`] when more were flagged.
pub fn false_positive_rate(setting: &Setting, flagged: u64, clean: u64) -> Result<Measurement, Error> {
    setting.proportion(About::Poisoning, Quantity::FalsePositiveRate, Proportion { successes: flagged, trials: clean })
}
