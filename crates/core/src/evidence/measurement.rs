//! A measurement: one number with everything needed to judge it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::about::{About, System};
use super::control::Control;
use super::interval::Interval;
use super::quantity::{Direction, Quantity, Unit};
use super::shortfall::Shortfall;
use super::value::Value;
use crate::access_level::Access;
use crate::float;
use crate::number::{Norm, Radius};
use crate::taxonomy::Phase;

/// One number with its interval, unit, sample size, direction, threat, access, phase, attack and parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What it is about.
    pub about: About,
    /// What is measured; fixes unit and direction.
    pub quantity: Quantity,
    /// On which system.
    pub system: System,
    /// What the adversary held; none for what needs no adversary.
    pub access: Option<Access>,
    /// Where in the lifecycle.
    pub phase: Phase,
    /// The attack or the test, by the name of its paper.
    pub attack: String,
    /// The number.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub value: f64,
    /// Where the true value lies.
    pub interval: Interval,
    /// Number of independent observations behind it.
    pub n: u64,
    /// The value that guessing gives, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "float::option")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<float::Number>"))]
    pub chance: Option<f64>,
    /// The value that the best constant answer reaches on the same inputs: what a model without skill has; none where a
    /// constant answer has no value.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "float::option")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<float::Number>"))]
    pub constant: Option<f64>,
    /// Queries the adversary made of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<u64>,
    /// Size of the perturbation allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<Radius>,
    /// How that size is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    /// Everything else needed to repeat it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Value>,
    /// Runs on targets whose answer is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
    /// Settings in which the attack that was run is weaker than the plan that the policy asks for: such a measurement meets
    /// no bar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weakened: Vec<Shortfall>,
}

impl Measurement {
    /// Its unit.
    pub const fn unit(&self) -> Unit {
        self.quantity.unit()
    }

    /// Which way is better for the defender.
    pub const fn direction(&self) -> Direction {
        self.quantity.direction()
    }

    /// The end of the interval that is worse for the defender.
    pub const fn unfavourable(&self) -> f64 {
        self.interval.unfavourable(self.direction())
    }

    /// The value of a parameter: `queries`, `radius` and `norm` are fields, others are in [`Self::parameters`].
    pub fn parameter(&self, name: &str) -> Option<Value> {
        match name {
            "queries" => self.queries.map(Value::from),
            "radius" => self.radius.map(|radius| radius.value().into()),
            "norm" => self.norm.map(|norm| norm.word().into()),
            _ => self.parameters.get(name).cloned(),
        }
    }

    /// Whether the attack is known to work: it has controls and did on each what it must.
    pub fn is_valid(&self) -> bool {
        !self.controls.is_empty() && self.controls.iter().all(Control::passed)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {:.4} [{:.4}, {:.4}] ({}, n = {})",
            self.quantity, self.value, self.interval.lower, self.interval.upper, self.attack, self.n
        )
    }
}
