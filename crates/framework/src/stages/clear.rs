//! The last states: cleared, which alone opens safety evaluation and signing, or refused.

use underpin_core::{Digest, Evidence, Record, Seed};

use super::harden::Guarded;
use super::judge::Judged;
use crate::model::Model;
use crate::seal::{ClearanceDocument, PolicyName};
use crate::{Error, safety};

/// A lifecycle whose every bar is met. Only [`Guarded::assess`] makes one.
#[derive(Debug)]
pub struct Cleared<M> {
    pub(super) guarded: Guarded<M>,
    pub(super) judged: Judged,
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
        let collected = self.guarded.collected();
        let subject = safety::Subject {
            endpoint: &self.guarded.endpoint(),
            test: &collected.test(),
            tuning: collected.auxiliary(),
            classes: collected.classes(),
            intent: self.guarded.declared().policy().intent(),
        };
        safety::evaluate(&subject, seed)
    }

    /// The clearance, to be signed, of the evidence in `evidence` (the bytes of `evidence.dsse.json`).
    ///
    /// `safety` is what [`Self::evaluate_safety`] measured and `file` the bytes of `safety.json` that hold it: the limits of
    /// the policy's intent are judged by it. Valid from `issued_at` (seconds since 1970 UTC) for as many days as the policy says.
    pub fn clearance(&self, evidence: &[u8], (safety, file): (&Record, &[u8]), issued_at: u64) -> ClearanceDocument {
        let declared = self.guarded.declared();
        let Evidence { seed, revision, .. } = &self.judged.evidence;
        ClearanceDocument {
            policy: PolicyName { name: declared.policy().name().to_owned(), digest: declared.digest() },
            evidence: Digest::of(evidence),
            model: Digest::of(&self.guarded.artifact),
            verdicts: self.judged.verdicts.clone(),
            safety: Digest::of(file),
            release: declared.policy().judge_release(safety),
            waivers: declared.policy().waivers().to_vec(),
            issued_at,
            expires_at: issued_at + u64::from(declared.policy().valid_days()) * 86_400,
            seed: *seed,
            revision: revision.clone(),
        }
    }
}

/// A lifecycle with an unmet bar: no clearance, no safety evaluation, no serving.
#[derive(Debug)]
pub struct Refused<M> {
    pub(super) guarded: Guarded<M>,
    pub(super) judged: Judged,
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
