//! What a second party has seen: its signature over the head of a run's log, kept apart from the run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use underpin_core::{Digest, Subject};

use super::{
    ClearanceStatus, Error, Fault, Flaw, LogHead, Predicate, PublicKey, Run, SigningKey, disk, files, open, sign,
};

/// No statement of a witness is larger, bytes.
const LIMIT: u64 = 64 << 10;

/// Files whose replacement makes another clearance of a run, which a witness has to see anew.
const DECISIVE: [&str; 10] = [
    files::CLEARANCE,
    files::EVIDENCE,
    files::SAFETY,
    files::POLICY,
    files::MODEL,
    files::JOB,
    files::CONFIGURATION,
    files::MANIFEST,
    files::LEDGER,
    files::HELD_OUT_LEDGER,
];

/// How a run stood when a witness saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessedStatus {
    /// Every bar was met, and every limit of the policy's intent.
    Released,
    /// Every bar was met.
    Cleared,
    /// A bar was not met.
    Refused,
    /// The clearance was taken back.
    Revoked,
}

impl WitnessedStatus {
    fn of(run: &Run) -> Self {
        match run.status() {
            ClearanceStatus::Cleared(clearance) if clearance.is_released() => Self::Released,
            ClearanceStatus::Cleared(_) => Self::Cleared,
            ClearanceStatus::Refused(_) => Self::Refused,
            ClearanceStatus::Revoked(_) => Self::Revoked,
        }
    }
}

/// What a witness says of a run that it verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessStatement {
    /// Root of the log: which run it is.
    pub root: Digest,
    /// How far the log went.
    pub head: LogHead,
    /// SHA-256 of the policy.
    pub policy: Digest,
    /// How the run stood.
    pub status: WitnessedStatus,
    /// When it was verified, seconds since 1970 UTC.
    pub at: u64,
}

impl Predicate for WitnessStatement {
    const TYPE: &'static str = "https://underpin.dev/witness/v1";
}

impl WitnessStatement {
    fn subjects(&self) -> [Subject; 1] {
        [Subject { name: files::LOG.into(), digest: self.head.digest }]
    }
}

/// Signs, as a witness, what was seen of a run that was verified at `at`, seconds since 1970 UTC; the bytes of the
/// statement's envelope. Only a verified run that is in force or refused should be witnessed.
///
/// # Errors
///
/// [`Error::OwnWitness`] when the key signed anything of the run: it would be its own witness.
pub fn witness(run: &Run, key: &SigningKey, at: u64) -> Result<Vec<u8>, Error> {
    let id = key.public().id();
    if run.signers().contains(&id) {
        return Err(Error::OwnWitness { key: id });
    }
    let (root, head, policy) = (run.log().root(), run.log().head(), run.evidence().policy);
    let statement = WitnessStatement { root, head, policy, status: WitnessedStatus::of(run), at };
    sign(&statement, &statement.subjects(), key)
}

/// The parties that must have witnessed a clearance, and where their statements lie: `KEY-ID.dsse.json` in one folder.
///
/// # Guarantees
///
/// 1. Each of the keys must have signed, over a head that the log goes on from, the policy and the verdict that stand
///    (`a_run_needs_every_witness_it_is_asked_for`).
/// 2. What a later entry replaced of evidence, clearance or safety is not covered: the witness must see it anew
///    (`a_later_clearance_is_not_covered`).
/// 3. A key that signed anything of the run is no witness of it (`a_run_is_not_its_own_witness`).
///
/// # Limits
///
/// A witness says what it verified, not that the numbers were measured.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    keys: Vec<PublicKey>,
    folder: Option<PathBuf>,
}

impl Witnesses {
    /// These keys; their statements lie in `folder`, beside the run in `DIR.witness` if absent.
    pub fn new(keys: Vec<PublicKey>, folder: Option<PathBuf>) -> Self {
        Self { keys, folder }
    }

    /// Where the statement of the key `id` on the run in `folder` lies.
    pub fn path(&self, folder: &Path, id: Digest) -> PathBuf {
        let beside = || {
            let mut name = folder.file_name().unwrap_or_default().to_owned();
            name.push(".witness");
            folder.with_file_name(name)
        };
        self.folder.clone().unwrap_or_else(beside).join(format!("{id}.dsse.json"))
    }

    /// Checks that each of them has witnessed the clearance of `run`, which lies in `folder`; their statements.
    ///
    /// # Errors
    ///
    /// [`Flaw::NotWitnessed`] when a statement is missing; [`Flaw::OwnWitness`]; [`Flaw::NotExtended`] when the log does not
    /// go on from the head that was seen; [`Flaw::NotCovered`] naming what is newer; [`Flaw::Disagrees`] for another run,
    /// policy or verdict; else what is wrong with the statement's envelope.
    pub fn check(&self, folder: &Path, run: &Run) -> Result<Vec<WitnessStatement>, Fault> {
        // By its real name: `.` and links lead to the same statements.
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let check = |key: &PublicKey| {
            let path = self.path(&folder, key.id());
            covered(run, key, &path).map_err(|flaw| flaw.of(path.display().to_string()))
        };
        self.keys.iter().map(check).collect()
    }
}

fn covered(run: &Run, key: &PublicKey, path: &Path) -> Result<WitnessStatement, Flaw> {
    let id = key.id();
    if run.signers().contains(&id) {
        return Err(Flaw::OwnWitness { key: id });
    }
    let bytes = disk::read(path, LIMIT).map_err(|flaw| match flaw {
        Flaw::Missing => Flaw::NotWitnessed { key: id },
        other => other,
    })?;
    let signed = open::<WitnessStatement>(&bytes, std::slice::from_ref(key))?;
    let statement = signed.predicate;
    if signed.subjects != statement.subjects() {
        return Err(Flaw::Disagrees { field: "the list of subjects" });
    }
    if statement.root != run.log().root() {
        return Err(Flaw::Disagrees { field: "the root of the log" });
    }
    let LogHead { entries, digest: last, .. } = run.log().head();
    if statement.head.entries == 0 || !run.log().extends(&statement.head) {
        return Err(Flaw::NotExtended { head: statement.head.digest, entries, last });
    }
    let newer = run.log().entries().iter().filter(|entry| entry.index >= statement.head.entries);
    for entry in newer {
        let replaced = DECISIVE.into_iter().chain([files::REVOCATION]).find(|name| entry.files.contains_key(*name));
        if let Some(file) = replaced {
            return Err(Flaw::NotCovered { file, entry: entry.index + 1, what: entry.what.clone() });
        }
    }
    if statement.policy != run.evidence().policy {
        return Err(Flaw::Disagrees { field: "the policy" });
    }
    if statement.status == WitnessedStatus::of(run) {
        Ok(statement)
    } else {
        Err(Flaw::Disagrees { field: "the verdict" })
    }
}
