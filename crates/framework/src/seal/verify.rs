//! Whether a run folder holds together: every byte signed for, every verdict following from the evidence.

use std::fs;
use std::path::Path;

use underpin_core::{Digest, Evidence, Policy, Record, Verdict};

use super::amend::read_log;
use super::contents::Files;
use super::layout::parsed_limit;
use super::policy::AcceptedPolicies;
use super::{
    ClearanceDocument, ClearanceStatus, Fault, Flaw, LogHead, PublicKey, Revocation, Run, Verified, commitment, disk,
    files, open, policy, snapshot,
};

/// Seconds of a day.
const DAY: u64 = 86_400;

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

/// Checks that the log of `run` goes on from `head`, which somebody was told: the digest of the log as it was then.
///
/// # Errors
///
/// [`Flaw::NotExtended`].
pub fn extends(run: &Run, head: Digest) -> Result<(), Fault> {
    let LogHead { entries, digest: last, .. } = run.log.head();
    match run.log.head_of(head) {
        Some(_) => Ok(()),
        None => Err(Flaw::NotExtended { head, entries, last }.of(files::LOG)),
    }
}

/// Checks all that a run folder claims, but not whether its clearance is in force: for those who renew or show it.
///
/// In this order: the signer is trusted; the log's signatures and chain; each file listed, of its size and digest, none
/// besides; the policy; the evidence and its subjects; that the run is what its first entry bound it to; the rejected rows,
/// counted again from both ledgers; the clearance, each verdict judged anew; the revocation.
///
/// # Limits
///
/// Files may be of any size: they are hashed piece by piece, the ledgers counted line by line (64 KiB a line), and of manifest
/// and job only what names the data files and the protection is kept. What is parsed whole is read into memory, and refused
/// when it is larger: log, evidence and safety evaluation 4 MiB, policy and clearance 1 MiB, revocation 64 KiB, signer 4 KiB. Memory stays below 64 MiB (`verifying_takes_little_memory`).
///
/// No lock is taken: a writer is waited for two seconds, and what changed meanwhile is read again
/// (`a_lock_on_the_folder_stops_nobody`).
///
/// # Errors
///
/// The first [`Fault`]; [`Flaw::Busy`] when the folder changed each time it was read.
pub fn inspect(folder: &Path, trusted: &[PublicKey]) -> Result<Run, Fault> {
    snapshot::read(folder, Run::log, || read(folder, trusted))
}

/// [`inspect`] of a folder that nobody else writes to.
pub(super) fn read(folder: &Path, trusted: &[PublicKey]) -> Result<Run, Fault> {
    // By its name alone: whoever may not list it learns why from the first file.
    fs::metadata(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Flaw::Missing.of("."),
        _ => disk::unreadable(error).of("."),
    })?;
    let signer = signer(folder, trusted)?;
    let log = read_log(folder, trusted)?;
    let files = Files::read(folder, &log)?;
    let (policy, digest) =
        policy::read(parsed(&files, files::POLICY)).map_err(|error| Flaw::malformed(&error).of(files::POLICY))?;
    let evidence = evidence(&files, digest, signer, trusted).map_err(|flaw| flaw.of(files::EVIDENCE))?;
    let first = first_evidence(folder, &files, &evidence, trusted)?;
    commitment::check(&log, &files.made, &first).map_err(|flaw| flaw.of(files::LOG))?;
    files.check_rejections(policy.max_rejected())?;
    let verdicts = policy.judge(digest, &evidence);
    let mut signers = log.signers().clone();
    signers.insert(signer);
    let status = if let Some(bytes) = files.bytes(files::REVOCATION) {
        let (revocation, by) = revocation(bytes, &files, trusted).map_err(|flaw| flaw.of(files::REVOCATION))?;
        signers.insert(by);
        ClearanceStatus::Revoked(revocation)
    } else if let Some(bytes) = files.bytes(files::CLEARANCE) {
        let mut check = || {
            let (clearance, by) = clearance(bytes, &files, trusted)?;
            signers.insert(by);
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
    let folder = folder.to_owned();
    Ok(Run { folder, files: files.listed, policy, evidence, status, log, signer, signers })
}

/// The bytes of a file that every run has and that is parsed.
fn parsed<'f>(files: &'f Files, name: &str) -> &'f [u8] {
    files.bytes(name).expect("invariant: the files that every run has were read")
}

