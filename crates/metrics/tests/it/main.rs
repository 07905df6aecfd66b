//! Attacks against small models whose behaviour is known.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

mod contract;
mod controls;
mod coverage;
mod extraction;
mod inversion;
mod membership;
mod poisoning;
mod utility;
