//! What can be wrong with a run's state.

/// Why a run's state is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateFault {
    /// Another process uses it.
    #[error("another run uses it; one at a time is allowed")]
    InUse,
    /// Others than its owner may enter it.
    #[error("its mode is {mode:o}: others may enter it; allowed: 700")]
    Permissions {
        /// Its permission bits.
        mode: u32,
    },
    /// It is no folder.
    #[error("it is no folder")]
    NoFolder,
    /// The folder holds other files.
    #[error("it is not empty, and no state of a run")]
    Foreign,
    /// A file was changed.
    #[error("it was changed, or written with another key")]
    Changed,
}
