//! Intent: what a model is meant for, its cost matrix, forbidden confusions and abstention.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::limit::Limit;
use super::requirement::{Requirement, Requirements};
use crate::error::Error;
use crate::evidence::{About, Quantity};
use crate::number::Confidence;

/// Confidence of the intervals that decide.
const CONFIDENCE: f64 = 0.95;

/// Fewest observations that decide.
const FEWEST_SAMPLES: u64 = 30;

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

/// What the model is meant for. A cleared model is released only when each limit here is met too.
///
/// Each limit is a bar ([`Intent::bars`]): the unfavourable end of the interval decides, at a confidence of 0.95 and from at
/// least 30 observations.
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
    /// Largest mean cost of an answer, from 0 to below that of the dearest answer.
    #[serde(default)]
    pub max_expected_cost: Option<f64>,
    /// Confusions that must stay at most as frequent as their weight, in `[0, 1)`, among inputs of the true class.
    #[serde(default)]
    pub forbidden: Vec<Confusion>,
    /// Risk (fraction of errors among answers), in `(0, 1)`, to which the model abstains.
    #[serde(default)]
    pub selective_risk: Option<f64>,
    /// Least fraction of out-of-scope inputs that must be abstained on, in `(0, 1]`.
    #[serde(default)]
    pub out_of_scope_abstention: Option<f64>,
    /// Least fraction of inputs that must be answered, in `(0, 1]`: who abstains from everything is never wrong.
    #[serde(default)]
    pub coverage: Option<f64>,
    /// Least accuracy on the class on which it is lowest, in `(0, 1]`.
    #[serde(default)]
    pub worst_group_accuracy: Option<f64>,
}

impl Intent {
    /// The limits as bars, in the order of the fields; safety evaluation measures each.
    ///
    /// # Errors
    ///
    /// [`Error::Bar`] for a limit outside its range, [`Error::OutOfRange`] for a cost that is negative or not finite.
    pub fn bars(&self) -> Result<Vec<Bar>, Error> {
        let Self {
            purpose: _,
            costs,
            max_expected_cost,
            forbidden,
            selective_risk,
            out_of_scope_abstention,
            coverage,
            worst_group_accuracy,
        } = self;
        if let Some(cost) = costs.iter().find(|cost| !(cost.weight.is_finite() && cost.weight >= 0.0)) {
            return Err(Error::out_of_range("weight of a cost", cost.weight, "[0, inf)"));
        }
        let dearest = costs.iter().map(|cost| cost.weight).fold(1.0, f64::max);
        if let Some(most) = max_expected_cost.filter(|most| !(0.0..dearest).contains(most)) {
            let range = format!("[0, {dearest}): below the cost of the dearest answer");
            return Err(Error::out_of_range("max_expected_cost", most, range));
        }
        let bar = |about, quantity, limit, require| {
            Bar {
                about,
                access: None,
                quantity,
                attack: None,
                perturbation: None,
                require,
                limit,
                above_chance: None,
                confidence: Confidence::new(CONFIDENCE)?,
                min_samples: FEWEST_SAMPLES,
                reason: "the policy's intent".to_owned(),
            }
            .checked()
        };
        let none = Requirements::new;
        let mut bars = Vec::new();
        if let Some(most) = *max_expected_cost {
            bars.push(bar(About::Alignment, Quantity::ExpectedCost, Limit::AtMost(most), none())?);
        }
        for Confusion { truth, answer, weight } in forbidden {
            let named = |name: &str, class: &str| (name.to_owned(), Requirement::Equals(class.into()));
            let require = Requirements::from([named("truth", truth), named("answer", answer)]);
            bars.push(bar(About::Alignment, Quantity::ForbiddenConfusion, Limit::AtMost(*weight), require)?);
        }
        if let Some(most) = *selective_risk {
            bars.push(bar(About::Safety, Quantity::SelectiveRisk, Limit::AtMost(most), none())?);
        }
        if let Some(least) = *out_of_scope_abstention {
            let limit = Limit::AtLeast(least);
            bars.push(bar(About::Alignment, Quantity::OutOfScopeAbstention, limit, none())?);
        }
        if let Some(least) = *coverage {
            bars.push(bar(About::Safety, Quantity::Coverage, Limit::AtLeast(least), none())?);
        }
        if let Some(least) = *worst_group_accuracy {
            bars.push(bar(About::Safety, Quantity::WorstGroupAccuracy, Limit::AtLeast(least), none())?);
        }
        Ok(bars)
    }
}
