//! One run: from untrusted rows to a sealed folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use underpin_core::{Digest, Evidence, Policy, Record, Verdict};
use underpin_privacy::SecretKey;
use underpin_train::Classifier;

use crate::Error;
use crate::collected::CollectedData;
use crate::job::{self, Job, RecordedJob};
use crate::json::to_json;
use crate::report::{self, Report};
use crate::seal::{self, Action, RunFolder, SigningKey, files};
use crate::stages::{Assessed, Cleared, Declared, Guarded, Judged, Provenance, Refused};
use crate::trainers::recipe;

/// File of a cleared run with its safety evaluation.
pub(crate) const SAFETY: &str = "safety.json";

/// A run that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// The policy.
    pub policy: Policy,
    /// What was measured.
    pub evidence: Evidence,
    /// The judgement of each bar.
    pub verdicts: Vec<Verdict>,
    /// When the clearance expires, seconds since 1970 UTC; none for a refusal.
    pub expires_at: Option<u64>,
    /// The closing table, under [`report::HEADINGS`].
    pub table: Vec<[String; 9]>,
    /// The folder.
    pub folder: PathBuf,
}

impl Finished {
    /// Whether every bar was met.
    pub fn is_cleared(&self) -> bool {
        self.expires_at.is_some()
    }
}

/// Runs `job`, signs with `key`, and leaves a sealed folder behind; `clock` tells seconds since 1970 UTC.
///
/// # Errors
///
/// When anything cannot be read, judged, trained, attacked or written. Then no folder is left behind. A refusal is no
/// error.
pub fn run(job: &Job, key: &SigningKey, clock: &dyn Fn() -> u64) -> Result<Finished, Error> {
    let declared = Declared::read(&job.policy)?;
    let mut folder = RunFolder::create(&job.out)?;
    folder.write(files::POLICY, declared.bytes())?;
    let act = |what: &str| Action { at: clock(), who: job.who.clone(), what: what.into(), details: BTreeMap::new() };
    folder.record(act("fixed the policy"), key)?;

    stage(0, "collection");
    let span = tracing::info_span!("collection", phase = "collection").entered();
    let sanitized = declared.collect(job)?;
    let config = sanitized.config().clone();
    drop(span);
    folder.record(act("judged the rows"), key)?;

    stage(1, "training");
    let secret = SecretKey::new(key.secret("underpin training"));
    let serving_key = SecretKey::new(key.secret("underpin serving"));
    let recipe = recipe(&config, secret)?;
    let mut trained = sanitized.train(&recipe, job.seed)?;
    if let Some(privacy) = &config.privacy {
        trained = trained.count(privacy, &SecretKey::new(key.secret("underpin statistics")), job.seed)?;
    }
    folder.record(act("trained the model"), key)?;

    let digest = Digest::of(&crate::Model::artifact(trained.model())?);
    let guarded = trained.harden(serving_key.derive("model", &[digest.bytes()]))?;
    let provenance = Provenance {
        seed: job.seed,
        revision: job.revision.clone(),
        versions: job.versions.clone(),
        measured_at: clock(),
    };
    stage(2, "attacks");
    let assessed = guarded.assess(&recipe, provenance)?;
    folder.record(act("attacked both systems and judged the evidence"), key)?;

    stage(3, "sealing");
    let recorded = RecordedJob { input: job.input.clone(), protection: job.protection, seed: job.seed, config };
    folder.write(job::FILE, &to_json(&recorded, job::FILE)?)?;
    match assessed {
        Assessed::Cleared(cleared) => seal_cleared(job, &cleared, folder, key, clock),
        Assessed::Refused(refused) => seal_refused(job, &refused, folder, key, clock),
    }
}

/// Tells which of the run's stages has begun.
fn stage(step: u64, now: &'static str) {
    tracing::info!(target: "progress", task = "pipeline", step, of = 4_u64, now);
}

fn write_common(
    folder: &RunFolder,
    collected: &CollectedData,
    artifact: &[u8],
    evidence: &Evidence,
    key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    folder.write(files::MODEL, artifact)?;
    for (name, bytes) in &collected.files {
        folder.write(name, bytes)?;
    }
    let envelope = seal::sign(evidence, &evidence.subjects, key)?;
    folder.write(files::EVIDENCE, &envelope)?;
    Ok(envelope)
}

fn seal_cleared(
    job: &Job,
    cleared: &Cleared<Classifier>,
    folder: RunFolder,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    let guarded = cleared.guarded();
    let evidence = cleared.judged().evidence();
    let envelope = write_common(&folder, guarded.collected(), guarded.artifact(), evidence, key)?;
    let clearance = cleared.clearance(&envelope, clock());
    folder.write(files::CLEARANCE, &clearance.sign(key)?)?;
    let safety: Record = cleared.evaluate_safety(job.seed.derive("safety"))?;
    folder.write(SAFETY, &to_json(&safety, SAFETY)?)?;
    let id = key.public().id().to_string();
    let outcome = report::GateResult::Cleared { expires_at: clearance.expires_at, key: &id, safety: Some(&safety) };
    let report = view(guarded, cleared.judged(), outcome);
    folder.write(files::MODEL_CARD, report::model_card(&report).as_bytes())?;
    finish(job, &report, Some(clearance.expires_at), folder, key, clock)
}

fn seal_refused(
    job: &Job,
    refused: &Refused<Classifier>,
    folder: RunFolder,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    let guarded = refused.guarded();
    write_common(&folder, guarded.collected(), guarded.artifact(), refused.judged().evidence(), key)?;
    let report = view(guarded, refused.judged(), report::GateResult::Refused);
    finish(job, &report, None, folder, key, clock)
}

pub(crate) fn view<'a>(
    guarded: &'a Guarded<Classifier>,
    judged: &'a Judged,
    outcome: report::GateResult<'a>,
) -> Report<'a> {
    Report {
        evidence: judged.evidence(),
        policy: guarded.declared().policy(),
        verdicts: judged.verdicts(),
        outcome,
        data: &guarded.collected().summary,
        reconstructions: judged.reconstructions(),
    }
}

fn finish(
    job: &Job,
    report: &Report<'_>,
    expires_at: Option<u64>,
    folder: RunFolder,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    stage(4, "done");
    folder.write(files::REPORT, report::html(report).as_bytes())?;
    let what = if expires_at.is_some() {
        "cleared the model and sealed the run"
    } else {
        "refused the model and sealed the run"
    };
    folder.finish(Action { at: clock(), who: job.who.clone(), what: what.into(), details: BTreeMap::new() }, key)?;
    Ok(Finished {
        policy: report.policy.clone(),
        evidence: report.evidence.clone(),
        verdicts: report.verdicts.to_vec(),
        expires_at,
        table: report::table(report).iter().map(report::Row::cells).collect(),
        folder: job.out.clone(),
    })
}
