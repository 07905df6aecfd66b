//! Test faults: kinds, fractions, and which rows carry which.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A fault that can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The label is another class's.
    LabelFlip,
    /// The row bears a trigger, and its label is the trigger's target (BadNets: Gu, Dolan-Gavitt and Garg 2017).
    Backdoor,
    /// A copy of another row.
    Duplicate,
    /// A copy of another row, its numbers moved by at most 0.2 % of their range.
    NearDuplicate,
    /// One number is far outside its range.
    OutOfRange,
    /// A cell too few, a word for a number, NaN, invalid UTF-8 or no label, in turn.
    Malformed,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 6] =
        [Self::LabelFlip, Self::Backdoor, Self::Duplicate, Self::NearDuplicate, Self::OutOfRange, Self::Malformed];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LabelFlip => "label_flip",
            Self::Backdoor => "backdoor",
            Self::Duplicate => "duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::OutOfRange => "out_of_range",
            Self::Malformed => "malformed",
        })
    }
}

/// Which faults to inject, each as a fraction of the rows in `[0, 1]`; together at most 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(pub BTreeMap<Fault, f64>);

/// Which rows carry which fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected(pub BTreeMap<u64, Fault>);
