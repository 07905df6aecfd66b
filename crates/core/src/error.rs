//! Errors of `underpin-core`, and what the errors of every crate have in common.

use std::borrow::Cow;

use crate::access_level::Access;
use crate::evidence::{About, Quantity};
use crate::taxonomy::Threat;

/// A number outside the interval that is allowed. Every crate's error has one variant that holds it.
///
/// # Examples
///
/// ```
/// use underpin_core::OutOfRange;
///
/// let error = OutOfRange::new("sampling_rate", 1.5, "[0, 1]");
/// assert_eq!(error.to_string(), "sampling_rate = 1.5 is outside [0, 1]");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} = {} is outside {range}", readable(*value))]
pub struct OutOfRange {
    /// The parameter, as written in the source paper or in the configuration file.
    pub name: Cow<'static, str>,
    /// Rejected value.
    pub value: f64,
    /// Allowed interval.
    pub range: Cow<'static, str>,
}

impl OutOfRange {
    /// `name` is `value`, which lies outside `range`.
    pub fn new(name: impl Into<Cow<'static, str>>, value: f64, range: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), value, range: range.into() }
    }
}

/// A number in at most some twenty characters: very large and very small ones with an exponent.
fn readable(value: f64) -> String {
    if value == 0.0 || (1e-7..1e16).contains(&value.abs()) || !value.is_finite() {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// Where the cause of an error lies. Every crate's error classifies each of its variants (`Error::origin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorOrigin {
    /// The caller passed an argument or a setting that is not allowed. Calling again with the same arguments fails again.
    Caller,
    /// The data, a file or a message is malformed, or was tampered with: treat it as hostile.
    Input,
    /// A file, the disk, the network or another process failed. Calling again later may succeed.
    System,
}

/// Errors of `underpin-core`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A quantity lies outside its mathematical range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A buffer's length does not fit the shape it is said to have.
    #[error("{name} holds {found} values where {expected} are needed")]
    Length {
        /// What the buffer is.
        name: &'static str,
        /// Number of values needed.
        expected: usize,
        /// Number of values given.
        found: usize,
    },
    /// A label names no class.
    #[error("label {label} of example {example} is not below the number of classes, {classes}")]
    Label {
        /// Position of the example.
        example: usize,
        /// Rejected label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A text is not a digest.
    #[error("{value:?} is not a SHA-256 digest: 64 lower-case hexadecimal digits")]
    Digest {
        /// Rejected text.
        value: String,
    },
    /// A policy leaves something open that every policy must decide.
    #[error("the policy {policy:?} has no bar for: {}", .missing.join(", "))]
    IncompletePolicy {
        /// Name of the policy.
        policy: String,
        /// What has no bar.
        missing: Vec<String>,
    },
    /// A waiver of a policy cannot stand.
    #[error("the waiver of {threat} at {access} {fault}")]
    Waiver {
        /// The threat that is waived.
        threat: Threat,
        /// At what level of access.
        access: Access,
        /// What is wrong with it.
        fault: WaiverFault,
    },
    /// A bar of a policy cannot be judged.
    #[error("{about} {quantity}: {fault}")]
    Bar {
        /// What the bar is about.
        about: About,
        /// The quantity that it bounds.
        quantity: Quantity,
        /// What is wrong with it.
        fault: BarFault,
    },
}

/// Why a bar of a policy cannot be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BarFault {
    /// It has no limit, or two.
    #[error("give either `at_least` or `at_most`")]
    Limits,
    /// Its limit is NaN or infinite.
    #[error("the limit {limit} is not a finite number")]
    NotFinite {
        /// The limit.
        limit: f64,
    },
    /// It bounds the quantity on the side that is good for the defender.
    #[error("bounded from the wrong side; use `{allowed}`")]
    WrongSide {
        /// The side that may be bounded: `at_least` or `at_most`.
        allowed: &'static str,
    },
    /// It asks for no observation.
    #[error("`min_samples` must be at least 1")]
    NoSamples,
    /// It gives no reason.
    #[error("`reason` is empty; say why the limit is what it is")]
    NoReason,
    /// It has a radius without a norm, or a norm without a radius.
    #[error("give `radius` and `norm` together")]
    Perturbation,
    /// The quantity means nothing without a parameter that the bar does not bound.
    #[error("the number means nothing without `{parameter}`: bound it by `require.{parameter}`, {by}")]
    Unbounded {
        /// The parameter.
        parameter: &'static str,
        /// How it must be bounded.
        by: &'static str,
    },
    /// What it asks for excludes nothing, or is out of reach by definition.
    #[error("{name} = {value} excludes nothing; allowed: {range}")]
    ExcludesNothing {
        /// What is asked for: the limit, the confidence.
        name: &'static str,
        /// The value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// A parameter without which the quantity means nothing is bounded by something that may be anything.
    #[error("`require.{parameter}` bounds nothing that is known; allowed: {allowed}")]
    Unknown {
        /// The parameter.
        parameter: &'static str,
        /// How it may be bounded.
        allowed: &'static str,
    },
    /// It is relative to chance, and a constant answer has no value of this quantity.
    #[error("`above_chance` needs a quantity that a constant answer has: clean, balanced, robust or shift accuracy")]
    NoChance,
    /// Its radius or confidence is outside the allowed range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// Why a requirement on a parameter cannot be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementFault {
    /// It has no limit, or several.
    #[error("give exactly one of `at_least`, `at_most` and `equals`")]
    Limits,
    /// Its number is negative, NaN or infinite.
    #[error("{value} is no limit: a finite number of at least 0 is")]
    Amount {
        /// The number.
        value: f64,
    },
    /// It is a multiple of two parameters.
    #[error("give either `of` or `per`")]
    TwoUnits,
    /// It limits what is no multiple, or no least number.
    #[error("`up_to` limits an `at_least` with `of` or `per`")]
    UpTo,
    /// It asks for a value that is a multiple of something.
    #[error("`equals` takes neither `of` nor `per`")]
    UnitOfEquals,
}

/// Why a waiver of a policy cannot stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaiverFault {
    /// It gives no reason.
    #[error("gives no reason; say why no bar is needed")]
    NoReason,
    /// The policy has a bar for what it waives.
    #[error("contradicts a bar of the same policy")]
    Barred,
    /// No adversary with that aim has that access.
    #[error("waives nothing: no adversary with that aim has that access")]
    NotApplicable,
}

