//! What acts on rows and models, and the evidence it leaves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Examples, Measurement, Seed, float};

/// A parameter as it stands in evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// Any other finite number.
    Number(f64),
    /// A word.
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Count(value as u64)
    }
}

impl From<f64> for Value {
    /// A number that is not finite becomes its word, so that it survives JSON.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(value) } else { Self::Text(value.to_string()) }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

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

/// A value and the evidence of how it came about; never one alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited<T> {
    /// The value.
    pub value: T,
    /// How it came about.
    pub record: Record,
}

/// Drops or quarantines rows that should not be trained on.
///
/// Sanitizers are idempotent on what they kept, and never invent or change a row.
pub trait Sanitizer<Rows> {
    /// Why rows could not be judged at all.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Judges `rows`.
    ///
    /// # Errors
    ///
    /// When the rows cannot be judged; a bad row is no error, it is dropped with its reason.
    fn sanitize(&self, rows: Rows) -> Result<Audited<Rows>, Self::Error>;
}

/// Fits a model.
pub trait Trainer {
    /// What is fitted.
    type Model;

    /// Why nothing could be fitted.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Fits a model to `data`; the same seed gives the same model, noise that protects privacy excepted.
    ///
    /// # Errors
    ///
    /// When the data or the settings do not allow training.
    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Self::Model>, Self::Error>;
}

impl<T: Trainer + ?Sized> Trainer for &T {
    type Model = T::Model;
    type Error = T::Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Self::Model>, Self::Error> {
        (**self).train(data, seed)
    }
}
