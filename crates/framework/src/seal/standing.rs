//! Whether a clearance still stands, asked again and again by a running server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use underpin_core::Digest;

use super::{Fault, Flaw, Head, Outcome, PublicKey, Run, Verified, files, inspect, sha256};

/// Watches the folder of a run that is being served.
///
/// While nothing in the folder changes, a check is a few look-ups and a comparison of times. When something has, the
/// whole folder is verified again. It remembers how far the log went, so a revocation cannot be undone by putting an
/// older folder back while the server runs.
#[derive(Debug)]
pub struct Standing {
    folder: PathBuf,
    trusted: Vec<PublicKey>,
    model: Digest,
    head: Head,
    stamps: Vec<Option<Stamp>>,
    run: Result<Outcome, Fault>,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: [i64; 4],
}

impl Standing {
    /// Watches `folder`, from which `run` was verified.
    pub fn new(folder: &Path, trusted: &[PublicKey], run: &Verified) -> Self {
        Self {
            folder: folder.to_owned(),
            trusted: trusted.to_vec(),
            model: run.evidence().subject(files::MODEL).expect("invariant: verified evidence speaks of the model"),
            head: run.log().head(),
            // No stamps yet: what changed since `run` was read is found by the first check.
            stamps: Vec::new(),
            run: Ok(run.outcome().clone()),
        }
    }

    /// Whether the model that was verified may be served at `now`, seconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]: the folder changed and does not verify, its log does not go on from where it was seen
    /// ([`Flaw::Rewound`]), the model is another one, or the clearance is absent, expired or revoked.
    pub fn check(&mut self, now: u64) -> Result<(), Fault> {
        // Looked up before the folder is read: what changes meanwhile is found by the next check.
        let stamps = self.stamps();
        if stamps != self.stamps {
            self.run = inspect(&self.folder, &self.trusted).and_then(|run| self.follow(&run));
            // A folder that could not be read for once is read again by the next check.
            self.stamps = if self.run.is_ok() { stamps } else { Vec::new() };
        }
        match &self.run {
            Err(fault) => Err(fault.clone()),
            Ok(Outcome::Cleared(clearance)) => clearance.valid_at(now).map_err(|flaw| flaw.of(files::CLEARANCE)),
            Ok(Outcome::Refused(_)) => Err(Flaw::Missing.of(files::CLEARANCE)),
            Ok(Outcome::Revoked(revocation)) => {
                let (at, reason) = (revocation.at, revocation.reason.clone());
                Err(Flaw::Revoked { at, reason }.of(files::REVOCATION))
            }
        }
    }

    fn follow(&mut self, run: &Run) -> Result<Outcome, Fault> {
        if !run.log().extends(&self.head) {
            return Err(Flaw::Rewound.of(files::LOG));
        }
        if run.file(files::MODEL).map(sha256) != Some(self.model) {
            return Err(Flaw::Disagrees { field: "the model being served" }.of(files::MODEL));
        }
        self.head = run.log().head();
        Ok(run.outcome().clone())
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let watched = [files::LOG, files::CLEARANCE, files::REVOCATION, files::EVIDENCE, files::POLICY, files::SIGNER];
        let folder = stamp(&self.folder);
        [folder].into_iter().chain(watched.iter().map(|name| stamp(&self.folder.join(name)))).collect()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let read = || -> io::Result<Stamp> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Stamp {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: inode(&metadata),
        })
    };
    read().ok()
}

/// The time of change cannot be set back as the time of modification can.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> [i64; 4] {
    use std::os::unix::fs::MetadataExt;
    [metadata.dev().cast_signed(), metadata.ino().cast_signed(), metadata.ctime(), metadata.ctime_nsec()]
}
