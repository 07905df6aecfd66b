//! What the vocabulary refuses.

/// What `underpin-core` refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A quantity lies outside its mathematical range.
    #[error("{name} = {value} is outside {range}")]
    OutOfRange {
        /// Parameter as written in the source paper.
        name: &'static str,
        /// Rejected value.
        value: f64,
        /// Allowed interval.
        range: &'static str,
    },
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
