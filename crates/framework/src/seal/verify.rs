//! Whether a run folder holds together: every byte signed for, every verdict following from the evidence.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use underpin_core::{Digest, Evidence, Policy, Record, Verdict};

use super::layout::{self, LOG_LIMIT};
use super::policy::AcceptedPolicies;
use super::{
    ClearanceDocument, Fault, Flaw, Log, PublicKey, Revocation, commitment, disk, files, open, policy, rejections,
};

/// Bytes of all files of a run together.
const LIMIT: u64 = 4 << 30;

/// Files of a run.
const FILES: usize = 1000;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// How a run ended.
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
#[derive(Clone, Debug)]
pub struct Run {
    files: BTreeMap<String, Vec<u8>>,
    policy: Policy,
    evidence: Evidence,
    status: ClearanceStatus,
    log: Log,
    signer: Digest,
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

    /// The bytes of a file as they were verified; none when the run has no such file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// Hands the bytes of a file over; none when the run has no such file, or handed it over before.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.files.remove(name)
    }
}

/// A run that holds together and was, at the time it was verified, cleared and in force, or refused.
#[derive(Clone, Debug)]
pub struct Verified {
    run: Run,
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

/// Checks all that a run folder claims at `now`, seconds since 1970 UTC: [`inspect`], and that a clearance is in force.
///
/// # Errors
///
/// The first [`Fault`]; [`Flaw::Expired`], [`Flaw::NotYet`] and [`Flaw::Revoked`] last of all.
pub fn verify(folder: &Path, trusted: &[PublicKey], now: u64) -> Result<Verified, Fault> {
    let run = inspect(folder, trusted)?;
    in_force(&run, now)?;
    Ok(Verified { run })
}

/// Checks that the clearance of `run`, if it was given one, is in force at `now`, seconds since 1970 UTC.
///
/// # Errors
///
/// [`Flaw::Expired`], [`Flaw::NotYet`] or [`Flaw::Revoked`].
pub fn in_force(run: &Run, now: u64) -> Result<(), Fault> {
    match &run.status {
        ClearanceStatus::Cleared(clearance) => clearance.valid_at(now).map_err(|flaw| flaw.of(files::CLEARANCE)),
        ClearanceStatus::Refused(_) => Ok(()),
        ClearanceStatus::Revoked(Revocation { at, reason, .. }) => {
            Err(Flaw::Revoked { at: *at, reason: reason.clone() }.of(files::REVOCATION))
        }
    }
}

/// Checks that a relying party accepts the policy of `run`: nobody uses a clearance under a policy that they did not name.
///
/// # Errors
///
/// [`Flaw::UnacceptedPolicy`].
pub fn accepted(run: &Run, policies: &AcceptedPolicies) -> Result<(), Fault> {
    let found = run.evidence.policy;
    if policies.contains(found) {
        Ok(())
    } else {
        Err(Flaw::UnacceptedPolicy { name: run.policy.name().to_owned(), found }.of(files::POLICY))
    }
}

/// Checks all that a run folder claims, but not whether its clearance is in force: for those who renew or show it.
///
/// In this order: the signer is trusted; the log's signatures and chain; each file listed and of its digest, none
/// besides; the policy; the evidence and its subjects; that the run is what its first entry bound it to; the rejected rows, counted again from both ledgers; the
/// clearance, each verdict judged anew; the revocation.
///
/// Each file is read once, into memory; files of more than 4 GiB together are refused.
///
/// # Errors
///
/// The first [`Fault`].
pub fn inspect(folder: &Path, trusted: &[PublicKey]) -> Result<Run, Fault> {
    let _lock = disk::lock_shared(folder).map_err(|flaw| flaw.of("."))?;
    read(folder, trusted)
}

/// [`inspect`] without the lock, for whoever holds it.
pub(super) fn read(folder: &Path, trusted: &[PublicKey]) -> Result<Run, Fault> {
    let signer = signer(folder, trusted)?;
    let log = disk::read(&folder.join(files::LOG), LOG_LIMIT).and_then(|bytes| Log::read(bytes, trusted));
    let log = log.map_err(|flaw| flaw.of(files::LOG))?;
    let files = listed(folder, &log)?;
    let (policy, digest) =
        policy::read(&files[files::POLICY]).map_err(|error| Flaw::malformed(&error).of(files::POLICY))?;
    let evidence = evidence(&files, digest, signer, trusted).map_err(|flaw| flaw.of(files::EVIDENCE))?;
    let first = first_evidence(&files, &evidence, trusted)?;
    commitment::check(&log, &files[files::MANIFEST], &files[files::JOB], &first).map_err(|flaw| flaw.of(files::LOG))?;
    rejections::recount(&files, &policy)?;
    let verdicts = policy.judge(digest, &evidence);
    let status = if let Some(bytes) = files.get(files::REVOCATION) {
        ClearanceStatus::Revoked(revocation(bytes, &files, trusted).map_err(|flaw| flaw.of(files::REVOCATION))?)
    } else if let Some(bytes) = files.get(files::CLEARANCE) {
        let check = || {
            let clearance = clearance(bytes, &files, trusted)?;
            agrees(&clearance, &files, &policy, &evidence)?;
            follows(&clearance.verdicts, &verdicts)?;
            same_verdicts(&clearance.release, &policy.judge_release(&safety(&files)?))?;
            Ok(clearance)
        };
        ClearanceStatus::Cleared(check().map_err(|flaw: Flaw| flaw.of(files::CLEARANCE))?)
    } else if verdicts.iter().all(Verdict::is_met) {
        return Err(Flaw::NoClearance.of(files::CLEARANCE));
    } else {
        ClearanceStatus::Refused(verdicts.into_iter().filter(|verdict| !verdict.is_met()).collect())
    };
    Ok(Run { files, policy, evidence, status, log, signer })
}

fn signer(folder: &Path, trusted: &[PublicKey]) -> Result<Digest, Fault> {
    let check = || {
        let bytes = disk::read(&folder.join(files::SIGNER), 64 << 10)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| Flaw::malformed(&error))?;
        let key = PublicKey::from_pem(text).map_err(|error| Flaw::malformed(&error))?;
        if key.to_pem() != text {
            return Err(Flaw::NotCanonical);
        }
        let id = key.id();
        if trusted.contains(&key) { Ok(id) } else { Err(Flaw::Untrusted { key: id }) }
    };
    check().map_err(|flaw| flaw.of(files::SIGNER))
}

