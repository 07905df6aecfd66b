//! Confidence intervals.

use serde::{Deserialize, Serialize};

use super::quantity::Direction;
use crate::float;
use crate::number::Confidence;

/// Where the true value lies, with the stated confidence. One-sided bounds leave the other end infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub lower: f64,
    /// Upper end.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub upper: f64,
    /// Probability with which such an interval covers the true value.
    pub confidence: Confidence,
}

impl Interval {
    /// The end that is worse for the defender.
    pub const fn unfavourable(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Higher => self.lower,
            Direction::Lower => self.upper,
        }
    }

    /// Whether the two have no value in common. False when an end is NaN.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.upper < other.lower || other.upper < self.lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_are_not_apart() {
        let confidence = Confidence::new(0.95).unwrap();
        let interval = |lower, upper| Interval { lower, upper, confidence };
        assert!(!interval(0.0, 0.5).is_apart_from(&interval(0.5, 1.0)));
        assert!(interval(0.0, 0.4).is_apart_from(&interval(0.5, 1.0)));
        assert!(!interval(f64::NAN, f64::NAN).is_apart_from(&interval(0.5, 1.0)));
    }
}
