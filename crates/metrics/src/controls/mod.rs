//! Controls: planted targets on which the outcome of an attack is known beforehand.
//!
//! Each function runs the attack as configured, by the same code as on the real target, on a target it must break and
//! on one it cannot: an attack that fails on the first is too weak to prove anything, one that succeeds on the second
//! cheats or errs. Their results belong into the measurements of that attack
//! ([`underpin_core::Measurement::controls`]).
//!
//! Where an ideal target leaves the attack to chance, the bound is the one that chance breaks with probability
//! [`FALSE_ALARM`] over seeds.

mod evasion;
mod inversion;
mod knockoff;
mod membership;
mod planted;
mod poisoning;

pub use evasion::{pgd, rays, square, transfer};
pub use inversion::{gradient_inversion, query_inversion};
pub use knockoff::knockoff;
pub use membership::{label_only_gap, lira};
pub use poisoning::backdoor;

use underpin_core::Control;

use crate::interval::normal_quantile;

/// Probability with which an attack that works is marked invalid by an ideal control.
pub const FALSE_ALARM: f64 = 1e-3;

/// Standard deviations that a normal variable exceeds with probability [`FALSE_ALARM`].
fn deviations() -> f64 {
    normal_quantile(FALSE_ALARM)
}

fn at_least(target: &str, value: f64, least: f64) -> Control {
    Control { target: target.into(), value, at_least: Some(least), at_most: None }
}

fn at_most(target: &str, value: f64, most: f64) -> Control {
    Control { target: target.into(), value, at_least: None, at_most: Some(most) }
}
