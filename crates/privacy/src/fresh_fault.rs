//! What can be wrong with a file of fresh bytes.

use std::io::ErrorKind;

use crate::durable::Exposure;

/// Why a file of fresh bytes cannot be made, read or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FreshFault {
    /// The system refused.
    #[error("{message}")]
    Io {
        /// Its kind.
        kind: ErrorKind,
        /// What the system said.
        message: String,
    },
    /// Others may read or write it.
    #[error("{0}")]
    Exposed(Exposure),
    /// It is cut, changed, or another file.
    #[error("it holds no fresh bytes, or they were changed")]
    Damaged,
}
