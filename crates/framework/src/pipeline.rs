//! One run: from untrusted rows to a sealed folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use underpin_core::{Digest, Evidence, Policy, Record, Subject, Value, Verdict};
use underpin_data::Manifest;
use underpin_privacy::{FreshBytes, NoiseSource, SecretKey};
use underpin_train::Classifier;

use crate::attempts::{AttemptOutcome, Attempts};
use crate::collected::CollectedData;
use crate::job::Job;
use crate::json::{from_run, to_json};
use crate::known_runs::KnownRuns;
use crate::model::Recipe;
use crate::prepare::data_files;
use crate::report::{self, Report};
use crate::run_state::{Resumable, RunState, TRAINING};
use crate::seal::{self, Action, Commitment, RunFolder, SigningKey, files};
use crate::stages::{Assessed, Cleared, Declared, Guarded, Judged, Provenance, Refused, Sanitized, Trained};
use crate::summary::DataSummary;
use crate::trainers::{Trainers, recipe};
use crate::{Error, class_counts, data_budget};

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
    /// The judgement of each limit of the policy's intent, for a cleared model.
    pub release: Vec<Verdict>,
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

    /// Whether the model is cleared, and every limit of the policy's intent is met besides; never under a policy without one.
    pub fn is_released(&self) -> bool {
        self.is_cleared() && !self.release.is_empty() && self.release.iter().all(Verdict::is_met)
    }

    fn outcome(&self) -> AttemptOutcome {
        match (self.is_cleared(), self.is_released()) {
            (_, true) => AttemptOutcome::Released,
            (true, false) => AttemptOutcome::Cleared,
            (false, false) => AttemptOutcome::Refused,
        }
    }
}

/// Runs `job`, signs with `key`, and leaves a sealed folder behind; `clock` gives seconds since 1970 UTC.
///
/// # Budget
///
/// With [`Job::budget`] the ε and δ of private training and of the class counts are charged to a file before the model
/// trains, so that runs on the same rows add up ([`BudgetFile`](crate::BudgetFile)).
///
/// # Noise
///
/// Each run mixes fresh bytes of the operating system into the keys of its privacy noise: no two runs draw the same, though
/// rows, settings, seed and key be the same. A state keeps the bytes, for its owner alone, until the run has ended.
///
/// # Resuming
///
/// With [`Job::resume`] the training of the model and of its undefended baseline is kept in that folder step by step. A run
/// that was killed at any moment, and is run again with the same job, key and folder, leaves the same model and evidence
/// as one that was not, but for times in its log. Collection and attacks are repeated, with the same results. A state of
/// another job, of other rows or of another key is refused, naming what differs. When the run is sealed the secrets are
/// removed from the folder; run once more, it gives what was sealed.
///
/// # Commitment and attempts
///
/// Before a row is read the run is bound to its policy, configuration, data files, code and seed, by the first entry of its
/// log ([`Commitment`]). With [`Job::state`] the attempts on the same data under the same key are counted, those that were
/// refused or never ended too, and the evidence says which one this is.
///
/// # Errors
///
/// When anything cannot be read, judged, trained, attacked or written. Then no folder is left behind. A refusal is no
/// error. When the owner ([`Job::state`]) cannot remember the run, it is sealed all the same.
pub fn run(job: &Job, key: &SigningKey, clock: &dyn Fn() -> u64) -> Result<Finished, Error> {
    let declared = Declared::read(&job.policy)?;
    let state = job.resume.as_ref().map(|folder| RunState::open(folder, job, key)).transpose()?;
    if let Some(kept) = &state
        && let Some(finished) = sealed_before(job, &declared, kept, key)?
    {
        conclude_attempt(job, kept, key, &finished)?;
        remember(job, key, clock)?;
        state.map_or(Ok(()), RunState::clear)?;
        return Ok(finished);
    }
    let mut folder = RunFolder::create(&job.out)?;
    folder.write(files::POLICY, declared.bytes())?;
    if let Some(config) = &job.config {
        folder.write(files::CONFIGURATION, config.as_bytes())?;
    }
    let act = |what: &str| Action { at: clock(), who: job.who.clone(), what: what.into(), details: BTreeMap::new() };
    // The run's own bytes: without them a run of the same rows, settings, seed and key would draw the same noise.
    let fresh = state.as_ref().map_or_else(|| Ok(FreshBytes::from_os()?), RunState::fresh)?;
    let (commitment, attempts) = commit(job, &declared, &fresh, key, clock)?;
    folder.record(Action { details: commitment.details(), ..act(Commitment::act()) }, key)?;

    stage(0, "collection");
    let span = tracing::info_span!("collection", phase = "collection").entered();
    let sanitized = declared.collect(job)?;
    same_files(&commitment, &manifest(&sanitized)?)?;
    let config = sanitized.config().clone();
    drop(span);
    folder.record(act("judged the rows"), key)?;

    stage(1, "training");
    let noise = NoiseSource::of_run(&SecretKey::new(key.secret("underpin training")), &fresh);
    let serving_key = SecretKey::new(key.secret("underpin serving"));
    let recipe = recipe(&config, noise)?;
    let statistics = fresh.mixed_into(&SecretKey::new(key.secret("underpin statistics")));
    let mut trained = train(job, sanitized, &recipe, state.as_ref(), &statistics)?;
    if let Some(privacy) = &config.privacy {
        trained = trained.count(privacy, &statistics, job.seed)?;
    }
    folder.record(act("trained the model"), key)?;

    let digest = Digest::of(&crate::Model::artifact(trained.model())?);
    let guarded = trained.harden(serving_key.derive("model", &[digest.bytes()]))?;
    let provenance = Provenance {
        seed: job.seed,
        revision: job.revision.clone(),
        versions: job.versions.clone(),
        attempt: commitment.attempt,
        measured_at: clock(),
    };
    stage(2, "attacks");
    let assessed = guarded.assess(&recipe, provenance)?;
    folder.record(act("attacked both systems and judged the evidence"), key)?;

    stage(3, "sealing");
    let finished = match assessed {
        Assessed::Cleared(cleared) => seal_cleared(job, &cleared, folder, state.as_ref(), key, clock),
        Assessed::Refused(refused) => seal_refused(job, &refused, folder, state.as_ref(), key, clock),
    }?;
    if let Some((attempts, id)) = attempts {
        attempts.end(id, finished.outcome())?;
    }
    remember(job, key, clock)?;
    state.map_or(Ok(()), RunState::clear)?;
    Ok(finished)
}

