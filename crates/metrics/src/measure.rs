//! Several metrics of one outcome.

use underpin_core::{Control, Measurement, Metric};

use crate::Error;

/// Measures `outcome` by every metric, in order; each measurement gets the attack's `controls`.
///
/// # Errors
///
/// That of the first metric that fails.
///
/// # Examples
///
/// ```
/// use underpin_core::{Confidence, System};
/// use underpin_metrics::extraction::{Agreement, Fidelity, FidelityGain};
/// use underpin_metrics::{Setting, measure_all};
/// use underpin_core::Phase;
///
/// let agreement = Agreement { extracted: vec![true, true], baseline: vec![true, false], queries: 10 };
/// let setting = Setting::test(System::Defended, Phase::Deployment, "knockoff", Confidence::new(0.95)?);
/// let (fidelity, gain) = (Fidelity { setting: setting.clone() }, FidelityGain { setting });
/// let measured = measure_all(&[&fidelity, &gain], &agreement, &[])?;
/// assert_eq!((measured[0].value, measured[1].value), (1.0, 0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn measure_all<O: ?Sized>(
    metrics: &[&dyn Metric<O, Error = Error>],
    outcome: &O,
    controls: &[Control],
) -> Result<Vec<Measurement>, Error> {
    let measured = |metric: &&dyn Metric<O, Error = Error>| {
        Ok(Measurement { controls: controls.to_vec(), ..metric.measure(outcome)? })
    };
    metrics.iter().map(measured).collect()
}
