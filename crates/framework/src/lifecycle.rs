//! The order of things, as types: each state owns what it certifies, and is reached only through the one before.
//!
//! ```text
//! Declared ─collect→ Sanitized ─train→ Trained ─harden→ Guarded ─assess→ Cleared ─→ safety, signing, serving
//!    policy             rows           model            endpoint     └──→ Refused: the Guarded back, and why
//! ```
//!
//! No state can be cloned, defaulted or read from a file, and no field is public. Safety cannot be evaluated before
//! clearance:
//!
//! ```compile_fail
//! fn evaluate<M: underpin::Model>(guarded: &underpin::lifecycle::Guarded<M>, seed: underpin_core::Seed) {
//!     let _ = guarded.evaluate_safety(seed);
//! }
//! ```
//!
//! and can be after it:
//!
//! ```
//! fn evaluate<M: underpin::Model>(cleared: &underpin::lifecycle::Cleared<M>, seed: underpin_core::Seed) {
//!     let _ = cleared.evaluate_safety(seed);
//! }
//! ```
//!
//! A refusal has no clearance to sign:
//!
//! ```compile_fail
//! fn sign<M: underpin::Model>(refused: &underpin::lifecycle::Refused<M>, evidence: &[u8]) {
//!     let _ = refused.clearance(evidence, 0);
//! }
//! ```
//!
//! a clearance has:
//!
//! ```
//! fn sign<M: underpin::Model>(cleared: &underpin::lifecycle::Cleared<M>, evidence: &[u8]) {
//!     let _ = cleared.clearance(evidence, 0);
//! }
//! ```
//!
//! Nobody outside makes a cleared state:
//!
//! ```compile_fail
//! fn forge<M>(guarded: underpin::lifecycle::Guarded<M>, judged: underpin::lifecycle::Judged) -> underpin::lifecycle::Cleared<M> {
//!     underpin::lifecycle::Cleared { guarded, judged }
//! }
//! ```
//!
//! only the gate does:
//!
//! ```
//! fn pass<M>(assessed: underpin::lifecycle::Assessed<M>) -> Option<underpin::lifecycle::Cleared<M>> {
//!     match assessed {
//!         underpin::lifecycle::Assessed::Cleared(cleared) => Some(cleared),
//!         underpin::lifecycle::Assessed::Refused(_) => None,
//!     }
//! }
//! ```

use std::collections::BTreeMap;

use underpin_core::{Audited, Confidence, Digest, Evidence, Policy, Record, Seed, Subject, Trainer, Unmet, Verdict};
use underpin_privacy::SecretKey;

use crate::assess::{self, Systems};
use crate::collect::CollectedData;
use crate::config::{Attacks, Privacy, Serving};
use crate::model::{Model, Recipe};
use crate::report::Reconstruction;
use crate::seal::{self, ClearanceDocument, PolicyName, files};
use crate::{Error, class_counts, safety};

/// A policy is fixed: read, complete, and known by the digest of its bytes. Nothing has been measured.
#[derive(Debug)]
pub struct Declared {
    policy: Policy,
    digest: Digest,
    bytes: Vec<u8>,
}

impl Declared {
    /// Reads and hashes a policy.
    ///
    /// # Errors
    ///
    /// When the bytes are no complete policy, naming what is wrong or missing.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (policy, digest) = seal::policy::read(bytes)?;
        Ok(Self { policy, digest, bytes: bytes.to_vec() })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its bytes, as they were read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes rows in that collection has judged.
    pub fn collect(self, collected: CollectedData) -> Sanitized {
        Sanitized { declared: self, collected }
    }
}

/// Rows are judged; each one's decision is on record.
#[derive(Debug)]
pub struct Sanitized {
    declared: Declared,
    collected: CollectedData,
}

impl Sanitized {
    /// The rows, and what is known of them.
    pub fn collected(&self) -> &CollectedData {
        &self.collected
    }

    /// Fits the model and its undefended baseline to the rows that were kept.
    ///
    /// # Guarantees
    ///
    /// 1. Rows that do not match their ledger are not trained on: `rows_that_do_not_match_their_ledger_do_not_train`.
    ///
    /// # Errors
    ///
    /// When the rows are not exactly those that the ledger keeps, or training fails.
    pub fn train<D, U>(self, recipe: &Recipe<D, U>, seed: Seed) -> Result<Trained<D::Model>, Error>
    where
        D: Trainer<Model: Model>,
        U: Trainer<Model = D::Model>,
    {
        self.collected.ledger.verify(&self.collected.train)?;
        let data = self.collected.train.examples();
        let span = tracing::info_span!("training", phase = "training").entered();
        let fit = recipe.defended.train(data, seed.derive("model"));
        let Audited { value: model, record } = fit.map_err(|error| Error::training("model", error))?;
        let fit = recipe.undefended.train(data, seed.derive("twin"));
        let baseline = fit.map_err(|error| Error::training("undefended baseline", error))?.value;
        drop(span);
        Ok(Trained { sanitized: self, model, baseline, record })
    }

