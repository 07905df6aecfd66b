//! Bars: what evidence must show, and the limits that decide it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::error::{BarFault, Error};
use crate::evidence::{About, Direction, Measurement, Quantity, System};
use crate::number::{Confidence, Norm, Radius};

/// Which side of the limit is allowed; the limit itself is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The value must reach it.
    AtLeast(f64),
    /// The value must not exceed it.
    AtMost(f64),
}

impl Limit {
    /// Whether `bound` keeps to the limit. NaN never does.
    pub fn admits(self, bound: f64) -> bool {
        match self {
            Self::AtLeast(limit) => bound >= limit,
            Self::AtMost(limit) => bound <= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
        }
    }
}

/// The least perturbation that an attack must have been allowed for its result to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbation {
    /// Its size.
    pub radius: Radius,
    /// How that is measured.
    pub norm: Norm,
}

/// One thing that evidence must show.
///
/// It is met when at least one measurement of the defended system matches it, and every one that matches has a
/// finite value and interval, at least the bar's confidence and sample size, controls that passed (for threats),
/// and the unfavourable end of its interval within the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BarText", into = "BarText")]
pub struct Bar {
    /// What it is about.
    pub about: About,
    /// What the adversary holds; none matches any access.
    pub access: Option<Access>,
    /// What is measured.
    pub quantity: Quantity,
    /// The attack, by name; none matches every attack.
    pub attack: Option<String>,
    /// The perturbation that the attack must at least have been allowed.
    pub perturbation: Option<Perturbation>,
    /// What the bound must keep to.
    pub limit: Limit,
    /// The least confidence of the interval.
    pub confidence: Confidence,
    /// The least number of independent observations.
    pub min_samples: u64,
    /// Why the limit is what it is.
    pub reason: String,
}

/// [`Bar`] as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Bar"))]
#[serde(deny_unknown_fields)]
struct BarText {
    about: About,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
    quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attack: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    radius: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    norm: Option<Norm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    confidence: f64,
    min_samples: u64,
    reason: String,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Bar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        BarText::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BarText::json_schema(generator)
    }
}

impl TryFrom<BarText> for Bar {
    type Error = Error;

    fn try_from(text: BarText) -> Result<Self, Error> {
        let BarText { about, quantity, confidence, min_samples, .. } = text;
        let refused = |fault: BarFault| Error::Bar { about, quantity, fault };
        let limit = match (text.at_least, text.at_most) {
            (Some(limit), None) => Limit::AtLeast(limit),
            (None, Some(limit)) => Limit::AtMost(limit),
            _ => return Err(refused(BarFault::Limits)),
        };
        let (value, sound) = match limit {
            Limit::AtLeast(value) => (value, quantity.direction() == Direction::Higher),
            Limit::AtMost(value) => (value, quantity.direction() == Direction::Lower),
        };
        if !value.is_finite() {
            return Err(refused(BarFault::NotFinite { limit: value }));
        }
        if !sound {
            let word = if quantity.direction() == Direction::Higher { "at_least" } else { "at_most" };
            return Err(refused(BarFault::WrongSide { allowed: word }));
        }
        if min_samples == 0 {
            return Err(refused(BarFault::NoSamples));
        }
        if text.reason.trim().is_empty() {
            return Err(refused(BarFault::NoReason));
        }
        let perturbation = match (text.radius, text.norm) {
            (Some(radius), Some(norm)) => {
                let radius = Radius::checked(radius).map_err(|error| refused(error.into()))?;
                Some(Perturbation { radius, norm })
            }
            (None, None) => None,
            _ => return Err(refused(BarFault::Perturbation)),
        };
        Ok(Self {
            about,
            access: text.access,
            quantity,
            attack: text.attack,
            perturbation,
            limit,
            confidence: Confidence::checked(confidence).map_err(|error| refused(error.into()))?,
            min_samples,
            reason: text.reason,
        })
    }
}

impl From<Bar> for BarText {
    fn from(bar: Bar) -> Self {
        let (at_least, at_most) = match bar.limit {
            Limit::AtLeast(limit) => (Some(limit), None),
            Limit::AtMost(limit) => (None, Some(limit)),
        };
        Self {
            about: bar.about,
            access: bar.access,
            quantity: bar.quantity,
            attack: bar.attack,
            radius: bar.perturbation.map(|perturbation| perturbation.radius.value()),
            norm: bar.perturbation.map(|perturbation| perturbation.norm),
            at_least,
            at_most,
            confidence: bar.confidence.value(),
            min_samples: bar.min_samples,
            reason: bar.reason,
        }
    }
}

impl Bar {
    /// Whether `measurement` is one that this bar judges.
    pub fn matches(&self, measurement: &Measurement) -> bool {
        measurement.system == System::Defended
            && measurement.about == self.about
            && measurement.quantity == self.quantity
            && self.access.is_none_or(|access| measurement.access == Some(access))
            && self.attack.as_ref().is_none_or(|attack| *attack == measurement.attack)
            && self.perturbation.is_none_or(|least| {
                measurement.norm == Some(least.norm) && measurement.radius.is_some_and(|radius| radius >= least.radius)
            })
    }
}
