//! Errors of `underpin-core`, and what the errors of every crate have in common.

use std::borrow::Cow;

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
#[error("{name} = {value} is outside {range}")]
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
    /// A word is none of those allowed.
    #[error("unknown {name} {value:?}; allowed: {allowed}")]
    Unknown {
        /// What the word should name.
        name: &'static str,
        /// Rejected word.
        value: String,
        /// The words allowed.
        allowed: &'static str,
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
    /// A bar of a policy cannot be judged.
    #[error("bar {bar} of the policy ({about}): {fault}")]
    Bar {
        /// Position of the bar, from 1.
        bar: usize,
        /// What the bar is about.
        about: String,
        /// What is wrong with it.
        fault: String,
    },
}

impl Error {
    pub(crate) fn out_of_range(
        name: impl Into<Cow<'static, str>>,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::OutOfRange(OutOfRange::new(name, value, range))
    }
}
