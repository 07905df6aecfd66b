//! Reasons for which a row is rejected.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a row was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The line cannot be split into cells, or has too few or too many.
    Malformed,
    /// A cell of a numeric column is no number, or NaN or infinite.
    NotANumber,
    /// A cell that is needed is empty.
    Missing,
    /// A number lies outside the contract's range.
    OutOfRange,
    /// A word is none of the column's categories.
    UnknownCategory,
    /// The label is none of the classes.
    UnknownClass,
    /// Another row has the same features and label.
    ExactDuplicate,
    /// Another row has the same features and another label.
    ConflictingLabels,
    /// Another row of the class differs by almost nothing.
    NearDuplicate,
    /// A held-out row is the same or almost the same.
    Leakage,
    /// The nearest neighbours contradict the label: a label error.
    LabelError,
    /// The row is far from all others.
    Outlier,
    /// The row's representation bears a backdoor's signature.
    Backdoor,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Malformed => "malformed",
            Self::NotANumber => "not_a_number",
            Self::Missing => "missing",
            Self::OutOfRange => "out_of_range",
            Self::UnknownCategory => "unknown_category",
            Self::UnknownClass => "unknown_class",
            Self::ExactDuplicate => "exact_duplicate",
            Self::ConflictingLabels => "conflicting_labels",
            Self::NearDuplicate => "near_duplicate",
            Self::Leakage => "leakage",
            Self::LabelError => "label_error",
            Self::Outlier => "outlier",
            Self::Backdoor => "backdoor",
        })
    }
}
