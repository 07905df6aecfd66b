//! Shortfalls: parameters of an attack that are weaker than asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A parameter that is weaker than a policy asks for, or not stated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shortfall {
    /// The parameter's name.
    pub parameter: String,
    /// What it is, as written in the measurement; none if the measurement does not state it.
    pub found: Option<String>,
    /// What the policy asks for: `>= 1000`.
    pub asked: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{} {found}, asked for: {}", self.parameter, self.asked),
            None => write!(f, "{} not stated, asked for: {}", self.parameter, self.asked),
        }
    }
}
