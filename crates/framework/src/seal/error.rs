//! Errors of sealing.

use std::io;
use std::path::{Path, PathBuf};

use underpin_core::{Digest, ErrorOrigin};
use underpin_privacy::durable::Exposure;

use super::Fault;

/// Errors of sealing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process is ending; it neither begins nor finishes a run.
    #[error("the run was abandoned: the process is ending")]
    Abandoned,
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A run would be written over something.
    #[error("{} exists and is not an empty folder; name one that does not exist yet", .path.display())]
    Occupied {
        /// The path asked for.
        path: PathBuf,
    },
    /// Another process writes there.
    #[error("{} is being written by another process", .path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// Others may hold the lock of the folder, or it is no lock.
    #[error("the lock {} is not its owner's alone: {exposure}", .path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// What is wrong with it.
        exposure: Exposure,
    },
    /// A private key that others can read is no longer private.
    #[error("the private key {0} can be read or written by others (mode {mode:03o}); allowed: 600. Make a new one if \
             others may have read it, else `chmod 600 {0}`", .path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A text is not a key.
    #[error("not a {kind} for ECDSA P-256: {reason}")]
    Key {
        /// What was expected.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A file is not a key.
    #[error("{} is {fault}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its text.
        fault: Box<Error>,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// A name that no file of a run may have.
    #[error("{name:?} cannot name a file of a run; allowed: 1 to 100 of A-Z a-z 0-9 . _ -, the first no dot or dash")]
    Name {
        /// Rejected name.
        name: String,
    },
    /// A file that every run has was not written.
    #[error("the run has no {name}")]
    Missing {
        /// Name of the file.
        name: &'static str,
    },
    /// What was to be signed would not read back as it is; most likely it holds NaN where a number must be finite.
    #[error("a {predicate} does not read back as it was written: {reason}")]
    NotReadable {
        /// Its predicate type.
        predicate: &'static str,
        /// Why.
        reason: String,
    },
    /// A signature by this key would make the run fail for everyone who trusts only the others.
    #[error("the signing key {key} is not among the trusted keys")]
    Untrusted {
        /// Id of the key.
        key: Digest,
    },
    /// A key that signed a run cannot witness it.
    #[error("the key {key} signed the run itself; another party's key must witness it")]
    OwnWitness {
        /// Id of the key.
        key: Digest,
    },
    /// The policy cannot be used.
    #[error("policy, line {line}, column {column}: {message}")]
    Policy {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// What is on disk is not sound.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// Where the cause lies: with the caller, with an input, or with the system.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::Occupied { .. } | Self::Name { .. } | Self::Missing { .. } | Self::NotReadable { .. } => {
                ErrorOrigin::Caller
            }
            Self::Untrusted { .. }
            | Self::OwnWitness { .. }
            | Self::Policy { .. }
            | Self::Exposed { .. }
            | Self::Lock { .. } => ErrorOrigin::Caller,
            Self::Key { .. } | Self::KeyFile { .. } | Self::Fault(_) => ErrorOrigin::Input,
            Self::Abandoned | Self::Io { .. } | Self::Busy { .. } | Self::Randomness(_) => ErrorOrigin::System,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
