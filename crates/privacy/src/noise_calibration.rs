//! The least noise, the most steps, the highest sampling rate, the largest batch within a target ε.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Adjacency, Error, Event, SubsampledGaussian};

/// Relative width to which a real parameter is found.
const CLOSE: f64 = 1e-4;
/// Least noise of a mechanism, and of one whose samples have a fixed size.
const LEAST_NOISE: [f64; 2] = [0.05, 0.1];
const MOST_NOISE: f64 = 1e6;
const LEAST_RATE: f64 = 1e-9;

/// What may be spent at most: a parameter of an event is found that keeps to it.
///
/// # Guarantees
///
/// 1. What is returned was seen to stay within the target, by the upper bound: it never overshoots
///    (`calibration_never_overshoots`, `every_parameter_is_calibrated`).
/// 2. Little is left unused where the cost is monotone in the parameter: one looser by a relative `2e-4` (or, for
///    integers, by one) costs more than 99.8 % of the target, by the upper bound (`every_parameter_is_calibrated`).
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Adjacency, Event, Target};
///
/// let target = Target { epsilon: Epsilon::new(3.0)?, delta: Delta::new(1e-5)?, adjacency: Adjacency::Replace };
/// let event = |noise_multiplier| Event::FixedSizeGaussian { batch_size: 600, rows: 60_000, noise_multiplier }.repeated(1_000);
/// let noise_multiplier = target.noise_multiplier(event)?;
/// assert!(event(noise_multiplier).epsilon(target.delta, target.adjacency)?.upper <= 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The most that may be spent.
    pub epsilon: Epsilon,
    /// The δ at which it is spent.
    pub delta: Delta,
    /// The neighbouring relation.
    pub adjacency: Adjacency,
}

impl Target {
    /// The least noise multiplier, to a relative 1e-4, with which `event` stays within the target.
    ///
    /// # Errors
    ///
    /// Those of the event; [`Error::Unreachable`] when no noise multiplier up to 1e6 reaches the target.
    pub fn noise_multiplier(&self, event: impl Fn(f64) -> Event) -> Result<f64, Error> {
        let upper = |noise: f64| event(noise).upper(self.delta, self.adjacency);
        let target = self.epsilon.value();
        // Other errors than that of the range show again at the larger noise.
        let [least, larger] = LEAST_NOISE;
        let least = if event(least).check(self.adjacency).is_ok() { least } else { larger };
        event(least).check(self.adjacency)?;
        match bracket(&upper, target, least)? {
            Some((low, high)) => least_within(&upper, target, low, high),
            None => Ok(least),
        }
    }

    /// The highest sampling rate, to a relative 1e-4, with which `event` stays within the target.
    ///
    /// # Errors
    ///
    /// Those of the event; [`Error::Unreachable`] when even a rate of 1e-9 misses it.
    pub fn sampling_rate(&self, event: impl Fn(f64) -> Event) -> Result<f64, Error> {
        let within = |rate: f64| self.is_met(&event(rate));
        if within(1.0)? {
            return Ok(1.0);
        }
        let (mut high, mut low): (f64, f64) = (1.0, 0.1);
        while !within(low)? {
            if low <= LEAST_RATE {
                let target = self.epsilon.value();
                return Err(Error::Unreachable { name: "sampling_rate", target, range: "[1e-9, 1]" });
            }
            (high, low) = (low, (low / 10.0).max(LEAST_RATE));
        }
        while high > low * (1.0 + CLOSE) {
            let middle = (high * low).sqrt();
            if within(middle)? { low = middle } else { high = middle }
        }
        Ok(low)
    }

    /// The largest batch, of at most `rows` rows, with which `event` stays within the target.
    ///
    /// # Errors
    ///
    /// Those of the event; [`Error::OutOfRange`] when `rows` is 0 or above 2^53; [`Error::Unreachable`] when even a batch
    /// of one row misses the target.
    pub fn batch_size(&self, rows: u64, event: impl Fn(u64) -> Event) -> Result<u64, Error> {
        within("rows", rows as f64, "[1, 2^53]", |rows| (1.0..=9e15).contains(&rows))?;
        self.most(rows, "batch_size", "[1, rows]", event)
    }

    /// The most times, up to 2^40, that `event` can happen within the target.
    ///
    /// # Errors
    ///
    /// Those of the event; [`Error::Unreachable`] when once exceeds it.
    pub fn steps(&self, event: &Event) -> Result<u64, Error> {
        self.most(1 << 40, "steps", "[1, 2^40]", |steps| event.clone().repeated(steps))
    }

