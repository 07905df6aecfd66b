//! Errors of this crate.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use underpin_core::{ErrorOrigin, OutOfRange};
use underpin_privacy::durable::{Exposure, StoreError};

/// Errors of `underpin-serve`. A query that is not answered is no error: see [`underpin_core::Denied`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger cannot be opened or read.
    #[error("ledger {}: {source}", .path.display())]
    Ledger {
        /// The ledger's file.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// Another fault of the ledger's file.
    #[error(transparent)]
    Store(StoreError),
    /// Another process has the ledger open.
    #[error("ledger {}: in use by another process; one at a time counts queries", .path.display())]
    InUse {
        /// The ledger's file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is not {what}: {source}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Where it departs from that.
        source: serde_json::Error,
    },
    /// A file or folder that only its owner may touch is a link, another user's, or open to others.
    #[error("{}: {exposure}", .path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// In which way.
        exposure: Exposure,
    },
    /// A ledger that is known is not there.
    #[error(
        "ledger {}: not there, though {counted} queries of this run were counted, last in {}: put that file back",
        .path.display(), .last.display()
    )]
    LedgerGone {
        /// Where it was looked for.
        path: PathBuf,
        /// Queries that it had counted.
        counted: u64,
        /// Where it last lay.
        last: PathBuf,
    },
    /// A ledger counts fewer queries than were known: an older state of it was put back.
    #[error("ledger {}: counts {found} queries, {known} were known: an older state was put back", .path.display())]
    LedgerWentBack {
        /// The ledger's file.
        path: PathBuf,
        /// Queries that it counts.
        found: u64,
        /// Queries that were known to be counted.
        known: u64,
    },
    /// A ledger is not the one by which this run was counted.
    #[error("ledger {}: it is ledger {found}, and this run was counted by ledger {expected}", .path.display())]
    OtherLedger {
        /// The ledger's file.
        path: PathBuf,
        /// Its identity.
        found: String,
        /// The identity that is known.
        expected: String,
    },
    /// A ledger counts the queries of another run.
    #[error("ledger {}: it counts for run {found}, not for run {expected}", .path.display())]
    OtherRun {
        /// The ledger's file.
        path: PathBuf,
        /// The run that it counts for.
        found: String,
        /// The run that it was opened for.
        expected: String,
    },
    /// Another process serves the run, or a copy of it.
    #[error("run {run} is served by another process, here or from a copy; one at a time counts queries")]
    RunInUse {
        /// Name of the run.
        run: String,
    },
    /// The file of the server's secret cannot be used.
    #[error(transparent)]
    Secret(#[from] underpin_privacy::Error),
    /// The name of a record is not one.
    #[error("record name {name:?} is not 1 to 128 of the characters a-z A-Z 0-9 . _ -, or begins with a dot")]
    RecordName {
        /// Rejected name.
        name: String,
    },
    /// A certificate or its key cannot be used.
    #[error("TLS: {}: {reason}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A client's name is not one.
    #[error("client name {name:?} is not 1 to 64 of the characters a-z A-Z 0-9 . _ -")]
    ClientName {
        /// Rejected name.
        name: String,
    },
    /// A client of that name holds a valid key.
    #[error("client {name:?} holds a valid key; revoke it first")]
    ClientExists {
        /// The name.
        name: String,
    },
    /// No client of that name was ever added.
    #[error("no client is called {name:?}")]
    UnknownClient {
        /// The name.
        name: String,
    },
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The system gives no randomness for a key.
    #[error("no randomness for a key: {source}")]
    Entropy {
        /// What the system said.
        source: getrandom::Error,
    },
    /// The server cannot listen.
    #[error("the server stopped: {source}")]
    Server {
        /// What the system said.
        source: io::Error,
    },
}

/// The errors of the ledger's file.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source } => Self::File { path, source },
            StoreError::Exposed { path, exposure } => Self::Exposed { path, exposure },
            StoreError::InUse { path } => Self::InUse { path },
            StoreError::Database { path, source } => Self::Ledger { path, source },
            error => Self::Store(error),
        }
    }
}

impl Error {
    /// Whose fault it is: the caller's (a name, a setting, a path), the input's (a file that holds something else) or the
    /// system's.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::InUse { .. }
            | Self::Exposed { .. }
            | Self::RecordName { .. }
            | Self::RunInUse { .. }
            | Self::ClientName { .. }
            | Self::ClientExists { .. }
            | Self::UnknownClient { .. }
            | Self::OutOfRange(_) => ErrorOrigin::Caller,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorOrigin::Caller,
            Self::Ledger { .. }
            | Self::LedgerGone { .. }
            | Self::LedgerWentBack { .. }
            | Self::OtherLedger { .. }
            | Self::OtherRun { .. }
            | Self::Format { .. }
            | Self::Tls { .. } => ErrorOrigin::Input,
            Self::Store(error) => error.origin(),
            Self::Secret(error) => error.origin(),
            Self::File { .. } | Self::Entropy { .. } | Self::Server { .. } => ErrorOrigin::System,
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

    pub(crate) fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let path = || PathBuf::from("a.redb");
        let file = |kind: io::ErrorKind| Error::File { path: path(), source: kind.into() };
        for (error, origin) in [
            (Error::InUse { path: path() }, ErrorOrigin::Caller),
            (Error::Exposed { path: path(), exposure: Exposure::Link }, ErrorOrigin::Caller),
            (Error::ClientName { name: "a b".into() }, ErrorOrigin::Caller),
            (
                Error::Ledger { path: path(), source: Box::new(redb::Error::Corrupted("page".into())) },
                ErrorOrigin::Input,
            ),
            (Error::Store(StoreError::Empty { path: path() }), ErrorOrigin::Input),
            (file(io::ErrorKind::NotFound), ErrorOrigin::Caller),
            (file(io::ErrorKind::StorageFull), ErrorOrigin::System),
        ] {
            assert_eq!(error.origin(), origin, "{error}");
        }
    }
}