fn signer(folder: &Path, trusted: &[PublicKey]) -> Result<Digest, Fault> {
    let check = || {
        let limit = parsed_limit(files::SIGNER).unwrap_or_default();
        let bytes = disk::read(&folder.join(files::SIGNER), limit)?;
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

fn evidence(files: &Files, policy: Digest, signer: Digest, trusted: &[PublicKey]) -> Result<Evidence, Flaw> {
    let signed = open::<Evidence>(parsed(files, files::EVIDENCE), trusted)?;
    let evidence = signed.predicate;
    // The id of a key is the digest of its file.
    if signed.signer != signer || files.digest(files::SIGNER) != Some(signer) {
        return Err(Flaw::Disagrees { field: "the signer, by signer.pub.pem," });
    }
    if signed.subjects != evidence.subjects {
        return Err(Flaw::Disagrees { field: "the list of subjects" });
    }
    for subject in &evidence.subjects {
        if files.digest(&subject.name) != Some(subject.digest) {
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
fn first_evidence(folder: &Path, files: &Files, evidence: &Evidence, trusted: &[PublicKey]) -> Result<Evidence, Fault> {
    let number = |name: &str| name.strip_prefix("evidence.")?.strip_suffix(".dsse.json")?.parse::<u64>().ok();
    let oldest = files.listed.iter().filter_map(|(name, file)| Some((number(name)?, name, file)));
    let Some((_, name, file)) = oldest.min_by_key(|old| old.0) else { return Ok(evidence.clone()) };
    let read = disk::read_listed(&folder.join(name), file, files::DOCUMENT_LIMIT);
    let opened = read.and_then(|bytes| open::<Evidence>(&bytes, trusted));
    Ok(opened.map_err(|flaw| flaw.of(name))?.predicate)
}

fn clearance(bytes: &[u8], files: &Files, trusted: &[PublicKey]) -> Result<(ClearanceDocument, Digest), Flaw> {
    let signed = open::<ClearanceDocument>(bytes, trusted)?;
    let clearance = signed.predicate;
    if signed.subjects != clearance.subjects() {
        return Err(Flaw::Disagrees { field: "the list of subjects" });
    }
    if files.digest(files::MODEL) == Some(clearance.model) {
        Ok((clearance, signed.signer))
    } else {
        Err(Flaw::Subject { name: files::MODEL.into() })
    }
}

fn revocation(bytes: &[u8], files: &Files, trusted: &[PublicKey]) -> Result<(Revocation, Digest), Flaw> {
    let signed = open::<Revocation>(bytes, trusted)?;
    let revocation = signed.predicate;
    if signed.subjects != revocation.subjects() || files.digest(files::MODEL) != Some(revocation.model) {
        return Err(Flaw::Subject { name: files::MODEL.into() });
    }
    Ok((revocation, signed.signer))
}

fn agrees(clearance: &ClearanceDocument, files: &Files, policy: &Policy, evidence: &Evidence) -> Result<(), Flaw> {
    let fields = [
        ("the evidence", files.digest(files::EVIDENCE) == Some(clearance.evidence)),
        ("the policy's digest", clearance.policy.digest == evidence.policy),
        ("the policy's name", clearance.policy.name == policy.name()),
        ("the waivers", clearance.waivers == policy.waivers()),
        ("safety.json", files.digest(files::SAFETY) == Some(clearance.safety)),
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

fn safety(files: &Files) -> Result<Record, Flaw> {
    let bytes = files.bytes(files::SAFETY).ok_or(Flaw::Subject { name: files::SAFETY.into() })?;
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
