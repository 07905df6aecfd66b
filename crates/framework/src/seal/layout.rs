//! The layout of a run folder: the names of its files, which names are allowed, and limits on size.

use std::fs;
use std::path::Path;

use super::Error;

/// No accountability log is larger, in bytes.
pub(super) const LOG_LIMIT: u64 = 64 << 20;

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

/// Names of what is in a folder, in order.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let read = || Error::io("read", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(read())? {
        let name = entry.map_err(read())?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
