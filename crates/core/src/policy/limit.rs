//! Limits: what a bar allows, and the least perturbation that it asks for.

use std::fmt;

use crate::number::{Norm, Radius};

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