/// Reads every file that the log lists; those that must be there are.
fn listed(folder: &Path, log: &Log) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let listed = log.files();
    let mut left = LIMIT;
    let mut files = BTreeMap::new();
    for (name, expected) in &listed {
        let bytes = disk::read(&folder.join(name), left).map_err(|flaw| flaw.of(*name))?;
        let found = Digest::of(&bytes);
        if found != *expected {
            return Err(Flaw::Digest { by: "the accountability log", expected: *expected, found }.of(*name));
        }
        left -= bytes.len() as u64;
        files.insert((*name).to_owned(), bytes);
    }
    let present = layout::names(folder).map_err(|error| Flaw::Unreadable { reason: error.to_string() }.of("."))?;
    if present.len() > FILES {
        return Err(Flaw::TooMany { limit: FILES }.of("."));
    }
    if let Some(name) = present.iter().find(|name| *name != files::LOG && !listed.contains_key(name.as_str())) {
        return Err(Flaw::Unlisted.of(name));
    }
    let missing = files::REQUIRED.iter().find(|name| **name != files::LOG && !files.contains_key(**name));
    missing.map_or(Ok(files), |name| Err(Flaw::Missing.of(*name)))
}

fn evidence(
    files: &BTreeMap<String, Vec<u8>>,
    policy: Digest,
    signer: Digest,
    trusted: &[PublicKey],
) -> Result<Evidence, Flaw> {
    let signed = open::<Evidence>(&files[files::EVIDENCE], trusted)?;
    let evidence = signed.predicate;
    if signed.signer != signer {
        return Err(Flaw::Disagrees { field: "the signer, by signer.pub.pem," });
    }
    if signed.subjects != evidence.subjects {
        return Err(Flaw::Disagrees { field: "the list of subjects" });
    }
    for subject in &evidence.subjects {
        if files.get(&subject.name).map(|bytes| Digest::of(bytes)) != Some(subject.digest) {
            return Err(Flaw::Subject { name: subject.name.clone() });
        }
    }
    if evidence.policy != policy {
        return Err(Flaw::OtherPolicy { expected: policy, found: evidence.policy });
    }
    let unspoken = files::SUBJECTS.into_iter().find(|name| evidence.subject(name).is_none());
    unspoken.map_or(Ok(evidence), |name| Err(Flaw::Subject { name: name.to_owned() }))
}

