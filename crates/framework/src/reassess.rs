//! A clearance is for a while: the same model attacked again, under the policy of the day.

use std::collections::BTreeMap;
use std::path::Path;

use underpin_core::{Digest, Evidence, Quantity, Record, Seed, Sketch};
use underpin_data::Manifest;
use underpin_privacy::{FreshBytes, NoiseSource, SecretKey};
use underpin_train::Classifier;

use crate::Error;
use crate::drift::Drift;
use crate::job::{Job, RecordedJob};
use crate::json::{from_run, to_json};
use crate::known_runs::KnownRuns;
use crate::pipeline::{Finished, view};
use crate::report;
use crate::seal::{self, Action, PublicKey, Revocation, SigningKey, files};
use crate::stages::{Assessed, Declared, Judged, Provenance};
use crate::trainers::recipe;

/// Probability with which traffic that did not drift is said to have.
const FALSE_ALARM: f64 = 0.001;

/// What became of a clearance.
#[derive(Debug)]
pub enum ReassessmentResult {
    /// Every bar is met again and the traffic looks as it did; valid anew.
    Renewed,
    /// Withdrawn for good.
    Revoked {
        /// Why.
        reason: String,
    },
}

/// A reassessment that came to its end.
#[derive(Debug)]
pub struct Reassessed {
    /// What became of the clearance.
    pub outcome: ReassessmentResult,
    /// What the traffic shows, if there was any.
    pub drift: Option<Drift>,
    /// The new measurements and their judgement.
    pub finished: Finished,
}

/// What to reassess.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The run folder.
    pub folder: &'a Path,
    /// Keys that the run may be signed by.
    pub trusted: &'a [PublicKey],
    /// The policy of the day; the run's own if absent.
    pub policy: Option<&'a [u8]>,
    /// Sketch of what the server saw.
    pub traffic: Option<&'a Sketch>,
    /// What the owner remembers of runs: one that went back is refused, and the reassessment is remembered; nothing is if
    /// absent.
    pub known: Option<&'a KnownRuns>,
    /// Who asks, for the log.
    pub who: &'a str,
    /// Revision of the code.
    pub revision: &'a str,
    /// Versions of what computes.
    pub versions: &'a BTreeMap<String, String>,
}

/// Attacks the model of a cleared run again and renews or revokes its clearance; `clock` returns seconds since 1970 UTC.
///
/// The rows are read again from where they came from and must be the same; the model is the one that was signed. New
/// evidence takes the place of the old, which stays in the folder under its position in the log.
///
/// # Errors
///
/// When the run does not hold what it claims, went back, was never cleared or is revoked already, its rows are gone or others,
/// or an attack cannot be run. Then the clearance is as it was.
pub fn reassess(request: &Request<'_>, key: &SigningKey, clock: &dyn Fn() -> u64) -> Result<Reassessed, Error> {
    let run = seal::inspect(request.folder, request.trusted)?;
    request.known.map_or(Ok(()), |known| known.check_run(request.folder, run.log()))?;
    match run.status() {
        seal::ClearanceStatus::Cleared(_) => {}
        seal::ClearanceStatus::Refused(unmet) => {
            return Err(Error::NotCleared { unmet: unmet.len(), wanted: "reassessed" });
        }
        seal::ClearanceStatus::Revoked(Revocation { at, reason, .. }) => {
            let flaw = seal::Flaw::Revoked { at: *at, reason: reason.clone() };
            return Err(Error::Fault(flaw.of(files::REVOCATION)));
        }
    }
    let index = run.log().entries().len() as u64;
    let recorded: RecordedJob = from_run(&run, files::JOB)?;
    let declared = match request.policy {
        Some(policy) => Declared::read(policy)?,
        None => Declared::read(&run.file(files::POLICY, files::DOCUMENT_LIMIT)?)?,
    };
    let manifest: Manifest = from_run(&run, files::MANIFEST)?;
    let drift = request.traffic.map(|seen| Drift::test(&manifest.sketch, seen, FALSE_ALARM)).transpose()?;

    let job = again(request, recorded, declared.bytes())?;
    let (seed, device) = (job.seed, job.device);
    let mut sanitized = declared.collect(&job)?;
    let differs = |name: &str| {
        let again = Digest::of(&sanitized.collected().files[name]);
        run.listed().get(name).map(|file| file.digest) != Some(again)
    };
    if differs(files::MANIFEST) {
        return Err(Error::OtherData { file: manifest.source });
    }
    // The evidence speaks of it: under other settings it would be about another run.
    if differs(files::JOB) {
        return Err(seal::Flaw::Disagrees { field: "what was assessed again" }.of(files::JOB).into());
    }
    sanitized.follow_policy();
    let noise = NoiseSource::of_run(&SecretKey::new(key.secret("underpin training")), &FreshBytes::from_os()?);
    let recipe = recipe(sanitized.config(), noise)?;
    let bytes = run.file(files::MODEL, files::MODEL_LIMIT)?;
    let model = Classifier::from_safetensors(&bytes, device)?;
    let trained = sanitized.restore(&recipe, model, training(run.evidence()), seed)?;
    let serving = SecretKey::new(key.secret("underpin serving")).derive("model", &[Digest::of(&bytes).bytes()]);
    let provenance = Provenance {
        seed: Seed(seed.derive("reassessment").nth(index).0),
        revision: request.revision.to_owned(),
        versions: request.versions.clone(),
        attempt: run.evidence().attempt,
        measured_at: clock(),
    };
    let assessed = trained.harden(serving)?.assess(&recipe, provenance)?;
    let mut written = BTreeMap::new();
    let old = format!("evidence.{index}.dsse.json");
    // Read now, so that evidence which another reassessment replaced meanwhile is not lost.
    written.insert(old.as_str(), run.file(files::EVIDENCE, files::DOCUMENT_LIMIT)?);
    if let Some(policy) = request.policy {
        written.insert(files::POLICY, policy.to_vec());
    }
    conclude(request, &assessed, drift, written, key, clock)
}