    /// Takes up a model that was trained on these rows before, to be assessed again; only the baseline is fitted anew.
    /// `record` is what its training left behind.
    pub(crate) fn restore<D, U>(
        self,
        recipe: &Recipe<D, U>,
        model: D::Model,
        record: Record,
        seed: Seed,
    ) -> Result<Trained<D::Model>, Error>
    where
        D: Trainer<Model: Model>,
        U: Trainer<Model = D::Model>,
    {
        self.collected.ledger.verify(&self.collected.train)?;
        let fit = recipe.undefended.train(self.collected.train.examples(), seed.derive("twin"));
        let baseline = fit.map_err(|error| Error::training("undefended baseline", error))?.value;
        Ok(Trained { sanitized: self, model, baseline, record })
    }
}

/// A model is fitted to rows that match their ledger.
#[derive(Debug)]
pub struct Trained<M> {
    sanitized: Sanitized,
    model: M,
    baseline: M,
    record: Record,
}

impl<M: Model> Trained<M> {
    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Counts the rows of each class privately, for the model card.
    ///
    /// # Errors
    ///
    /// When the counts would leave no ε to train with.
    pub(crate) fn count(mut self, privacy: &Privacy, key: &SecretKey, seed: Seed) -> Result<Self, Error> {
        let data = self.sanitized.collected.train.examples();
        class_counts::count(data, privacy, key, seed, &mut self.record)?;
        Ok(self)
    }

    /// Puts the guard around the model that deployment will put around it; its noise comes from `key`.
    ///
    /// # Errors
    ///
    /// When the model cannot be written down, or a perturbation is out of range.
    pub fn harden(self, serving: Serving, key: SecretKey) -> Result<Guarded<M>, Error> {
        let artifact = self.model.artifact()?;
        Ok(Guarded { trained: self, artifact, serving, key })
    }
}

/// A model behind its guard, ready to be attacked.
#[derive(Debug)]
pub struct Guarded<M> {
    trained: Trained<M>,
    artifact: Vec<u8>,
    serving: Serving,
    key: SecretKey,
}

/// Where a run comes from; it goes into the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Where the run's public randomness starts.
    pub seed: Seed,
    /// Revision of the code.
    pub revision: String,
    /// Versions of what computes.
    pub versions: BTreeMap<String, String>,
    /// When it is measured, seconds since 1970 UTC.
    pub measured_at: u64,
}

/// What the gate said.
#[derive(Debug)]
pub enum Assessed<M> {
    /// Every bar is met.
    Cleared(Cleared<M>),
    /// Some bar is not.
    Refused(Refused<M>),
}

/// Evidence and its judgement under the policy.
#[derive(Debug)]
pub struct Judged {
    evidence: Evidence,
    verdicts: Vec<Verdict>,
    pub(crate) policy: String,
    reconstructions: Vec<Reconstruction>,
}

impl Judged {
    /// What was measured.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The judgement of each bar.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What inversion made of each class, for the report.
    pub fn reconstructions(&self) -> &[Reconstruction] {
        &self.reconstructions
    }

    /// Each unmet bar, by position, and why.
    pub fn unmet(&self) -> impl Iterator<Item = (usize, &Unmet)> {
        self.verdicts.iter().filter_map(|verdict| Some((verdict.bar, verdict.unmet.as_ref()?)))
    }
}

impl<M: Model> Guarded<M> {
    /// The policy, the rows and all that came before.
    pub fn collected(&self) -> &CollectedData {
        &self.trained.sanitized.collected
    }

    /// The policy that was declared.
    pub fn declared(&self) -> &Declared {
        &self.trained.sanitized.declared
    }

    /// The model's bytes.
    pub fn artifact(&self) -> &[u8] {
        &self.artifact
    }