/// The evidence that the run was sealed with, where a reassessment put other evidence in its place: `evidence.N.dsse.json`
/// of the lowest N.
fn first_evidence(
    files: &BTreeMap<String, Vec<u8>>,
    evidence: &Evidence,
    trusted: &[PublicKey],
) -> Result<Evidence, Fault> {
    let number = |name: &str| name.strip_prefix("evidence.")?.strip_suffix(".dsse.json")?.parse::<u64>().ok();
    let oldest = files.iter().filter_map(|(name, bytes)| Some((number(name)?, name, bytes))).min_by_key(|old| old.0);
    let Some((_, name, bytes)) = oldest else { return Ok(evidence.clone()) };
    Ok(open::<Evidence>(bytes, trusted).map_err(|flaw| flaw.of(name))?.predicate)
}

fn clearance(
    bytes: &[u8],
    files: &BTreeMap<String, Vec<u8>>,
    trusted: &[PublicKey],
) -> Result<ClearanceDocument, Flaw> {
    let signed = open::<ClearanceDocument>(bytes, trusted)?;
    let clearance = signed.predicate;
    if signed.subjects != clearance.subjects() {
        return Err(Flaw::Disagrees { field: "the list of subjects" });
    }
    if clearance.model == Digest::of(&files[files::MODEL]) {
        Ok(clearance)
    } else {
        Err(Flaw::Subject { name: files::MODEL.into() })
    }
}

fn revocation(bytes: &[u8], files: &BTreeMap<String, Vec<u8>>, trusted: &[PublicKey]) -> Result<Revocation, Flaw> {
    let signed = open::<Revocation>(bytes, trusted)?;
    let revocation = signed.predicate;
    let model = Digest::of(&files[files::MODEL]);
    if signed.subjects != revocation.subjects() || revocation.model != model {
        return Err(Flaw::Subject { name: files::MODEL.into() });
    }
    Ok(revocation)
}

fn agrees(
    clearance: &ClearanceDocument,
    files: &BTreeMap<String, Vec<u8>>,
    policy: &Policy,
    evidence: &Evidence,
) -> Result<(), Flaw> {
    let fields = [
        ("the evidence", clearance.evidence == Digest::of(&files[files::EVIDENCE])),
        ("the policy's digest", clearance.policy.digest == evidence.policy),
        ("the policy's name", clearance.policy.name == policy.name()),
        ("the waivers", clearance.waivers == policy.waivers()),
        ("safety.json", files.get(files::SAFETY).map(|bytes| Digest::of(bytes)) == Some(clearance.safety)),
        ("the seed", clearance.seed == evidence.seed),
        ("the revision", clearance.revision == evidence.revision),
        ("issued_at, earlier than the measurements,", clearance.issued_at >= evidence.measured_at),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, agrees)| !agrees) {
        return Err(Flaw::Disagrees { field });
    }
    let days = policy.valid_days();
    let latest = clearance.issued_at.saturating_add(u64::from(days) * DAY);
    if clearance.expires_at > latest { Err(Flaw::TooLong { days }) } else { Ok(()) }
}

fn safety(files: &BTreeMap<String, Vec<u8>>) -> Result<Record, Flaw> {
    let bytes = files.get(files::SAFETY).ok_or(Flaw::Subject { name: files::SAFETY.into() })?;
    serde_json::from_slice(bytes).map_err(|error| Flaw::malformed(&error))
}

fn same_verdicts(claimed: &[Verdict], judged: &[Verdict]) -> Result<(), Flaw> {
    let differs = (0..claimed.len().max(judged.len())).find(|bar| claimed.get(*bar) != judged.get(*bar));
    differs.map_or(Ok(()), |bar| Err(Flaw::Verdict { bar: bar + 1 }))
}

fn follows(claimed: &[Verdict], judged: &[Verdict]) -> Result<(), Flaw> {
    same_verdicts(claimed, judged)?;
    match judged.iter().find_map(|verdict| Some((verdict.bar, verdict.unmet.as_ref()?))) {
        Some((bar, unmet)) => Err(Flaw::Unmet { bar: bar + 1, unmet: unmet.to_string() }),
        None => Ok(()),
    }
}
