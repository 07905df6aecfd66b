//! A record: measurements, curves and parameters of one step of the lifecycle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;
use super::value::Value;
use crate::float;

/// A curve that a number alone would hide: points in order of `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What the curve shows, in snake case: `robust_accuracy`, `roc`, `fidelity`, `epsilon`.
    pub name: String,
    /// Which of several curves of that name: the attack, the system.
    pub label: String,
    /// What `x` is, with its unit.
    pub x: String,
    /// What `y` is, with its unit.
    pub y: String,
    /// The points.
    pub points: Vec<Point>,
}

/// One point of a [`Series`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Point(
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub f64,
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub f64,
);

/// What a step of the lifecycle did and measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Numbers with their intervals.
    pub measurements: Vec<Measurement>,
    /// Curves.
    pub series: Vec<Series>,
    /// Settings and counts, by name (`training.noise_multiplier`).
    pub parameters: BTreeMap<String, Value>,
}

impl Record {
    /// Sets a parameter.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.parameters.insert(name.into(), value.into());
    }

    /// Takes over all that `other` holds; of two parameters of one name the later stands.
    pub fn merge(&mut self, other: Self) {
        self.measurements.extend(other.measurements);
        self.series.extend(other.series);
        self.parameters.extend(other.parameters);
    }
}
