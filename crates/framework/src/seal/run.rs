//! A run whose files hold together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::PathBuf;

use underpin_core::{Digest, Evidence, Policy, Verdict};

use super::{ClearanceDocument, Fault, Flaw, ListedFile, Log, Revocation, disk};

/// How a run ended.
#[allow(clippy::large_enum_variant, reason = "there is one of it for each run")]
#[derive(Clone, Debug, PartialEq)]
pub enum ClearanceStatus {
    /// Every bar was met.
    Cleared(ClearanceDocument),
    /// These bars were not.
    Refused(Vec<Verdict>),
    /// It was cleared, and the clearance was taken back.
    Revoked(Revocation),
}

/// A run whose files hold together, whether or not its clearance holds now.
///
/// It holds what was parsed. The bytes of a file are read when they are asked for, and checked again then: what is used is
/// what was verified, or nothing.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) folder: PathBuf,
    pub(super) files: BTreeMap<String, ListedFile>,
    pub(super) policy: Policy,
    pub(super) evidence: Evidence,
    pub(super) status: ClearanceStatus,
    pub(super) log: Log,
    pub(super) signer: Digest,
    pub(super) signers: BTreeSet<Digest>,
}

impl Run {
    /// The policy it was judged by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The evidence it was judged on.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How it ended.
    pub fn status(&self) -> &ClearanceStatus {
        &self.status
    }

    /// Its clearance, if it has one that was not revoked.
    pub fn clearance(&self) -> Option<&ClearanceDocument> {
        match &self.status {
            ClearanceStatus::Cleared(clearance) => Some(clearance),
            ClearanceStatus::Refused(_) | ClearanceStatus::Revoked(_) => None,
        }
    }

    /// Who did what, and when.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Id of the key that signed the evidence.
    pub fn signer(&self) -> Digest {
        self.signer
    }

    /// Ids of all keys that signed anything of the run that stands: an entry of the log, the evidence, the clearance, the
    /// revocation.
    pub fn signers(&self) -> &BTreeSet<Digest> {
        &self.signers
    }

    /// The files of the run but for its log, each with the digest and the size that were verified.
    pub fn listed(&self) -> &BTreeMap<String, ListedFile> {
        &self.files
    }

    /// The bytes of a file, at most `limit` of them: read from the folder now, and compared, these very bytes, with the
    /// digest and the size that the log lists. A file that was changed since the run was verified is not handed out.
    ///
    /// # Errors
    ///
    /// [`Flaw::Missing`] when the run has no such file, or the folder no more; [`Flaw::TooLarge`] above `limit`, before a
    /// byte is read; [`Flaw::Size`] or [`Flaw::Digest`] when it is another one by now; [`Flaw::NotAFile`],
    /// [`Flaw::Unreadable`].
    pub fn file(&self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let listed = self.files.get(name).ok_or_else(|| Flaw::Missing.of(name))?;
        disk::read_listed(&self.folder.join(name), listed, limit).map_err(|flaw| flaw.of(name))
    }
}

/// A run that holds together and was, at the time it was verified, cleared and in force, or refused.
#[derive(Clone, Debug)]
pub struct Verified {
    pub(super) run: Run,
}

impl Verified {
    /// The run.
    pub fn into_run(self) -> Run {
        self.run
    }
}

impl Deref for Verified {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}