/// What the run is bound to, before a row is read; and the account of attempts, where the job has one, with the run's id.
fn commit(
    job: &Job,
    declared: &Declared,
    fresh: &FreshBytes,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<(Commitment, Option<(Attempts, Digest)>), Error> {
    // Exhaustive: a new field of the job is bound, or is left out here on purpose. The places of folders and of the budget,
    // and the name in the log, decide nothing that is measured.
    let Job {
        input,
        policy: _,
        config,
        seed,
        device,
        protection,
        out: _,
        budget: _,
        resume: _,
        state,
        who: _,
        revision,
        versions,
    } = job;
    let (data, held_out) = data_files(input)?;
    let read = serde_json::to_value(input).map_err(|source| Error::Json { file: files::JOB.into(), source })?;
    let mut commitment = Commitment {
        policy: declared.digest(),
        configuration: config.as_ref().map(|text| Digest::of(text.as_bytes())),
        data,
        held_out,
        input: Commitment::input_digest(&read),
        device: device.to_string(),
        protection: protection.to_string(),
        seed: *seed,
        revision: revision.clone(),
        versions: versions.clone(),
        attempt: None,
    };
    let Some(owner) = state.clone() else { return Ok((commitment, None)) };
    let attempts = Attempts::of(owner, key.public().id(), &commitment.data);
    let id = attempt_id(&commitment.details(), fresh);
    commitment.attempt = Some(attempts.begin(id, clock(), commitment.policy, *seed)?);
    Ok((commitment, Some((attempts, id))))
}

/// Names an attempt by all that it is bound to and by its fresh bytes: a run that is taken up again is the same attempt, one
/// that draws other noise, or is bound to anything else, is another.
fn attempt_id(details: &BTreeMap<String, Value>, fresh: &FreshBytes) -> Digest {
    let key = fresh.mixed_into(&SecretKey::new([0; 32]));
    let bound: Vec<String> = details
        .iter()
        .filter(|(name, _)| *name != Commitment::ATTEMPT)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let parts: Vec<&[u8]> = bound.iter().map(String::as_bytes).collect();
    Digest::new(key.derive("attempt", &parts).fingerprint())
}

/// Keeps how the attempt of a run ended that was sealed before, and killed before that was kept.
fn conclude_attempt(job: &Job, state: &RunState, key: &SigningKey, finished: &Finished) -> Result<(), Error> {
    let (Some(owner), Some(_), Some(fresh)) = (job.state.clone(), finished.evidence.attempt, state.kept_fresh()?)
    else {
        return Ok(());
    };
    let run = seal::inspect(&job.out, &[key.public()])?;
    let manifest: Manifest = from_run(&run, files::MANIFEST)?;
    let first = run.log().entries().first().map(|entry| entry.details.clone()).unwrap_or_default();
    Attempts::of(owner, key.public().id(), &manifest.files).end(attempt_id(&first, &fresh), finished.outcome())
}

/// Refuses files that are no longer those that the run is bound to.
fn same_files(commitment: &Commitment, manifest: &Manifest) -> Result<(), Error> {
    let committed = commitment.data.iter().chain(&commitment.held_out);
    let read = manifest.files.iter().chain(&manifest.held_out_files);
    match committed.zip(read).find(|(committed, read)| committed.digest != read.digest) {
        Some((Subject { name, digest: expected }, Subject { digest: found, .. })) => {
            Err(Error::ChangedData { file: name.clone(), expected: *expected, found: *found })
        }
        None => Ok(()),
    }
}

fn manifest(sanitized: &Sanitized) -> Result<Manifest, Error> {
    let bytes = sanitized.collected().files.get(files::MANIFEST).map_or(&[][..], Vec::as_slice);
    serde_json::from_slice(bytes).map_err(|source| Error::Json { file: files::MANIFEST.into(), source })
}

/// Has the owner remember the sealed run.
fn remember(job: &Job, key: &SigningKey, clock: &dyn Fn() -> u64) -> Result<(), Error> {
    let known =
        job.state.clone().map(|state| KnownRuns::new(state).remember_folder(&job.out, &[key.public()], clock()));
    known.transpose().map(drop)
}

/// Trains the model and its baseline: charged to the job's budget, and kept in its state, where it has them.
///
/// The recipe that the attacks train by stays as it is: their models are neither charged nor released.
fn train(
    job: &Job,
    sanitized: Sanitized,
    recipe: &Trainers,
    state: Option<&RunState>,
    statistics: &SecretKey,
) -> Result<Trained<Classifier>, Error> {
    let bytes = sanitized.collected().files.get(files::MANIFEST).map_or(&[][..], Vec::as_slice);
    if let Some(state) = state {
        state.bind_rows(Digest::of(bytes))?;
    }
    let mut defended = recipe.defended.clone();
    let mut charged = None;
    if let Some(file) = &job.budget {
        let privacy = sanitized.config().privacy.ok_or_else(|| Error::NotPrivate { path: file.path.clone() })?;
        let digests: Vec<Digest> = manifest(&sanitized)?.files.iter().map(|file| file.digest).collect();
        let budget = file.open(data_budget::rows_of(&digests), &privacy)?;
        let (training, counts) = class_counts::split(&privacy)?;
        let data = sanitized.collected().train.examples();
        let noise = |epsilon| (epsilon, class_counts::noise(data, epsilon, statistics, job.seed).fingerprint());
        budget.begin(&privacy, training, counts.map(noise))?;
        if let Some(privacy) = &mut defended.privacy {
            privacy.payment = Some(budget.payment(privacy.delta));
        }
        charged = Some((budget, privacy));
    }
    let undefended = |sgd| Resumable { sgd, state, name: TRAINING[1] };
    let resumable = Recipe {
        defended: Resumable { sgd: &defended, state, name: TRAINING[0] },
        undefended: undefended(&recipe.undefended),
        adversary: undefended(&recipe.adversary),
    };
    let mut trained = sanitized.train(&resumable, job.seed).map_err(|error| match &charged {
        Some((budget, privacy)) => budget.explained(error, privacy.epsilon.value(), privacy.delta),
        None => error,
    })?;
    if let Some((budget, _)) = &charged {
        budget.tell(trained.record_mut());
    }
    Ok(trained)
}

/// The run that this state has sealed already; the data are not read again.
fn sealed_before(
    job: &Job,
    declared: &Declared,
    state: &RunState,
    key: &SigningKey,
) -> Result<Option<Finished>, Error> {
    let Some(sealed) = state.sealed()? else { return Ok(None) };
    let Ok(run) = seal::inspect(&job.out, &[key.public()]) else { return Ok(None) };
    if run.listed().get(files::EVIDENCE).map(|file| file.digest) != Some(sealed) {
        return Ok(None);
    }
    let verdicts = run.policy().judge(declared.digest(), run.evidence());
    let expires_at = run.clearance().map(|clearance| clearance.expires_at);
    let release = run.clearance().map(|clearance| clearance.release.clone());
    let id = key.public().id().to_string();
    let report = Report {
        evidence: run.evidence(),
        policy: run.policy(),
        verdicts: &verdicts,
        outcome: match expires_at {
            Some(expires_at) => {
                report::GateResult::Cleared { expires_at, key: &id, safety: None, release: release.as_deref() }
            }
            None => report::GateResult::Refused,
        },
        data: &DataSummary::default(),
        reconstructions: &[],
    };
    let table = report::table(&report).iter().map(report::Row::cells).collect();
    Ok(Some(Finished {
        policy: run.policy().clone(),
        evidence: run.evidence().clone(),
        verdicts: verdicts.clone(),
        expires_at,
        release: release.clone().unwrap_or_default(),
        table,
        folder: job.out.clone(),
    }))
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
    state: Option<&RunState>,
    key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    folder.write(files::MODEL, artifact)?;
    for (name, bytes) in &collected.files {
        folder.write(name, bytes)?;
    }
    let envelope = seal::sign(evidence, &evidence.subjects, key)?;
    folder.write(files::EVIDENCE, &envelope)?;
    if let Some(state) = state {
        state.seals(Digest::of(&envelope))?;
    }
    Ok(envelope)
}

fn seal_cleared(
    job: &Job,
    cleared: &Cleared<Classifier>,
    folder: RunFolder,
    state: Option<&RunState>,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    let guarded = cleared.guarded();
    let evidence = cleared.judged().evidence();
    let envelope = write_common(&folder, guarded.collected(), guarded.artifact(), evidence, state, key)?;
    let safety: Record = cleared.evaluate_safety(job.seed.derive("safety"))?;
    let written = to_json(&safety, files::SAFETY)?;
    folder.write(files::SAFETY, &written)?;
    let clearance = cleared.clearance(&envelope, (&safety, &written), clock());
    folder.write(files::CLEARANCE, &clearance.sign(key)?)?;
    let id = key.public().id().to_string();
    let (expires_at, release) = (clearance.expires_at, Some(&clearance.release[..]));
    let outcome = report::GateResult::Cleared { expires_at, key: &id, safety: Some(&safety), release };
    let report = view(guarded, cleared.judged(), outcome);
    folder.write(files::MODEL_CARD, report::model_card(&report).as_bytes())?;
    finish(job, &report, Some((clearance.expires_at, clearance.release.clone())), folder, key, clock)
}

fn seal_refused(
    job: &Job,
    refused: &Refused<Classifier>,
    folder: RunFolder,
    state: Option<&RunState>,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    let guarded = refused.guarded();
    write_common(&folder, guarded.collected(), guarded.artifact(), refused.judged().evidence(), state, key)?;
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
    cleared: Option<(u64, Vec<Verdict>)>,
    folder: RunFolder,
    key: &SigningKey,
    clock: &dyn Fn() -> u64,
) -> Result<Finished, Error> {
    stage(4, "done");
    folder.write(files::REPORT, report::html(report).as_bytes())?;
    let (expires_at, release) = cleared.unzip();
    let what = match &release {
        Some(release) if release.iter().all(Verdict::is_met) => "cleared and released the model and sealed the run",
        Some(_) => "cleared the model without releasing it and sealed the run",
        None => "refused the model and sealed the run",
    };
    folder.finish(Action { at: clock(), who: job.who.clone(), what: what.into(), details: BTreeMap::new() }, key)?;
    Ok(Finished {
        policy: report.policy.clone(),
        evidence: report.evidence.clone(),
        verdicts: report.verdicts.to_vec(),
        expires_at,
        release: release.unwrap_or_default(),
        table: report::table(report).iter().map(report::Row::cells).collect(),
        folder: job.out.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_all_that_it_is_bound_to() {
        let (fresh, other) = (FreshBytes::from_os().unwrap(), FreshBytes::from_os().unwrap());
        let commitment = Commitment {
            policy: Digest::of(b"policy"),
            configuration: None,
            data: Vec::new(),
            held_out: Vec::new(),
            input: Digest::of(b"input"),
            device: "flex".into(),
            protection: "defended".into(),
            seed: underpin_core::Seed(1),
            revision: "0123".into(),
            versions: BTreeMap::new(),
            attempt: None,
        };
        let details = commitment.details();
        let id = attempt_id(&details, &fresh);
        assert_eq!(attempt_id(&details, &fresh), id);
        assert_ne!(attempt_id(&details, &other), id, "other noise");
        for name in details.keys() {
            let mut changed = details.clone();
            changed.insert(name.clone(), "something else".into());
            let same = attempt_id(&changed, &fresh) == id;
            // Which attempt it is is not known before it is one.
            assert_eq!(same, name == Commitment::ATTEMPT, "{name}");
        }
    }
}
