//! What can be wrong with a model's file, a run kept on disk, a payment or an adversary's inputs.

use std::io;

use underpin_core::{Denied, ErrorOrigin};
use underpin_privacy::ChainHead;
use underpin_privacy::durable::Exposure;

/// Why bytes are not a model, or a model cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFault {
    /// There is no room for the header's length.
    #[error("shorter than 8 bytes")]
    TooShort,
    /// The header is longer than allowed, or than the file.
    #[error("header of {length} bytes; at most {at_most}, and within the file")]
    HeaderLength {
        /// Its stated length.
        length: u64,
        /// The most bytes allowed.
        at_most: usize,
    },
    /// The header is no JSON of a safetensors file.
    #[error("header: {0}")]
    Header(serde_json::Error),
    /// The metadata lack the description of the model.
    #[error("no metadata {key:?}")]
    NoMetadata {
        /// The key that is missing.
        key: &'static str,
    },
    /// The description of the model does not read.
    #[error("metadata {key:?}: {source}")]
    Metadata {
        /// Its key.
        key: &'static str,
        /// Where it departs from a description.
        source: serde_json::Error,
    },
    /// The architecture has a tensor that the file has not.
    #[error("no tensor {name:?}")]
    NoTensor {
        /// Name of the tensor.
        name: String,
    },
    /// The file holds more than the architecture has.
    #[error("tensors or data beyond those of the architecture")]
    Surplus,
    /// A tensor is of another kind or shape.
    #[error("tensor {name:?} is {dtype} {found:?}; needed: F32 {needed:?}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// Its kind of numbers.
        dtype: String,
        /// Its shape.
        found: Vec<usize>,
        /// The architecture's shape.
        needed: Vec<usize>,
    },
    /// A tensor's place in the data does not hold it.
    #[error("tensor {name:?}: bytes {from}..{to} do not hold it")]
    Place {
        /// Name of the tensor.
        name: String,
        /// First byte.
        from: usize,
        /// The byte after the last.
        to: usize,
    },
    /// A tensor holds NaN or an infinity.
    #[error("tensor {name:?}: value {position} is not finite")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Position of the first such value.
        position: usize,
    },
    /// A model has another number of weights than those to be put into it.
    #[error("{found} weights in {found_parameters} parameters, not {needed} in {needed_parameters}")]
    Weights {
        /// Weights of the model.
        found: usize,
        /// Parameters of the model.
        found_parameters: usize,
        /// Weights to be put into it.
        needed: usize,
        /// Parameters they come from.
        needed_parameters: usize,
    },
    /// burn cannot write the model.
    #[error("{0}")]
    Write(String),
}

/// Why a run cannot be kept on disk, or taken up from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// The system refused.
    #[error("{0}")]
    Io(io::Error),
    /// Others may have a hand in the file.
    #[error("{0}")]
    Exposed(Exposure),
    /// The list of steps is locked.
    #[error("another process trains into it ({0})")]
    InUse(std::fs::TryLockError),
    /// The file is cut or changed.
    #[error("{0}")]
    Damaged(Damage),
    /// An entry of the list of steps is of another step.
    #[error("entry {entry} is of another step")]
    OtherStep {
        /// Position of the entry, from 1.
        entry: usize,
    },
    /// The list of steps is not the one that the budget knows.
    #[error("its list of {begun} steps is not the one of which its budget knows {known}")]
    OtherList {
        /// Steps of the list.
        begun: u64,
        /// Steps that the budget knows.
        known: u64,
    },
    /// The run has begun, or is paid for.
    #[error("the run has begun, or is paid for: it is kept first")]
    Begun,
    /// The checkpoint is of a run with other settings or another mechanism.
    #[error("it is of the run {kept}, not {own}")]
    OtherRun {
        /// The run that was kept.
        kept: String,
        /// The run to be taken up.
        own: String,
    },
    /// The checkpoint has more steps than the list of those begun.
    #[error("it has {steps} steps, its list of steps {begun}")]
    ShortList {
        /// Steps of the checkpoint.
        steps: u64,
        /// Steps of the list.
        begun: u64,
    },
    /// The checkpoint is of another kind of steps.
    #[error("it is of another kind of steps")]
    OtherSteps,
    /// The checkpoint has another number of canaries.
    #[error("it has other canaries")]
    OtherCanaries,
    /// The model does not take the checkpoint's weights.
    #[error("{0}")]
    Weights(ModelFault),
    /// The mechanism refuses the checkpoint's progress, or its budget's head.
    #[error("{0}")]
    Privacy(underpin_privacy::Error),
    /// burn cannot read or write the optimiser.
    #[error("{0}")]
    Optimiser(String),
    /// A step is drawn and not applied.
    #[error("step {step} is drawn and not applied")]
    Pending {
        /// The step, from 1.
        step: u64,
    },
    /// The caller's note does not read.
    #[error("its note: {0}")]
    Note(serde_json::Error),
    /// The caller's note is of another run.
    #[error("its note: it is of other settings, rows or another seed")]
    OtherNote,
}

