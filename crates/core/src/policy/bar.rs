//! Bars: what evidence must show, and the limits that decide it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limit::{Limit, Perturbation};
use super::meaning::{self, Asked};
use super::requirement::{Amount, AmountUnit, Requirement, Requirements};
use crate::access_level::Access;
use crate::error::{BarFault, Error};
use crate::evidence::{About, Direction, Measurement, Quantity, Shortfall, System};
use crate::number::{Confidence, Norm, Radius};

/// One thing that evidence must show.
///
/// It is met when at least one measurement of the defended system matches it and is as strong as it asks
/// ([`Bar::shortfalls`]), and every such one has a finite value and interval, at least the bar's confidence and sample
/// size, controls that passed (for threats), and the unfavourable end of its interval within the limit and, where
/// asked, above chance.
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
    /// What the measurement's parameters must be: how strong the attack must at least have been.
    pub require: Requirements,
    /// What the bound must keep to.
    pub limit: Limit,
    /// How far above chance the bound must be besides, as a fraction of the way from what the best constant answer reaches
    /// to 1; in `(0, 1)`. None asks for nothing beyond `limit`, which must then itself be above chance.
    pub above_chance: Option<f64>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above_chance: Option<f64>,
    confidence: f64,
    min_samples: u64,
    reason: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    require: Requirements,
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
        let bar = Self {
            about,
            access: text.access,
            quantity,
            attack: text.attack,
            perturbation,
            require: text.require,
            limit,
            above_chance: text.above_chance,
            confidence: Confidence::checked(confidence).map_err(|error| refused(error.into()))?,
            min_samples,
            reason: text.reason,
        };
        bar.checked()
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
            above_chance: bar.above_chance,
            require: bar.require,
            confidence: bar.confidence.value(),
            min_samples: bar.min_samples,
            reason: bar.reason,
        }
    }
}

impl Bar {
    /// This bar, unless its number means nothing or its limit excludes nothing.
    pub(super) fn checked(self) -> Result<Self, Error> {
        let Self {
            about,
            access,
            quantity,
            attack: _,
            perturbation,
            ref require,
            limit,
            above_chance,
            confidence,
            min_samples,
            reason: _,
        } = self;
        let asked = Asked { access, quantity, perturbation, require, limit, above_chance, confidence, min_samples };
        meaning::check(&asked).map_err(|fault| Error::Bar { about, quantity, fault })?;
        Ok(self)
    }

    /// Whether `measurement` is one that this bar judges.
    pub fn matches(&self, measurement: &Measurement) -> bool {
        measurement.system == System::Defended
            && measurement.about == self.about
            && measurement.quantity == self.quantity
            && self.access.is_none_or(|access| measurement.access == Some(access))
            && self.attack.as_ref().is_none_or(|attack| *attack == measurement.attack)
            && self.perturbation.is_none_or(|least| measurement.norm == Some(least.norm))
    }

    /// Where `measurement` is weaker than this bar asks: its radius, the parameters required, and what weakened it.
    pub fn shortfalls(&self, measurement: &Measurement) -> Vec<Shortfall> {
        let radius = self.perturbation.and_then(|least| {
            let amount = Amount { value: least.radius.value(), unit: AmountUnit::One, up_to: None };
            Requirement::AtLeast(amount).shortfall("radius", measurement)
        });
        let required = self.require.iter().filter_map(|(name, required)| required.shortfall(name, measurement));
        radius.into_iter().chain(required).chain(measurement.weakened.iter().cloned()).collect()
    }
}
