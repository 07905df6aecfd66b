//! The least noise, the most steps, the highest sampling rate within a target ε.

use underpin_core::{Delta, Epsilon};

use crate::subsampled::{LEAST_NOISE, MOST_NOISE, NOISE_RANGE};
use crate::{Error, SubsampledGaussian};

/// Relative width to which a real parameter is found.
const CLOSE: f64 = 1e-4;

impl SubsampledGaussian {
    /// The least noise, to a relative 1e-4, with which `steps` steps stay within `target`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] as for [`new`](Self::new); [`Error::Unreachable`] when no noise multiplier in range
    /// reaches the target.
    pub fn calibrated(
        target: Epsilon,
        delta: Delta,
        sampling_rate: f64,
        steps: u64,
        clipping_norm: f64,
    ) -> Result<Self, Error> {
        let checked = Self::new(sampling_rate, MOST_NOISE, clipping_norm)?;
        let upper = |noise| checked.with_noise(noise).upper(steps, delta);
        if steps == 0 || upper(LEAST_NOISE) <= target.value() {
            return Self::new(sampling_rate, LEAST_NOISE, clipping_norm);
        }
        let (low, high) = bracket(&upper, target.value())?;
        Self::new(sampling_rate, least_within(&upper, target.value(), low, high), clipping_norm)
    }

    /// The highest sampling rate, to a relative 1e-4, with which `steps` steps stay within `target`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] as for [`new`](Self::new); [`Error::Unreachable`] when even a rate of 1e-9 misses it.
    pub fn calibrated_rate(
        target: Epsilon,
        delta: Delta,
        noise_multiplier: f64,
        steps: u64,
        clipping_norm: f64,
    ) -> Result<Self, Error> {
        let within = |rate: f64| -> Result<Option<Self>, Error> {
            let mechanism = Self::new(rate, noise_multiplier, clipping_norm)?;
            Ok((steps == 0 || mechanism.upper(steps, delta) <= target.value()).then_some(mechanism))
        };
        if let Some(all) = within(1.0)? {
            return Ok(all);
        }
        let (mut high, mut low) = (1.0, 0.1);
        let mut best = loop {
            if let Some(found) = within(low)? {
                break found;
            }
            if low <= 1e-9 {
                return Err(Error::Unreachable { name: "sampling_rate", target: target.value(), range: "[1e-9, 1]" });
            }
            (high, low) = (low, (low / 10.0).max(1e-9));
        };
        while high > low * (1.0 + CLOSE) {
            let middle = (high * low).sqrt();
            match within(middle)? {
                Some(found) => (best, low) = (found, middle),
                None => high = middle,
            }
        }
        Ok(best)
    }

    /// The most steps that stay within `target`; exact, as the upper bound has it, up to 2^40.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when a single step exceeds it.
    pub fn most_steps(&self, target: Epsilon, delta: Delta) -> Result<u64, Error> {
        let within = |steps: u64| self.upper(steps, delta) <= target.value();
        if !within(1) {
            return Err(Error::Unreachable { name: "steps", target: target.value(), range: "[1, 2^40]" });
        }
        let mut low = 1;
        while low < 1 << 40 && within(low * 2) {
            low *= 2;
        }
        let mut high = low * 2;
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            if within(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// Noise multipliers of which the lower one misses the target and the upper one meets it, at most a factor 2 apart.
fn bracket(upper: &impl Fn(f64) -> f64, target: f64) -> Result<(f64, f64), Error> {
    let mut noise = 1.0;
    if upper(noise) <= target {
        while upper(noise / 2.0) <= target {
            noise /= 2.0;
        }
        return Ok((noise / 2.0, noise));
    }
    while noise < MOST_NOISE {
        let next = (noise * 2.0).min(MOST_NOISE);
        if upper(next) <= target {
            return Ok((noise, next));
        }
        noise = next;
    }
    Err(Error::Unreachable { name: "noise_multiplier", target, range: NOISE_RANGE })
}

/// The least noise in `(low, high]` that meets the target, to a relative 1e-4: false position in the logarithms (the
/// Illinois variant), halved where it stalls. What is returned was seen to meet the target.
fn least_within(upper: &impl Fn(f64) -> f64, target: f64, low: f64, high: f64) -> f64 {
    let excess = |noise: f64| (upper(noise) / target).ln();
    let (mut low, mut high) = ((low, excess(low)), (high, excess(high)));
    let mut stalled = 0;
    while high.0 > low.0 * (1.0 + CLOSE) {
        let share = if stalled > 2 || !low.1.is_finite() { 0.5 } else { low.1 / (low.1 - high.1) };
        // A little above the crossing, so that the next point closes in from the side that meets the target.
        let share = (share + 2e-5 / (high.0 / low.0).ln()).clamp(0.02, 0.98);
        let noise = low.0 * (high.0 / low.0).powf(share);
        let found = excess(noise);
        let width = high.0 / low.0 - 1.0;
        if found <= 0.0 {
            high = (noise, found);
        } else {
            low = (noise, found);
        }
        stalled = if high.0 / low.0 - 1.0 > width / 2.0 { stalled + 1 } else { 0 };
    }
    high.0
}
