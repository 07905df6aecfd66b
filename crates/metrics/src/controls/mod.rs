//! Controls: targets with a known answer, on which the outcome of an attack is known beforehand.
//!
//! Each function runs the attack as configured, by the same code as on the real target, on a target it must break and
//! on one it cannot: an attack that fails on the first is too weak to prove anything, one that succeeds on the second
//! cheats or errs. Their results belong into the measurements of that attack
//! ([`underpin_core::Measurement::controls`]).
//!
//! Where an ideal target leaves the attack to chance, the bound is the one that chance breaks with probability
//! [`FALSE_ALARM`] over seeds.

mod bounds;
mod evasion;
mod inversion;
mod knockoff;
mod membership;
mod poisoning;
mod targets;

pub use bounds::FALSE_ALARM;
pub use evasion::{pgd, rays, square, transfer};
pub use inversion::{gradient_inversion, query_inversion};
pub use knockoff::knockoff;
pub use membership::{label_only_gap, lira};
pub use poisoning::backdoor;
