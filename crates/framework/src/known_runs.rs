//! What the owner's state folder remembers of runs: a run that went back to an earlier state is refused.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use underpin_core::Digest;
use underpin_privacy::durable;
use underpin_serve::{OwnerState, RememberedLedger};

use crate::Error;
use crate::seal::{self, Flaw, Log, LogHead, PublicKey, files};
use crate::serving_state::ledger_of;

/// Kind of the records in the owner's state; each is named by the root of a log.
const KIND: &str = "heads";

/// The last that was known of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownRun {
    head: LogHead,
    /// When this was written, seconds since 1970 UTC.
    at: u64,
    /// What the last entry says.
    what: String,
    /// Whether the run was revoked.
    revoked: bool,
    /// Where its folder lay.
    folder: PathBuf,
}

/// The runs that an owner knows, each by the root of its log, which a moved or copied folder keeps.
///
/// Whoever may write to a run folder can put an older state of the whole folder in its place, one from before a revocation
/// say: every signature of it holds. This remembers, apart from the folder, how far the log went.
///
/// # Guarantees
///
/// 1. A log that does not go on from what is known, cut or forked, is refused, also after a restart
///    (`a_run_that_went_back_is_refused`).
/// 2. What is known of a run never goes back, however many processes write it (`what_is_known_never_goes_back`).
///
/// # Limits
///
/// Those of [`OwnerState`]: whoever may write it may make it forget, and a second machine knows nothing of the first: tell
/// others the head (`underpin verify --head`).
#[derive(Clone, Debug)]
pub struct KnownRuns {
    state: OwnerState,
}

impl KnownRuns {
    /// Those that `state` remembers.
    pub fn new(state: OwnerState) -> Self {
        Self { state }
    }

    /// Checks that a log goes on from the last that is known of its run.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] with [`Flaw::WentBack`], saying what is missing; [`Error::Serve`] when the state cannot be read.
    pub fn check(&self, log: &Log) -> Result<(), Error> {
        let root = log.root().to_string();
        match self.state.read::<KnownRun>(KIND, &root)? {
            Some(known) => self.compare(&known, log, &root),
            None => Ok(()),
        }
    }

    /// Checks a log, and the query ledger of its run: the one beside `folder`, else where it last lay.
    ///
    /// # Errors
    ///
    /// As [`KnownRuns::check`]; [`Error::Serve`] naming the ledger that is gone, went back or is another one.
    pub fn check_run(&self, folder: &Path, log: &Log) -> Result<(), Error> {
        self.check(log)?;
        Ok(RememberedLedger::check(&ledger_of(folder)?, &log.root().to_string(), &self.state)?)
    }

    /// Remembers how far the log of the run in `folder` goes; on disk when this returns. `now`: seconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// As [`KnownRuns::check`]; then what was known stands.
    pub fn remember(&self, folder: &Path, log: &Log, now: u64) -> Result<(), Error> {
        let Some(last) = log.entries().last() else { return Ok(()) };
        let root = log.root().to_string();
        let _lock = self.state.lock(KIND, &root)?;
        if let Some(known) = self.state.read::<KnownRun>(KIND, &root)? {
            self.compare(&known, log, &root)?;
            if known.head == log.head() {
                return Ok(());
            }
        }
        let revoked = log.entries().iter().any(|entry| entry.files.contains_key(files::REVOCATION));
        // By its real name, so that it is found from everywhere.
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let known = KnownRun { head: log.head(), at: now, what: last.what.clone(), revoked, folder };
        self.state.write(KIND, &root, &known)?;
        // The folder of the records may be new.
        let kind = self.state.folder().join(KIND);
        durable::sync_folder_of(&kind).map_err(|source| Error::Io { action: "sync the folder of", path: kind, source })
    }

    /// [`KnownRuns::remember`] of a log that is read from `folder`, for whoever has just written to it.
    ///
    /// # Errors
    ///
    /// As [`KnownRuns::remember`]; [`Error::Fault`] when the log is not sound.
    pub fn remember_folder(&self, folder: &Path, trusted: &[PublicKey], now: u64) -> Result<Digest, Error> {
        let log = seal::read_log(folder, trusted)?;
        self.remember(folder, &log, now)?;
        Ok(log.head().digest)
    }

    fn compare(&self, known: &KnownRun, log: &Log, root: &str) -> Result<(), Error> {
        if log.extends(&known.head) {
            return Ok(());
        }
        let record = self.state.folder().join(KIND).join(format!("{root}.json")).display().to_string();
        let KnownRun { head, at, what, .. } = known.clone();
        Err(Flaw::WentBack { found: log.head().entries, known: head.entries, at, what, record }.of(files::LOG).into())
    }
}
