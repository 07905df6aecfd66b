//! One contract table for each family of attacks: every implementation, and the assertions that hold for all of them.

mod evasion;
mod extraction;
mod inversion;
mod membership;
mod poisoning;