    fn most(
        &self,
        limit: u64,
        name: &'static str,
        range: &'static str,
        event: impl Fn(u64) -> Event,
    ) -> Result<u64, Error> {
        let within = |count: u64| self.is_met(&event(count));
        if !within(1)? {
            return Err(Error::Unreachable { name, target: self.epsilon.value(), range });
        }
        let mut low = 1;
        while low < limit && within((low * 2).min(limit))? {
            low = (low * 2).min(limit);
        }
        let mut high = (low * 2).min(limit);
        while high > low + 1 {
            let middle = u64::midpoint(low, high);
            if within(middle)? { low = middle } else { high = middle }
        }
        Ok(low)
    }

    fn is_met(&self, event: &Event) -> Result<bool, Error> {
        Ok(event.upper(self.delta, self.adjacency)? <= self.epsilon.value())
    }
}

impl SubsampledGaussian {
    /// The least noise, to a relative 1e-4, with which `steps` steps stay within `target`: [`Target::noise_multiplier`]
    /// under [`Adjacency::AddOrRemove`].
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
        Self::new(sampling_rate, MOST_NOISE, clipping_norm)?;
        let event = |noise_multiplier| Event::SubsampledGaussian { sampling_rate, noise_multiplier }.repeated(steps);
        let noise = added_or_removed(target, delta).noise_multiplier(event)?;
        Self::new(sampling_rate, noise, clipping_norm)
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
        Self::new(1.0, noise_multiplier, clipping_norm)?;
        let event = |sampling_rate| Event::SubsampledGaussian { sampling_rate, noise_multiplier }.repeated(steps);
        Self::new(added_or_removed(target, delta).sampling_rate(event)?, noise_multiplier, clipping_norm)
    }

    /// The most steps that stay within `target`; exact, as the upper bound has it, up to 2^40.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when a single step exceeds it.
    pub fn most_steps(&self, target: Epsilon, delta: Delta) -> Result<u64, Error> {
        added_or_removed(target, delta).steps(&self.event())
    }
}

fn added_or_removed(epsilon: Epsilon, delta: Delta) -> Target {
    Target { epsilon, delta, adjacency: Adjacency::AddOrRemove }
}

/// Noise multipliers of which the lower one misses the target and the upper one meets it, at most a factor 2 apart; none
/// where `least` meets it.
fn bracket(upper: &impl Fn(f64) -> Result<f64, Error>, target: f64, least: f64) -> Result<Option<(f64, f64)>, Error> {
    let mut noise = 1.0;
    if upper(noise)? <= target {
        while noise > least {
            let next = (noise / 2.0).max(least);
            if upper(next)? > target {
                return Ok(Some((next, noise)));
            }
            noise = next;
        }
        return Ok(None);
    }
    while noise < MOST_NOISE {
        let next = (noise * 2.0).min(MOST_NOISE);
        if upper(next)? <= target {
            return Ok(Some((noise, next)));
        }
        noise = next;
    }
    Err(Error::Unreachable { name: "noise_multiplier", target, range: "[0.05, 1000000]" })
}

/// The least noise in `(low, high]` that meets the target, to a relative 1e-4: false position in the logarithms (the
/// Illinois variant), halved where it stalls. What is returned was seen to meet the target.
fn least_within(upper: &impl Fn(f64) -> Result<f64, Error>, target: f64, low: f64, high: f64) -> Result<f64, Error> {
    let excess = |noise: f64| Ok::<_, Error>((upper(noise)? / target).ln());
    let (mut low, mut high) = ((low, excess(low)?), (high, excess(high)?));
    let mut stalled = 0;
    while high.0 > low.0 * (1.0 + CLOSE) {
        let fraction =
            if stalled > 2 || !low.1.is_finite() || !high.1.is_finite() { 0.5 } else { low.1 / (low.1 - high.1) };
        // A little above the crossing, so that the next point closes in from the side that meets the target.
        let fraction = (fraction + 2e-5 / (high.0 / low.0).ln()).clamp(0.02, 0.98);
        let noise = low.0 * (high.0 / low.0).powf(fraction);
        let found = excess(noise)?;
        let width = high.0 / low.0 - 1.0;
        if found <= 0.0 {
            high = (noise, found);
        } else {
            low = (noise, found);
        }
        stalled = if high.0 / low.0 - 1.0 > width / 2.0 { stalled + 1 } else { 0 };
    }
    Ok(high.0)
}
