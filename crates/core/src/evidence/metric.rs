//! Metrics: what reduces the outcome of an attack to a measurement.

use super::measurement::Measurement;

/// A metric: reduces the outcome of an attack to one number. Pure: no model, file or clock.
///
/// # Examples
///
/// The fraction of correct predictions, with Hoeffding's interval: half-width `sqrt(ln(2 / (1 - c)) / (2 n))`.
///
/// ```
/// use underpin_core::{
///     About, Confidence, Error, Interval, Measurement, Metric, OutOfRange, Phase, Quantity, System,
/// };
///
/// struct Accuracy {
///     confidence: Confidence,
/// }
///
/// impl Metric<[bool]> for Accuracy {
///     type Error = Error;
///
///     fn measure(&self, correct: &[bool]) -> Result<Measurement, Error> {
///         if correct.is_empty() {
///             return Err(OutOfRange::new("observations", 0.0, "[1, inf)").into());
///         }
///         let n = correct.len() as f64;
///         let value = correct.iter().filter(|correct| **correct).count() as f64 / n;
///         let width = ((2.0 / (1.0 - self.confidence.value())).ln() / (2.0 * n)).sqrt();
///         let interval = Interval { lower: value - width, upper: value + width, confidence: self.confidence };
///         Ok(Measurement {
///             about: About::Utility,
///             quantity: Quantity::CleanAccuracy,
///             system: System::Defended,
///             access: None,
///             phase: Phase::Deployment,
///             attack: "held_out".into(),
///             value,
///             interval,
///             n: correct.len() as u64,
///             chance: None,
///             constant: None,
///             queries: None,
///             radius: None,
///             norm: None,
///             parameters: [].into(),
///             controls: vec![],
///             weakened: vec![],
///         })
///     }
/// }
///
/// let metric = Accuracy { confidence: Confidence::new(0.95)? };
/// assert_eq!(metric.measure(&[true, true, false, true])?.value, 0.75);
/// assert!(metric.measure(&[]).is_err());
/// # Ok::<(), Error>(())
/// ```
pub trait Metric<Outcome: ?Sized> {
    /// Why the outcome does not support a number.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Measures `outcome`.
    ///
    /// # Errors
    ///
    /// When `outcome` holds no observation, or observations that do not support a number.
    fn measure(&self, outcome: &Outcome) -> Result<Measurement, Self::Error>;
}