/// The job of a run, to be made again under the policy in `policy`.
fn again(request: &Request<'_>, recorded: RecordedJob, policy: &[u8]) -> Result<Job, Error> {
    let RecordedJob { input, device, protection, seed, config } = recorded;
    Ok(Job {
        input,
        policy: policy.to_vec(),
        config: Some(config.as_changes()?),
        seed,
        device,
        protection,
        out: request.folder.to_owned(),
        budget: None,
        resume: None,
        state: None,
        who: request.who.to_owned(),
        revision: request.revision.to_owned(),
        versions: request.versions.clone(),
    })
}

/// What training left behind: it is not repeated, so its numbers stand.
fn training(evidence: &Evidence) -> Record {
    let Record { measurements, series, parameters } = evidence.record.clone();
    Record {
        measurements: measurements.into_iter().filter(|measured| measured.quantity == Quantity::Epsilon).collect(),
        series: series.into_iter().filter(|series| ["epsilon", "loss"].contains(&series.name.as_str())).collect(),
        parameters: parameters.into_iter().filter(|(name, _)| name.starts_with("training.")).collect(),
    }
}

fn conclude(
    request: &Request<'_>,
    assessed: &Assessed<Classifier>,
    drift: Option<Drift>,
    mut written: BTreeMap<&str, Vec<u8>>,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Reassessed, Error> {
    let (guarded, judged) = match assessed {
        Assessed::Cleared(cleared) => (cleared.guarded(), cleared.judged()),
        Assessed::Refused(refused) => (refused.guarded(), refused.judged()),
    };
    let evidence = judged.evidence();
    let envelope = seal::sign(evidence, &evidence.subjects, key)?;
    let id = key.public().id().to_string();
    let shifted = drift.as_ref().filter(|drift| drift.is_found());
    let (outcome, cleared, html) = match (assessed, shifted) {
        (Assessed::Cleared(cleared), None) => {
            let safety = cleared.evaluate_safety(evidence.seed.derive("safety"))?;
            let file = to_json(&safety, files::SAFETY)?;
            let clearance = cleared.clearance(&envelope, (&safety, &file), clock());
            let (expires_at, release) = (clearance.expires_at, Some(&clearance.release[..]));
            let shown = report::GateResult::Cleared { expires_at, key: &id, safety: Some(&safety), release };
            let report = view(guarded, judged, shown);
            written.insert(files::CLEARANCE, clearance.sign(key)?);
            written.insert(files::SAFETY, file);
            written.insert(files::MODEL_CARD, report::model_card(&report).into_bytes());
            let html = report::html(&report);
            (ReassessmentResult::Renewed, Some((expires_at, clearance.release)), html)
        }
        (_, shifted) => {
            let reason = reason(judged, shifted);
            let revocation = Revocation { model: Digest::of(guarded.artifact()), at: clock(), reason: reason.clone() };
            written.insert(files::REVOCATION, revocation.sign(key)?);
            // What was for people when the model was cleared must not go on saying so.
            let mut withdrawn = Record::default();
            withdrawn.set("revoked", reason.as_str());
            let report = view(guarded, judged, report::GateResult::Refused);
            written.insert(files::SAFETY, to_json(&withdrawn, files::SAFETY)?);
            written.insert(files::MODEL_CARD, report::model_card(&report).into_bytes());
            (ReassessmentResult::Revoked { reason }, None, report::html(&report))
        }
    };
    written.insert(files::EVIDENCE, envelope);
    written.insert(files::REPORT, html.into_bytes());
    let what = match &outcome {
        ReassessmentResult::Renewed => "reassessed the model and renewed its clearance",
        ReassessmentResult::Revoked { .. } => "reassessed the model and revoked its clearance",
    };
    let mut details = BTreeMap::new();
    if let Some(drift) = &drift {
        details.insert("traffic".to_owned(), drift.seen.into());
        details.insert("drifted".to_owned(), drift.shifts.len().into());
    }
    if let ReassessmentResult::Revoked { reason } = &outcome {
        details.insert("reason".to_owned(), reason.as_str().into());
    }
    let act = Action { at: clock(), who: request.who.to_owned(), what: what.into(), details };
    let at = act.at;
    seal::amend(request.folder, request.trusted, key, act, &written)?;
    if let Some(known) = request.known {
        known.remember_folder(request.folder, request.trusted, at)?;
    }
    let report = view(guarded, judged, report::GateResult::Refused);
    let (expires_at, release) = cleared.unzip();
    let finished = Finished {
        policy: report.policy.clone(),
        evidence: evidence.clone(),
        verdicts: judged.verdicts().to_vec(),
        expires_at,
        release: release.unwrap_or_default(),
        table: report::table(&report).iter().map(report::Row::cells).collect(),
        folder: request.folder.to_owned(),
    };
    Ok(Reassessed { outcome, drift, finished })
}

fn reason(judged: &Judged, shifted: Option<&Drift>) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let unmet = judged.unmet().count();
    if unmet > 0 {
        let policy = &judged.policy;
        reasons.push(format!("{unmet} bars of the policy {policy:?} are not met"));
    }
    if let Some(first) = shifted.and_then(|drift| drift.shifts.first()) {
        reasons.push(format!(
            "the traffic drifted: {} moved by {:.2}, {:.2} is chance",
            first.name, first.distance, first.threshold
        ));
    }
    reasons.join("; ")
}