/// How a checkpoint's bytes depart from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// There is no room for a digest.
    #[error("shorter than 32 bytes")]
    TooShort,
    /// The digest is of other bytes.
    #[error("its digest is not that of its bytes")]
    Digest,
    /// The file does not begin as one of this version.
    #[error("no run of this version")]
    Version,
    /// A part goes beyond the end of the file, or beyond memory.
    #[error("{part} beyond its end")]
    Cut {
        /// The part.
        part: &'static str,
    },
    /// The header does not read.
    #[error("header: {0}")]
    Header(serde_json::Error),
}

/// Why a run is not paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentFault {
    /// A run without noise has no finite cost.
    #[error("without noise it costs more than any budget holds")]
    NoNoise,
    /// A budget paid before, and has not yet been handed over again.
    #[error("the run's budget, at {head} or later, must pay before the next step")]
    Owed {
        /// What the budget must contain.
        head: ChainHead,
    },
    /// It is paid for, or has drawn a step.
    #[error("it is paid for already, or a step is drawn: a budget pays once, before that")]
    TooLate,
    /// Steps have begun that this budget has not paid for.
    #[error("{begun} steps have begun, and this budget has not paid for them")]
    BegunUnpaid {
        /// Steps begun.
        begun: u64,
    },
    /// The run was begun before, and no list of steps was kept.
    #[error(
        "this very run (rows, settings, seed and key) was charged before, and no list of steps says how far it came: go on \
         with the state or checkpoint that it was begun with, or take another seed"
    )]
    NotKept,
}

/// Why an adversary's inputs cannot be trained on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PerturbedFault {
    /// There are more or fewer of them than examples.
    #[error("{found} for {expected} examples")]
    Count {
        /// Inputs handed back.
        found: usize,
        /// Examples of the batch.
        expected: usize,
    },
    /// They are of another shape, or not finite.
    #[error(transparent)]
    Inputs(Denied),
}

impl ModelFault {
    pub(crate) fn origin(&self) -> ErrorOrigin {
        match self {
            Self::TooShort
            | Self::HeaderLength { .. }
            | Self::Header(_)
            | Self::NoMetadata { .. }
            | Self::Metadata { .. }
            | Self::NoTensor { .. }
            | Self::Surplus
            | Self::Tensor { .. }
            | Self::Place { .. }
            | Self::NotFinite { .. } => ErrorOrigin::Input,
            Self::Weights { .. } => ErrorOrigin::Caller,
            Self::Write(_) => ErrorOrigin::System,
        }
    }
}

impl CheckpointFault {
    pub(crate) fn origin(&self) -> ErrorOrigin {
        match self {
            Self::InUse(_)
            | Self::Exposed(_)
            | Self::Begun
            | Self::OtherRun { .. }
            | Self::OtherSteps
            | Self::OtherCanaries
            | Self::Pending { .. }
            | Self::OtherNote => ErrorOrigin::Caller,
            Self::Damaged(_)
            | Self::OtherStep { .. }
            | Self::OtherList { .. }
            | Self::ShortList { .. }
            | Self::Optimiser(_)
            | Self::Note(_) => ErrorOrigin::Input,
            Self::Io(_) => ErrorOrigin::System,
            Self::Weights(fault) => fault.origin(),
            Self::Privacy(error) => error.origin(),
        }
    }
}
