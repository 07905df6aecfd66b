//! Bounds of controls: what an attack that works must reach, and what chance allows.

use underpin_core::Control;

use crate::interval::normal_quantile;

/// Probability with which an attack that works is marked invalid by an ideal control.
pub const FALSE_ALARM: f64 = 1e-3;

/// Standard deviations that a normal variable exceeds with probability [`FALSE_ALARM`].
pub(super) fn deviations() -> f64 {
    normal_quantile(FALSE_ALARM)
}

/// A control that passes from `least` on.
pub(super) fn at_least(target: &str, value: f64, least: f64) -> Control {
    Control { target: target.into(), value, at_least: Some(least), at_most: None }
}

/// A control that passes up to `most`.
pub(super) fn at_most(target: &str, value: f64, most: f64) -> Control {
    Control { target: target.into(), value, at_least: None, at_most: Some(most) }
}
