//! Controls: runs of an attack on targets with a known answer.

use serde::{Deserialize, Serialize};

use crate::float;

/// A run of the attack on a target whose answer is known beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The target with a known answer: what makes it weak or ideal.
    pub target: String,
    /// The quantity measured on it.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub value: f64,
    /// The least value with which the attack works as it should, if there is one.
    pub at_least: Option<f64>,
    /// The greatest value with which the attack works as it should, if there is one.
    pub at_most: Option<f64>,
}

impl Control {
    /// Whether the attack did on this target what it must. NaN never does; nor does a control without a bound.
    pub fn passed(&self) -> bool {
        !self.value.is_nan()
            && (self.at_least.is_some() || self.at_most.is_some())
            && self.at_least.is_none_or(|least| self.value >= least)
            && self.at_most.is_none_or(|most| self.value <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_without_a_bound_or_a_number_does_not_pass() {
        let control = |value, at_least, at_most| Control { target: "t".into(), value, at_least, at_most };
        assert!(!control(0.5, None, None).passed());
        assert!(!control(f64::NAN, Some(0.0), None).passed());
        assert!(control(0.5, Some(0.5), Some(0.5)).passed());
        assert!(!control(0.5, Some(0.6), None).passed());
        assert!(!control(0.5, None, Some(0.4)).passed());
    }
}
