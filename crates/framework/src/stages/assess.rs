//! The gate: both systems are attacked, the policy judges, and a clearance is given or not.

use std::collections::BTreeMap;

use underpin_core::{Attempt, Confidence, Digest, Evidence, Policy, Record, Seed, Subject, Trainer, Verdict};

use super::clear::{Cleared, Refused};
use super::harden::Guarded;
use super::judge::Judged;
use crate::Error;
use crate::assess::{self, Systems};
use crate::model::{Model, Recipe};
use crate::seal::files;

/// Where a run comes from; it goes into the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Where the run's public randomness starts.
    pub seed: Seed,
    /// Revision of the code.
    pub revision: String,
    /// Versions of what computes.
    pub versions: BTreeMap<String, String>,
    /// Which attempt on the same data under the same key it is; none when nobody counts.
    pub attempt: Option<Attempt>,
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

impl<M: Model> Guarded<M> {
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
    /// When an attack cannot be run. A broken bar is no error; it is a refusal.
    pub fn assess<D, U>(self, recipe: &Recipe<D, U>, provenance: Provenance) -> Result<Assessed<M>, Error>
    where
        D: Trainer<Model = M> + Sync,
        U: Trainer<Model = M> + Sync,
    {
        let Provenance { seed, revision, versions, attempt, measured_at } = provenance;
        let confidence = strictest(self.declared().policy());
        let systems = Systems {
            collected: self.collected(),
            model: &self.trained.model,
            baseline: &self.trained.baseline,
            baseline_recipe: self.config().baseline_recipe(self.collected().recommended.training_undefended()),
            recipe,
            serving: &self.config().serving,
            key: &self.key,
        };
        let mut record = Record::default();
        record.merge(self.collected().record.clone());
        record.merge(self.trained.record.clone());
        let (attacked, reconstructions) =
            assess::measure(&systems, &self.config().attacks, confidence, seed.derive("attacks"))?;
        record.merge(attacked);
        let mut subjects = vec![Subject { name: files::MODEL.into(), digest: Digest::of(&self.artifact) }];
        subjects.push(Subject { name: files::POLICY.into(), digest: self.declared().digest() });
        subjects.extend(
            self.collected()
                .files
                .iter()
                .map(|(name, bytes)| Subject { name: (*name).to_owned(), digest: Digest::of(bytes) }),
        );
        let policy = self.declared().digest();
        let evidence = Evidence { subjects, policy, seed, revision, versions, attempt, measured_at, record };
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
