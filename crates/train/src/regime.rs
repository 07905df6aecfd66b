//! Training regimes, by which default settings are chosen.

use serde::{Deserialize, Serialize};

/// What training has to withstand: decides which settings fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// No noise, no adversary.
    Plain,
    /// An adversary, no noise.
    Adversarial,
    /// Noise, with or without an adversary.
    Private,
}
