//! Whether a clearance still stands, asked again and again by a running server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use underpin_core::Digest;

use super::{ClearanceStatus, Fault, Flaw, LogHead, PublicKey, Run, Verified, files, inspect};

/// Watches the folder of a run that is being served.
///
/// It can be asked before every answer: the folder is looked at once a second, and only when something in it has
/// changed is all of it verified again. It remembers how far the log went, so a revocation cannot be undone by putting
/// an older folder back while the server runs.
///
/// # Guarantees
///
/// 1. One second after a revocation the model may no longer be served: `a_revocation_ends_it_within_a_second`.
/// 2. Nor after its clearance expired: `it_stands_until_it_expires`.
/// 3. An older state of the folder does not bring it back: `an_older_folder_does_not_bring_it_back`.
#[derive(Debug)]
pub struct ClearanceWatch {
    folder: PathBuf,
    trusted: Vec<PublicKey>,
    model: Digest,
    /// Digest of the policy that was accepted.
    policy: Digest,
    head: LogHead,
    /// The second in which the folder was last looked at.
    looked: Option<u64>,
    /// What was there; none when it has to be read again however it looks.
    stamps: Option<BTreeMap<OsString, Stamp>>,
    found: Result<ClearanceStatus, Fault>,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: [i64; 4],
}

impl ClearanceWatch {
    /// Watches `folder`, from which `run` was verified.
    pub fn new(folder: &Path, trusted: &[PublicKey], run: &Verified) -> Self {
        Self {
            folder: folder.to_owned(),
            trusted: trusted.to_vec(),
            model: run.evidence().subject(files::MODEL).expect("invariant: verified evidence speaks of the model"),
            policy: run.evidence().policy,
            head: run.log().head(),
            // Not looked at yet: what changed since `run` was read is found by the first check.
            looked: None,
            stamps: None,
            found: Ok(run.status().clone()),
        }
    }

    /// Whether the model that was verified may be served at `now`, seconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]: the folder changed and does not verify, its log does not go on from where it was seen
    /// ([`Flaw::Rewound`]), the model or the policy is another one, or the clearance is absent, expired, revoked or
    /// releases the model no more.
    pub fn check(&mut self, now: u64) -> Result<(), Fault> {
        if self.looked != Some(now) {
            self.look();
            self.looked = Some(now);
        }
        match &self.found {
            Err(fault) => Err(fault.clone()),
            Ok(ClearanceStatus::Cleared(clearance)) => {
                clearance.valid_at(now).map_err(|flaw| flaw.of(files::CLEARANCE))
            }
            Ok(ClearanceStatus::Refused(_)) => Err(Flaw::Missing.of(files::CLEARANCE)),
            Ok(ClearanceStatus::Revoked(revocation)) => {
                let (at, reason) = (revocation.at, revocation.reason.clone());
                Err(Flaw::Revoked { at, reason }.of(files::REVOCATION))
            }
        }
    }

    fn look(&mut self) {
        // Taken before the folder is read: what changes meanwhile is found the next time.
        let stamps = stamps(&self.folder).ok();
        if stamps.is_some() && stamps == self.stamps {
            return;
        }
        self.found = inspect(&self.folder, &self.trusted).and_then(|run| self.follow(&run));
        let is_passing = |fault: &Fault| matches!(fault.flaw, Flaw::Busy | Flaw::Unreadable { .. });
        self.stamps = if self.found.as_ref().is_err_and(is_passing) { None } else { stamps };
    }

    fn follow(&mut self, run: &Run) -> Result<ClearanceStatus, Fault> {
        if !run.log().extends(&self.head) {
            return Err(Flaw::Rewound.of(files::LOG));
        }
        if run.file(files::MODEL).map(Digest::of) != Some(self.model) {
            return Err(Flaw::Disagrees { field: "the model being served" }.of(files::MODEL));
        }
        if run.evidence().policy != self.policy {
            let (name, found) = (run.policy().name().to_owned(), run.evidence().policy);
            return Err(Flaw::UnacceptedPolicy { name, found }.of(files::POLICY));
        }
        if run.clearance().is_some_and(|clearance| !clearance.is_released()) {
            return Err(Flaw::NotReleased.of(files::CLEARANCE));
        }
        self.head = run.log().head();
        Ok(run.status().clone())
    }
}

/// What the folder and everything in it looks like.
fn stamps(folder: &Path) -> io::Result<BTreeMap<OsString, Stamp>> {
    let mut stamps = BTreeMap::from([(OsString::from("."), stamp(&fs::symlink_metadata(folder)?))]);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        stamps.insert(entry.file_name(), stamp(&entry.metadata()?));
    }
    Ok(stamps)
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        #[cfg(unix)]
        inode: inode(metadata),
    }
}

/// The time of change cannot be set back as the time of modification can.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> [i64; 4] {
    use std::os::unix::fs::MetadataExt;
    [metadata.dev().cast_signed(), metadata.ino().cast_signed(), metadata.ctime(), metadata.ctime_nsec()]
}
