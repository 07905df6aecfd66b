//! The layout of a run folder: the names of its files, which names are allowed, and limits on size.

use std::fs;
use std::path::Path;

use super::{Error, Flaw};

/// No accountability log is larger, in bytes.
pub(super) const LOG_LIMIT: u64 = 4 << 20;

/// Bytes of the log that nothing but a revocation may use: a clearance can always be taken back.
pub(super) const LOG_RESERVE: u64 = 64 << 10;

/// No line of the accountability log is longer, in bytes.
pub(super) const LINE_LIMIT: usize = 1 << 20;

/// No run has more files.
pub(super) const FILES: usize = 1000;

/// The lock of a run folder: an empty file that only its owner can open, and that no log lists.
pub(super) const LOCK: &str = ".lock";

/// Begins and ends the names of files that are laid down beside those they will replace.
const PENDING: (&str, &str) = (".", ".pending");

/// The name under which the file `name` waits to replace the one that is there.
pub(super) fn pending(name: &str) -> String {
    format!("{}{name}{}", PENDING.0, PENDING.1)
}

/// The file that waits under the name `hidden`; none when nothing does.
pub(super) fn pending_for(hidden: &str) -> Option<&str> {
    hidden.strip_prefix(PENDING.0)?.strip_suffix(PENDING.1)
}

/// The most bytes of a file that is read into memory and parsed when a run is verified; none for a file that is hashed
/// piece by piece, which may be of any size.
pub(super) fn parsed_limit(name: &str) -> Option<u64> {
    match name {
        files::POLICY | files::CLEARANCE => Some(1 << 20),
        files::EVIDENCE | files::SAFETY => Some(files::DOCUMENT_LIMIT),
        files::REVOCATION => Some(64 << 10),
        files::SIGNER => Some(4 << 10),
        _ => None,
    }
}

/// Names of the files of a run.
pub mod files {
    /// The policy, byte for byte as it was given.
    pub const POLICY: &str = "policy.toml";
    /// What the data are, and the Merkle root of the ledger.
    pub const MANIFEST: &str = "data.manifest.json";
    /// The decision of every row.
    pub const LEDGER: &str = "ledger.jsonl";
    /// The rows that were rejected.
    pub const QUARANTINE: &str = "quarantine.parquet";
    /// The decision of every row that was set aside.
    pub const HELD_OUT_LEDGER: &str = "held-out.ledger.jsonl";
    /// The rows that were set aside and rejected.
    pub const HELD_OUT_QUARANTINE: &str = "held-out.quarantine.parquet";
    /// How the run was made: where its rows came from, its configuration and how it is served.
    pub const JOB: &str = "job.json";
    /// The changes to the configuration, byte for byte as they were given; there only when some were.
    pub const CONFIGURATION: &str = "config.toml";
    /// The weights.
    pub const MODEL: &str = "model.safetensors";
    /// The measurements, signed.
    pub const EVIDENCE: &str = "evidence.dsse.json";
    /// The clearance, signed; there only when every bar was met.
    pub const CLEARANCE: &str = "clearance.dsse.json";
    /// What safety evaluation measured; there only when every bar was met.
    pub const SAFETY: &str = "safety.json";
    /// The revocation, signed; there only when the clearance was revoked.
    pub const REVOCATION: &str = "revocation.dsse.json";
    /// The key that the evidence is signed by.
    pub const SIGNER: &str = "signer.pub.pem";
    /// The report, for people.
    pub const REPORT: &str = "report.html";
    /// The model card, for people; there only when cleared.
    pub const MODEL_CARD: &str = "model-card.md";
    /// Who did what, and when.
    pub const LOG: &str = "accountability.jsonl";

    /// The most bytes of a model that is read into memory, to be served or attacked.
    pub const MODEL_LIMIT: u64 = 4 << 30;
    /// The most bytes of any document that is parsed when a run is verified.
    pub const DOCUMENT_LIMIT: u64 = 4 << 20;

    /// Those that every run has.
    pub const REQUIRED: [&str; 9] = [SIGNER, LOG, POLICY, JOB, MANIFEST, LEDGER, HELD_OUT_LEDGER, MODEL, EVIDENCE];

    /// Those that the evidence of every run names by their digests.
    pub const SUBJECTS: [&str; 6] = [MODEL, JOB, MANIFEST, LEDGER, HELD_OUT_LEDGER, POLICY];
}

/// Refuses names that could leave the folder, hide in it or be read as an option.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=100).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['.', '-']) {
        Ok(())
    } else {
        Err(Error::Name { name: name.to_owned() })
    }
}

/// Names of what is in a folder, in order, but for its lock.
///
/// # Errors
///
/// [`Error::Io`]; [`Flaw::TooMany`], before more names than a run has files are held.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let read = || Error::io("read", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(read())? {
        let name = entry.map_err(read())?.file_name();
        if name == LOCK {
            continue;
        }
        if names.len() > FILES {
            return Err(Flaw::TooMany { limit: FILES }.of(".").into());
        }
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
