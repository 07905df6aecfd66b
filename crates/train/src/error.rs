//! Errors of this crate.

use std::borrow::Cow;

use underpin_core::{Denied, ErrorOrigin, OutOfRange};

use crate::{CheckpointFault, ModelFault, PaymentFault, PerturbedFault};

/// Errors of `underpin-train`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A convolutional network was asked for inputs it cannot slide over.
    #[error(
        "a convolutional network takes images [channels, height, width] of at least {least}x{least}, not {shape:?}"
    )]
    NotAnImage {
        /// Shape of one example.
        shape: Vec<usize>,
        /// The least height and width.
        least: usize,
    },
    /// The network would have too many parameters.
    #[error("the network would have more than {allowed} parameters")]
    TooManyParameters {
        /// The most parameters allowed.
        allowed: usize,
    },
    /// There are fewer rows than one batch needs.
    #[error("{rows} rows are fewer than a batch of {batch_size}")]
    TooFewRows {
        /// Rows given.
        rows: usize,
        /// Rows of a batch.
        batch_size: usize,
    },
    /// All rows are of one class: there is nothing to classify.
    #[error("all {rows} rows are of class {class}: at least two classes are needed")]
    OneClass {
        /// Rows given.
        rows: usize,
        /// The only class.
        class: usize,
    },
    /// The inputs do not fit the model, or are not finite.
    #[error(transparent)]
    Inputs(#[from] Denied),
    /// The loss is no longer a number.
    #[error("training diverged at step {step} of {steps}: loss {loss}; lower the learning rate")]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// Number of steps.
        steps: u64,
        /// The loss, NaN or infinite.
        loss: f64,
    },
    /// The adversary of adversarial training failed.
    #[error("the adversary failed at step {step}")]
    Adversary {
        /// The step, from 1.
        step: u64,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The adversary handed back inputs that cannot be trained on.
    #[error("the adversary's inputs at step {step}: {fault}")]
    Perturbed {
        /// The step, from 1.
        step: u64,
        /// What is wrong with them.
        fault: PerturbedFault,
    },
    /// A layer cannot be trained by the tape.
    #[error("layer {layer} ({kind}): {fault}")]
    Layer {
        /// Position of the layer on the tape, from 1.
        layer: usize,
        /// Kind of the layer.
        kind: &'static str,
        /// What the tape does not support in it.
        fault: &'static str,
    },
    /// A model that no tape can record.
    #[error("{path}: {fault}")]
    Module {
        /// Where in the model.
        path: String,
        /// What is wrong, and what to use instead.
        fault: &'static str,
    },
    /// Parameters train, but the forward pass did not run them through the tape.
    #[error("the tape has not seen {parameters}: run their layers through the tape, or freeze them")]
    Unrecorded {
        /// Their paths in the model.
        parameters: String,
    },
    /// Parameters took part in the loss without the tape, so their gradient would be incomplete.
    #[error("{parameters} took part in the loss outside the tape: run every use of their layers through it")]
    OutsideTape {
        /// Their paths in the model.
        parameters: String,
    },
    /// A layer ran on another number of examples than there are losses.
    #[error(
        "layer {layer} ({kind}) ran on {found} examples, but there are {losses} losses: \
         the first axis of a layer's input must be the example"
    )]
    Examples {
        /// Position of the layer on the tape, from 1.
        layer: usize,
        /// Kind of the layer.
        kind: &'static str,
        /// First axis of the layer's input.
        found: usize,
        /// Number of losses.
        losses: usize,
    },
    /// Bytes that should be a model are none.
    #[error("not a model: {fault}")]
    Model {
        /// The first thing that is wrong.
        fault: ModelFault,
    },
    /// A step's closure gave another number of losses than its units have rows.
    #[error("{found} losses for {expected} rows")]
    Losses {
        /// Losses given.
        found: usize,
        /// Units times the rows of one.
        expected: usize,
    },
    /// A run cannot be kept on disk, or taken up from it.
    #[error("the run kept at {}: {fault}", path.display())]
    Checkpoint {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        fault: CheckpointFault,
    },
    /// A budget cannot pay for a run, or must before it goes on.
    #[error("the run is not paid for: {fault}")]
    Unpaid {
        /// Why, and what would help.
        fault: PaymentFault,
    },
    /// A step was released before, on another sum: its noise must not be used again.
    #[error("step {step} was begun before on another sum; data, model and code must be those of the run taken up")]
    Replay {
        /// The step, from 1.
        step: u64,
    },
    /// The run's own audit refutes its accountant: the implementation is broken.
    #[error(
        "the run's canaries prove epsilon > {lower}, the accountant reports {upper}; nothing of it may be released"
    )]
    Refuted {
        /// ε proven by the audit.
        lower: f64,
        /// ε by the accountant.
        upper: f64,
    },
    /// An optimiser that takes noise's variance out of moments has no one variance to take out.
    #[error(
        "corrected Adam needs noise of one deviation: private training, Poisson sampling, a clipping norm that stays"
    )]
    NoisyOptimiser,
    /// A word names no device.
    #[error("unknown device {word:?}; allowed in this build: {}", .known.join(", "))]
    Device {
        /// Rejected word.
        word: String,
        /// The devices that this build has.
        known: Vec<&'static str>,
    },
    /// A device of an engine no longer answers: its server has ended, or the network has.
    #[error("device {place} of the engine, counted from 0, no longer answers: {fault}")]
    DeviceLost {
        /// Its place among the engine's devices.
        place: usize,
        /// What burn says.
        fault: String,
    },
    /// A batch holds so many rows that its sum could not be formed exactly enough for its noise.
    #[error("a private batch drew {rows} rows; at most {allowed} can be summed within the noise's slack")]
    BatchTooLarge {
        /// Rows drawn.
        rows: usize,
        /// The most rows allowed.
        allowed: usize,
    },
    /// An error of the privacy mechanism.
    #[error(transparent)]
    Privacy(#[from] underpin_privacy::Error),
    /// A quantity or buffer that is not allowed.
    #[error(transparent)]
    Core(#[from] underpin_core::Error),
}

impl Error {
    /// Whose fault it is: the caller's (settings, model, order of calls), the input's (rows, a model's or a checkpoint's
    /// bytes, what an adversary made) or the system's (disk, device).
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::OutOfRange(_)
            | Self::NotAnImage { .. }
            | Self::TooManyParameters { .. }
            | Self::TooFewRows { .. }
            | Self::OneClass { .. }
            | Self::Inputs(_)
            | Self::Diverged { .. }
            | Self::Adversary { .. }
            | Self::Perturbed { .. }
            | Self::Layer { .. }
            | Self::Module { .. }
            | Self::Unrecorded { .. }
            | Self::OutsideTape { .. }
            | Self::Examples { .. }
            | Self::Losses { .. }
            | Self::Unpaid { .. }
            | Self::NoisyOptimiser
            | Self::Device { .. }
            | Self::BatchTooLarge { .. }
            | Self::Core(_) => ErrorOrigin::Caller,
            Self::Model { fault } => fault.origin(),
            Self::Checkpoint { fault, .. } => fault.origin(),
            Self::Replay { .. } => ErrorOrigin::Input,
            Self::Refuted { .. } | Self::DeviceLost { .. } => ErrorOrigin::System,
            Self::Privacy(error) => error.origin(),
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
    use crate::Damage;

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let checkpoint = |fault| Error::Checkpoint { path: "run".into(), fault };
        for (error, origin) in [
            (Error::TooFewRows { rows: 1, batch_size: 2 }, ErrorOrigin::Caller),
            (Error::Unpaid { fault: PaymentFault::NoNoise }, ErrorOrigin::Caller),
            (Error::Model { fault: ModelFault::TooShort }, ErrorOrigin::Input),
            (Error::Model { fault: ModelFault::Write("no".into()) }, ErrorOrigin::System),
            (checkpoint(CheckpointFault::Io(std::io::ErrorKind::StorageFull.into())), ErrorOrigin::System),
            (checkpoint(CheckpointFault::Damaged(Damage::Digest)), ErrorOrigin::Input),
            (checkpoint(CheckpointFault::OtherNote), ErrorOrigin::Caller),
            (Error::Replay { step: 1 }, ErrorOrigin::Input),
            (Error::DeviceLost { place: 0, fault: "gone".into() }, ErrorOrigin::System),
        ] {
            assert_eq!(error.origin(), origin, "{error}");
        }
    }
}
