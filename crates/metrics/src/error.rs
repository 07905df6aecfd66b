//! Errors of `underpin-metrics`.

use std::borrow::Cow;

use underpin_core::{Denied, ErrorOrigin, OutOfRange};

/// Errors of `underpin-metrics`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Nothing was observed, so nothing can be measured.
    #[error("no observation: {what} is empty")]
    NoObservations {
        /// What is empty.
        what: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("{name} holds {found} entries where {expected} are needed")]
    Length {
        /// What the list is.
        name: &'static str,
        /// Number of entries needed.
        expected: usize,
        /// Number of entries given.
        found: usize,
    },
    /// An input is not a number in `[0, 1]`.
    #[error("value {value} at position {position} of example {example} is outside [0, 1]")]
    Feature {
        /// Position of the example.
        example: usize,
        /// Position of the value in the example.
        position: usize,
        /// Rejected value.
        value: f32,
    },
    /// An observation is NaN.
    #[error("{name} {position} is not a number")]
    NotANumber {
        /// What the observations are.
        name: &'static str,
        /// Position of the first that is NaN.
        position: usize,
    },
    /// A class has too few examples.
    #[error("class {class} has {found} examples where at least {needed} are needed")]
    TooFewOfClass {
        /// The class.
        class: usize,
        /// Number of examples needed.
        needed: usize,
        /// Number of examples given.
        found: usize,
    },
    /// The predictor answers another number of classes than the samples have.
    #[error("the predictor answers {found} classes where the samples have {expected}")]
    Classes {
        /// Classes of the samples.
        expected: usize,
        /// Classes of the answers.
        found: usize,
    },
    /// A predictor denied what the attack or its judgement cannot do without.
    #[error("the predictor denied: {0}")]
    Denied(#[from] Denied),
    /// An error of `underpin-core`: a value that it does not accept.
    #[error(transparent)]
    Core(#[from] underpin_core::Error),
    /// A model that the attack trains could not be trained.
    #[error("training of the {model} failed: {source}")]
    Training {
        /// Which model.
        model: &'static str,
        /// The error of the trainer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Where the cause lies: in an argument or a setting, in what was observed, or with a predictor that denied.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::OutOfRange(_)
            | Self::NoObservations { .. }
            | Self::Length { .. }
            | Self::Feature { .. }
            | Self::TooFewOfClass { .. }
            | Self::Classes { .. }
            | Self::Training { .. } => ErrorOrigin::Caller,
            Self::NotANumber { .. } => ErrorOrigin::Input,
            Self::Denied(denied) => denied.origin(),
            Self::Core(error) => error.origin(),
        }
    }

    /// `name` is `value`, which lies outside `range`.
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
    fn every_error_has_an_origin() {
        let revoked = Denied::Revoked { reason: "expired".into() };
        let cases = [
            (Error::NoObservations { what: "samples" }, ErrorOrigin::Caller),
            (Error::out_of_range("fpr", 2.0, "(0, 1)"), ErrorOrigin::Caller),
            (Error::NotANumber { name: "score", position: 3 }, ErrorOrigin::Input),
            (revoked.into(), ErrorOrigin::System),
            (Denied::Shape { expected: vec![1], found: vec![2] }.into(), ErrorOrigin::Caller),
            (underpin_core::Error::Digest { value: "x".into() }.into(), ErrorOrigin::Input),
        ];
        for (error, origin) in cases {
            assert_eq!(error.origin(), origin, "{error}");
        }
    }
}
