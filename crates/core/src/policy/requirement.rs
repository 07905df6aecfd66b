//! Requirements: how strong an attack, or how strict a parameter, must at least have been for a measurement to count.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::RequirementFault;
use crate::evidence::{Measurement, Shortfall, Value};

/// Requirements by the name of the parameter: `queries`, `radius` and `norm` are those fields of a measurement, every
/// other name is looked up in [`Measurement::parameters`].
pub type Requirements = BTreeMap<String, Requirement>;

/// What a parameter of a measurement must be for the measurement to count.
///
/// # Examples
///
/// In a policy: at least 1,000 queries; a δ of at most a tenth of one over the number of rows; all the queries that the
/// keys of the adversary allow.
///
/// ```
/// use underpin_core::{Requirement, Requirements};
///
/// let requirements: Requirements = toml::from_str(
///     "queries = { at_least = 1.0, of = \"allowed_queries\" }
///      shadows = { at_least = 64 }
///      delta = { at_most = 0.1, per = \"rows\" }
///      variance = { equals = \"per_example\" }",
/// )?;
/// assert_eq!(requirements["delta"].to_string(), "<= 0.1 / rows");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RequirementText", into = "RequirementText")]
pub enum Requirement {
    /// The parameter is a number of at least this.
    AtLeast(Amount),
    /// The parameter is a number of at most this.
    AtMost(Amount),
    /// The parameter is this very value.
    Equals(Value),
}

/// A number, or a multiple of another parameter of the same measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount {
    /// The number. Finite, at least 0.
    pub value: f64,
    /// What it is a multiple of.
    pub unit: AmountUnit,
    /// The most that the multiple asks for, for [`Requirement::AtLeast`]; none has no end.
    pub up_to: Option<f64>,
}

/// What an [`Amount`] is a multiple of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountUnit {
    /// One.
    One,
    /// The value of this parameter.
    Of(String),
    /// One over the value of this parameter.
    Per(String),
}

/// [`Requirement`] as it is written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Requirement"))]
#[serde(deny_unknown_fields)]
struct RequirementText {
    /// The least number that the parameter may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    /// The greatest number that the parameter may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    /// The only value that the parameter may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Value>,
    /// The limit is a multiple of this other parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// The limit is a multiple of one over this other parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<String>,
    /// The most that a multiple of another parameter asks for; with `at_least`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<f64>,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Requirement {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RequirementText::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RequirementText::json_schema(generator)
    }
}

impl TryFrom<RequirementText> for Requirement {
    type Error = RequirementFault;

    fn try_from(text: RequirementText) -> Result<Self, RequirementFault> {
        let RequirementText { at_least, at_most, equals, of, per, up_to } = text;
        let unit = match (of, per) {
            (None, None) => AmountUnit::One,
            (Some(of), None) => AmountUnit::Of(of),
            (None, Some(per)) => AmountUnit::Per(per),
            (Some(_), Some(_)) => return Err(RequirementFault::TwoUnits),
        };
        if up_to.is_some() && (at_least.is_none() || unit == AmountUnit::One) {
            return Err(RequirementFault::UpTo);
        }
        let finite = |value: f64| {
            if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(RequirementFault::Amount { value }) }
        };
        let up_to = up_to.map(finite).transpose()?;
        let amount = |value, unit| Ok(Amount { value: finite(value)?, unit, up_to });
        match (at_least, at_most, equals) {
            (Some(value), None, None) => Ok(Self::AtLeast(amount(value, unit)?)),
            (None, Some(value), None) => Ok(Self::AtMost(amount(value, unit)?)),
            (None, None, Some(value)) if unit == AmountUnit::One => Ok(Self::Equals(value)),
            (None, None, Some(_)) => Err(RequirementFault::UnitOfEquals),
            _ => Err(RequirementFault::Limits),
        }
    }
}

