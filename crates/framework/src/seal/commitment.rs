//! What a run is bound to before it reads a row: the first entry of its log.

use std::collections::BTreeMap;

use serde::Deserialize;
use underpin_core::{Attempt, Digest, Evidence, Seed, Subject, Value};

use super::{Flaw, Log, files};

/// What the first entry of a log says was done.
const ACT: &str = "committed to the run";

/// What is fixed before the first row is read: the policy, the configuration, the data files, the code, the seed.
///
/// It is the first entry of the log, signed, and every later entry follows it by its digest: a policy or a setting that was
/// chosen after a measurement was seen does not agree with it, and the run does not verify.
///
/// # Guarantees
///
/// 1. A run whose policy, configuration, data, reading of them, device, protection, code revision, versions, seed or attempt is not that of its first entry does
///    not verify: `a_run_is_what_it_committed_to`.
///
/// # Limits
///
/// The time of the entry is the signer's word, as every time in the log is. A second party that saw the entry can vouch for
/// it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commitment {
    /// SHA-256 of the policy's bytes.
    pub policy: Digest,
    /// SHA-256 of the changes to the configuration, byte for byte as they were given; none without changes.
    pub configuration: Option<Digest>,
    /// The files that train.
    pub data: Vec<Subject>,
    /// The files of the rows set aside; none when they are split off the files that train.
    pub held_out: Vec<Subject>,
    /// SHA-256 of how the files are read (label, format, shape, …): its JSON with sorted keys.
    pub input: Digest,
    /// Where tensors are computed.
    pub device: String,
    /// Whether the run is defended: `defended` or `undefended`.
    pub protection: String,
    /// Where the run's public randomness starts.
    pub seed: Seed,
    /// Revision of the code.
    pub revision: String,
    /// Versions of what computes.
    pub versions: BTreeMap<String, String>,
    /// Which attempt it is; none when nobody counts.
    pub attempt: Option<Attempt>,
}

impl Commitment {
    /// What the entry says was done.
    pub const fn act() -> &'static str {
        ACT
    }

    /// The name of the attempt among the details of the entry.
    pub const ATTEMPT: &'static str = "attempt";

    /// The details of the entry.
    pub fn details(&self) -> BTreeMap<String, Value> {
        // Exhaustive: what a run is bound to is written down.
        let Self {
            policy,
            configuration,
            data,
            held_out,
            input,
            device,
            protection,
            seed,
            revision,
            versions,
            attempt,
        } = self;
        let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
        let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        BTreeMap::from([
            text("policy", policy.to_string()),
            text("configuration", configuration.map_or_else(|| "none".into(), |digest| digest.to_string())),
            text("data", digests(data)),
            text("held_out", digests(held_out)),
            text("input", input.to_string()),
            text("device", device.clone()),
            text("protection", protection.clone()),
            text("seed", seed.0.to_string()),
            text("revision", revision.clone()),
            text("versions", versions.join(", ")),
            text(Self::ATTEMPT, attempt.map_or_else(|| "not counted".into(), |attempt| attempt.to_string())),
        ])
    }

    /// The digest of how files are read, from its JSON.
    pub fn input_digest(input: &serde_json::Value) -> Digest {
        // Keys of a JSON object are sorted.
        Digest::of(input.to_string().as_bytes())
    }
}

/// Digests of files, in their order; `none` without one.
fn digests(files: &[Subject]) -> String {
    let list: Vec<String> = files.iter().map(|file| file.digest.to_string()).collect();
    if list.is_empty() { "none".into() } else { list.join(" ") }
}

/// What the run itself says of what it was made from, read from its manifest and from the record of its job.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    /// The files that were read.
    pub(super) files: FilesRead,
    /// Whether it is defended.
    pub(super) job: JobRead,
}

/// What the manifest says of the files that were read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FilesRead {
    files: Vec<Subject>,
    held_out_files: Vec<Subject>,
}

/// What the record of the job says of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct JobRead {
    input: serde_json::Value,
    device: String,
    protection: String,
}

/// Checks that a run is what its first entry bound it to.
///
/// `made` and `evidence` are those of the run; of a run that was reassessed `evidence` is its first.
///
/// # Errors
///
/// [`Flaw::Uncommitted`] when the first entry is of another kind, [`Flaw::Committed`] naming what differs.
pub(super) fn check(log: &Log, made: &Made, evidence: &Evidence) -> Result<(), Flaw> {
    let Some(entry) = log.entries().first().filter(|entry| entry.what == ACT) else {
        return Err(Flaw::Uncommitted);
    };
    let first = |name: &str| log.entries().iter().find_map(|entry| entry.files.get(name)).map(|file| file.digest);
    let Made { files: FilesRead { files: data, held_out_files: held_out }, job } = made.clone();
    let JobRead { input, device, protection } = job;
    let Some(policy) = first(files::POLICY) else { return Err(Flaw::Missing) };
    // Exhaustive: a new field of the evidence is compared, or is left out here on purpose.
    let Evidence { subjects: _, policy: _, seed, revision, versions, attempt, measured_at: _, record: _ } = evidence;
    let done = Commitment {
        policy,
        configuration: first(files::CONFIGURATION),
        data,
        held_out,
        input: Commitment::input_digest(&input),
        device,
        protection,
        seed: *seed,
        revision: revision.clone(),
        versions: versions.clone(),
        attempt: *attempt,
    };
    let (committed, done) = (&entry.details, done.details());
    let differs = done.iter().find(|(name, value)| committed.get(*name) != Some(value)).map(|(name, _)| name);
    let differs = differs.or_else(|| committed.keys().find(|name| !done.contains_key(*name)));
    differs.map_or(Ok(()), |what| Err(Flaw::Committed { what: what.clone() }))
}