    /// The model as clients meet it, without their quotas.
    pub(crate) fn endpoint(&self) -> assess::Endpoint<'_, M> {
        let guard = assess::Guard { perturb: &self.serving.perturb, quota: self.serving.quota, key: &self.key };
        guard.around(&self.trained.model)
    }

    /// Attacks both systems and lets the gate judge.
    ///
    /// # Guarantees
    ///
    /// 1. A clearance is given only when every bar of the declared policy is met:
    ///    `a_constant_predictor_is_refused`, `the_undefended_run_is_refused`.
    /// 2. Attacks weaker than those that fit the data meet no bar: `weakened_attacks_meet_no_bar`.
    ///
    /// # Errors
    ///
    /// When an attack cannot be played. A broken bar is no error; it is a refusal.
    pub fn assess<D, U>(
        self,
        recipe: &Recipe<D, U>,
        plan: &Attacks,
        provenance: Provenance,
    ) -> Result<Assessed<M>, Error>
    where
        D: Trainer<Model = M> + Sync,
        U: Trainer<Model = M> + Sync,
    {
        let Provenance { seed, revision, versions, measured_at } = provenance;
        let confidence = strictest(self.declared().policy());
        let systems = Systems {
            collected: self.collected(),
            model: &self.trained.model,
            baseline: &self.trained.baseline,
            recipe,
            serving: &self.serving,
            key: &self.key,
        };
        let mut record = Record::default();
        record.merge(self.collected().record.clone());
        record.merge(self.trained.record.clone());
        let (attacked, reconstructions) = assess::measure(&systems, plan, confidence, seed.derive("attacks"))?;
        record.merge(attacked);
        let mut subjects = vec![Subject { name: files::MODEL.into(), digest: seal::sha256(&self.artifact) }];
        subjects.push(Subject { name: files::POLICY.into(), digest: self.declared().digest });
        subjects.extend(
            self.collected()
                .files
                .iter()
                .map(|(name, bytes)| Subject { name: (*name).to_owned(), digest: seal::sha256(bytes) }),
        );
        let policy = self.declared().digest;
        let evidence = Evidence { subjects, policy, seed, revision, versions, measured_at, record };
        let verdicts = self.declared().policy().judge(policy, &evidence);
        for (bar, verdict) in self.declared().policy().bars().iter().zip(&verdicts) {
            tracing::info!(about = %bar.about, quantity = %bar.quantity, limit = %bar.limit, met = verdict.is_met(), "bar");
        }
        let name = self.declared().policy().name().to_owned();
        let judged = Judged { evidence, verdicts, policy: name, reconstructions };
        Ok(if judged.verdicts.iter().all(Verdict::is_met) {
            Assessed::Cleared(Cleared { guarded: self, judged })
        } else {
            Assessed::Refused(Refused { guarded: self, judged })
        })
    }
}

/// The highest confidence that any bar asks for: every interval is given at it.
fn strictest(policy: &Policy) -> Confidence {
    let confidences = policy.bars().iter().map(|bar| bar.confidence);
    confidences.max_by(|a, b| a.value().total_cmp(&b.value())).expect("invariant: a policy has bars for every threat")
}

/// A lifecycle whose every bar is met. Only [`Guarded::assess`] makes one.
#[derive(Debug)]
pub struct Cleared<M> {
    guarded: Guarded<M>,
    judged: Judged,
}

impl<M: Model> Cleared<M> {
    /// What was cleared.
    pub fn guarded(&self) -> &Guarded<M> {
        &self.guarded
    }

    /// The evidence and its judgement.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// Evaluates safety and alignment with the policy's intent, on the rows held out.
    ///
    /// # Errors
    ///
    /// When the policy's intent names a class that the data has not, or nothing can be measured.
    pub fn evaluate_safety(&self, seed: Seed) -> Result<Record, Error> {
        safety::evaluate(&self.guarded, seed)
    }

    /// The clearance, to be signed, of the evidence in `evidence` (the bytes of `evidence.dsse.json`).
    ///
    /// Valid from `issued_at` (seconds since 1970 UTC) for as many days as the policy says.
    pub fn clearance(&self, evidence: &[u8], issued_at: u64) -> ClearanceDocument {
        let declared = self.guarded.declared();
        let Evidence { seed, revision, .. } = &self.judged.evidence;
        ClearanceDocument {
            policy: PolicyName { name: declared.policy.name().to_owned(), digest: declared.digest },
            evidence: seal::sha256(evidence),
            model: seal::sha256(&self.guarded.artifact),
            verdicts: self.judged.verdicts.clone(),
            issued_at,
            expires_at: issued_at + u64::from(declared.policy.valid_days()) * 86_400,
            seed: *seed,
            revision: revision.clone(),
        }
    }
}

/// A lifecycle with an unmet bar: no clearance, no safety evaluation, no serving.
#[derive(Debug)]
pub struct Refused<M> {
    guarded: Guarded<M>,
    judged: Judged,
}

impl<M> Refused<M> {
    /// The evidence and its judgement.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// What was refused, to be hardened further and assessed again.
    pub fn guarded(&self) -> &Guarded<M> {
        &self.guarded
    }

    /// The previous state back.
    pub fn into_guarded(self) -> Guarded<M> {
        self.guarded
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
