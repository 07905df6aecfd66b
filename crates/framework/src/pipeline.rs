//! One run: from untrusted rows to a sealed folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use underpin_core::{Evidence, Policy, Radius, Record, Seed, Verdict};
use underpin_data::Source;
use underpin_metrics::evasion::Pgd;
use underpin_privacy::SecretKey;
use underpin_train::{Classifier, DeviceKind, Settings, Sgd};

use crate::collect::{CollectRequest, CollectedData, collect};
use crate::config::{self, Config};
use crate::lifecycle::{Assessed, Cleared, Declared, Provenance, Refused};
use crate::model::{Quiet, Recipe};
use crate::report::{self, Report};
use crate::seal::{self, Action, RunFolder, SigningKey, files};
use crate::{Error, class_counts};

/// File of a run that says how it was made, so that it can be made again.
pub(crate) const JOB: &str = "job.json";

/// File of a cleared run with its safety evaluation.
pub(crate) const SAFETY: &str = "safety.json";

/// Where rows come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// The UCI digits that come with the program: 1,797 grey images of 8 by 8.
    Digits,
    /// A file, and another to test on if there is one.
    Files {
        /// Rows to train on; without `test` a fraction of them is set aside.
        train: Box<Source>,
        /// Rows to test on.
        test: Option<Box<Source>>,
    },
}

/// Whether a run is defended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Every defence.
    Defended,
    /// None: rows that parse are trained on plainly and served bare. For comparison; a policy should refuse it.
    Undefended,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where rows come from.
    pub input: Input,
    /// The policy's bytes.
    pub policy: Vec<u8>,
    /// Changes to the configuration, in TOML.
    pub config: Option<String>,
    /// Where public randomness starts.
    pub seed: Seed,
    /// Where tensors are computed.
    pub device: DeviceKind,
    /// Whether it is defended.
    pub protection: Protection,
    /// The folder to leave behind.
    pub out: PathBuf,
    /// Who runs it, for the log.
    pub who: String,
    /// Revision of the code.
    pub revision: String,
    /// Versions of what computes.
    pub versions: BTreeMap<String, String>,
}

impl Job {
    fn order(&self) -> CollectRequest<'_> {
        let Self { input, config, seed, device, protection, .. } = self;
        CollectRequest { input, config: config.as_deref(), seed: *seed, device: *device, protection: *protection }
    }
}

/// How a run was made: all that is needed to make it again, but for the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) input: Input,
    pub(crate) protection: Protection,
    pub(crate) seed: Seed,
    pub(crate) config: Config,
}

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

/// The recipe that a configuration describes.
pub(crate) type Trainers = Recipe<Sgd<Quiet<Pgd>>, Sgd>;

/// The trainers of a configuration; privacy noise comes from `key`.
pub(crate) fn recipe(config: &Config, key: SecretKey) -> Result<Trainers, Error> {
    let undefended = Sgd::plain(config.training_undefended().clone());
    let small = Settings { batch_size: config.attacks.extraction.batch_size, ..undefended.settings.clone() };
    let adversary = Sgd::plain(small);
    let private = |privacy: config::Privacy| {
        let (target, _) = class_counts::split(&privacy)?;
        Ok::<_, Error>(privacy.training(target, key))
    };
    let privacy = config.privacy.map(private).transpose()?;
    let hardening = config.adversary.as_ref().map(attacker).transpose()?.map(Quiet);
    let defended = Sgd { settings: config.training.clone(), privacy, adversary: hardening };
    Ok(Recipe { defended, undefended, adversary })
}

fn attacker(adversary: &config::Adversary) -> Result<Pgd, Error> {
    Ok(Pgd::new(adversary.norm, Radius::new(adversary.radius)?, adversary.steps, 1))
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
    let (collected, config) = collect(&job.order(), declared.policy())?;
    drop(span);
    folder.record(act("judged the rows"), key)?;

    stage(1, "training");
    let secret = SecretKey::new(key.secret("underpin training"));
    let serving_key = SecretKey::new(key.secret("underpin serving"));
    let recipe = recipe(&config, secret)?;
    let mut trained = declared.collect(collected).train(&recipe, job.seed)?;
    if let Some(privacy) = &config.privacy {
        trained = trained.count(privacy, &SecretKey::new(key.secret("underpin statistics")), job.seed)?;
    }
    folder.record(act("trained the model"), key)?;

    let digest = seal::sha256(&crate::Model::artifact(trained.model())?);
    let guarded = trained.harden(config.serving.clone(), serving_key.derive("model", &[digest.bytes()]))?;
    let provenance = Provenance {
        seed: job.seed,
        revision: job.revision.clone(),
        versions: job.versions.clone(),
        measured_at: clock(),
    };
    stage(2, "attacks");
    let assessed = guarded.assess(&recipe, &config.attacks, provenance)?;
    folder.record(act("attacked both systems and judged the evidence"), key)?;

    stage(3, "sealing");
    let recorded = Recorded { input: job.input.clone(), protection: job.protection, seed: job.seed, config };
    folder.write(JOB, &to_json(&recorded, JOB)?)?;
    match assessed {
        Assessed::Cleared(cleared) => seal_cleared(job, &cleared, folder, key, clock),
        Assessed::Refused(refused) => seal_refused(job, &refused, folder, key, clock),
    }
}

/// Tells which of the run's stages has begun.
fn stage(step: u64, now: &'static str) {
    tracing::info!(target: "progress", task = "pipeline", step, of = 4_u64, now);
}

pub(crate) fn to_json<T: Serialize>(value: &T, file: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::File { file: file.to_owned(), fault: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
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
    guarded: &'a crate::lifecycle::Guarded<Classifier>,
    judged: &'a crate::lifecycle::Judged,
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