impl From<Requirement> for RequirementText {
    fn from(requirement: Requirement) -> Self {
        let units = |unit| match unit {
            AmountUnit::One => (None, None),
            AmountUnit::Of(of) => (Some(of), None),
            AmountUnit::Per(per) => (None, Some(per)),
        };
        match requirement {
            Requirement::AtLeast(Amount { value, unit, up_to }) => {
                let (of, per) = units(unit);
                Self { at_least: Some(value), of, per, up_to, ..Self::default() }
            }
            Requirement::AtMost(Amount { value, unit, up_to }) => {
                let (of, per) = units(unit);
                Self { at_most: Some(value), of, per, up_to, ..Self::default() }
            }
            Requirement::Equals(value) => Self { equals: Some(value), ..Self::default() },
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, unit, up_to } = self;
        match unit {
            AmountUnit::One => write!(f, "{value}"),
            AmountUnit::Of(of) => write!(f, "{value} x {of}"),
            AmountUnit::Per(per) => write!(f, "{value} / {per}"),
        }?;
        up_to.map_or(Ok(()), |up_to| write!(f, ", up to {up_to}"))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(amount) => write!(f, ">= {amount}"),
            Self::AtMost(amount) => write!(f, "<= {amount}"),
            Self::Equals(value) => write!(f, "= {value}"),
        }
    }
}

impl Amount {
    /// The number for `measurement`; none when the measurement does not state the parameter, or it is no number.
    fn of(&self, measurement: &Measurement) -> Option<f64> {
        let amount = match &self.unit {
            AmountUnit::One => self.value,
            AmountUnit::Of(name) => self.value * measurement.parameter(name)?.number()?,
            AmountUnit::Per(name) => self.value / measurement.parameter(name)?.number()?,
        };
        Some(self.up_to.map_or(amount, |up_to| amount.min(up_to)))
    }
}

impl Requirement {
    /// How `measurement` falls short of this requirement on its parameter `name`; none if it does not.
    ///
    /// A parameter that is not stated, or is not the kind of value that is asked for, falls short. NaN always does.
    pub fn shortfall(&self, name: &str, measurement: &Measurement) -> Option<Shortfall> {
        let found = measurement.parameter(name);
        let number = found.as_ref().and_then(Value::number);
        let holds = match self {
            Self::AtLeast(amount) => number.zip(amount.of(measurement)).is_some_and(|(has, least)| has >= least),
            Self::AtMost(amount) => number.zip(amount.of(measurement)).is_some_and(|(has, most)| has <= most),
            Self::Equals(value) => match (number, value.number()) {
                #[allow(
                    clippy::float_cmp,
                    reason = "a value of a file is compared with one that was written to a file"
                )]
                (Some(has), Some(asked)) => has == asked,
                _ => found.as_ref() == Some(value),
            },
        };
        (!holds).then(|| Shortfall {
            parameter: name.to_owned(),
            found: found.map(|value| value.to_string()),
            asked: self.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(text: &str) -> Result<Requirement, String> {
        let table: BTreeMap<String, Requirement> =
            toml::from_str(&format!("x = {{ {text} }}")).map_err(|error| error.message().to_owned())?;
        Ok(table["x"].clone())
    }

    #[test]
    fn requirements_survive_the_round_trip_and_contradictions_are_refused() {
        for text in [
            "at_least = 10",
            "at_most = 0.1, per = \"rows\"",
            "at_least = 1.0, of = \"allowed\", up_to = 5",
            "equals = true",
        ] {
            let read = requirement(text).unwrap();
            let written = toml::to_string(&BTreeMap::from([("x", &read)])).unwrap();
            let again: BTreeMap<String, Requirement> = toml::from_str(&written).unwrap();
            assert_eq!(again["x"], read, "{text}");
        }
        for (text, fault) in [
            ("", "exactly one of `at_least`, `at_most` and `equals`"),
            ("at_least = 1, at_most = 2", "exactly one of"),
            ("at_least = -1.0", "-1 is no limit"),
            ("at_most = nan", "NaN is no limit"),
            ("at_most = 1.0, of = \"a\", per = \"b\"", "either `of` or `per`"),
            ("equals = 1, of = \"a\"", "`equals` takes neither"),
            ("at_least = 1.0, up_to = 5", "`up_to` limits"),
            ("at_most = 1.0, of = \"a\", up_to = 5", "`up_to` limits"),
            ("more = 1", "unknown field `more`"),
        ] {
            let refused = requirement(text).unwrap_err();
            assert!(refused.contains(fault), "{text}: {refused}");
        }
    }
}
