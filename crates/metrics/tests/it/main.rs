//! Attacks against small models whose behaviour is known.

mod support;

mod contract;
mod controls;
mod coverage;
mod extraction;
mod inversion;
mod membership;
mod poisoning;
mod utility;
