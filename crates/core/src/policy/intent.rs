//! Intent: what a model is meant for, its cost matrix, forbidden confusions and abstention.

use serde::{Deserialize, Serialize};

/// A confusion of classes and what it costs, or how often it may happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Name of the true class.
    pub truth: String,
    /// Name of the class answered.
    pub answer: String,
    /// Cost of one such answer, or the largest fraction of such answers among inputs of the true class.
    pub weight: f64,
}

/// What the model is meant for: checked once it is cleared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// In words.
    #[serde(default)]
    pub purpose: String,
    /// Cost matrix: confusions that cost other than 1. A correct answer costs 0.
    #[serde(default)]
    pub costs: Vec<Confusion>,
    /// Largest mean cost of an answer.
    #[serde(default)]
    pub max_expected_cost: Option<f64>,
    /// Confusions that must stay rarer than their weight.
    #[serde(default)]
    pub forbidden: Vec<Confusion>,
    /// Risk (fraction of errors among answers) at which the model abstains.
    #[serde(default)]
    pub selective_risk: Option<f64>,
    /// Least fraction of out-of-scope inputs that must be abstained on.
    #[serde(default)]
    pub out_of_scope_abstention: Option<f64>,
}