impl Error {
    /// Where the cause lies: in an argument or a setting, or in data that was read.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::OutOfRange(_)
            | Self::Length { .. }
            | Self::Label { .. }
            | Self::IncompletePolicy { .. }
            | Self::Waiver { .. }
            | Self::Bar { .. } => ErrorOrigin::Caller,
            Self::Digest { .. } => ErrorOrigin::Input,
        }
    }

    pub(crate) fn out_of_range(
        name: impl Into<Cow<'static, str>>,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::OutOfRange(OutOfRange::new(name, value, range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_messages_are_short() {
        for (value, text) in [
            (-1e300, "-1e300"),
            (1e-300, "1e-300"),
            (0.0, "0"),
            (1.5, "1.5"),
            (1e-5, "0.00001"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(OutOfRange::new("x", value, "[1, 2]").to_string(), format!("x = {text} is outside [1, 2]"));
        }
    }

    #[test]
    fn every_error_has_an_origin() {
        let caller = [
            Error::out_of_range("ratio", 2.0, "[0, 1]"),
            Error::Length { name: "labels", expected: 1, found: 2 },
            Error::Bar { about: About::Evasion, quantity: Quantity::RobustAccuracy, fault: BarFault::Limits },
        ];
        assert!(caller.iter().all(|error| error.origin() == ErrorOrigin::Caller));
        assert_eq!(Error::Digest { value: "x".into() }.origin(), ErrorOrigin::Input);
    }
}
