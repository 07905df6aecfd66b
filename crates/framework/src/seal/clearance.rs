//! The two documents that say whether a model may be used.

use serde::{Deserialize, Serialize};
use underpin_core::{Digest, Seed, Subject, Verdict, Waiver};

use super::{Error, Flaw, Predicate, SigningKey, files, sign};

/// A policy, by name and by the digest of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyName {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// A clearance as it is written to `clearance.dsse.json`.
///
/// It is a claim: [`super::verify`] judges the evidence again and believes no verdict that does not follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearanceDocument {
    /// The policy whose bars are met.
    pub policy: PolicyName,
    /// SHA-256 of `evidence.dsse.json`.
    pub evidence: Digest,
    /// SHA-256 of `model.safetensors`.
    pub model: Digest,
    /// The judgement of each bar, in the policy's order; every one is met.
    pub verdicts: Vec<Verdict>,
    /// SHA-256 of `safety.json`: what safety evaluation measured.
    pub safety: Digest,
    /// The judgement of each limit of the policy's intent; the model is released when every one is met.
    pub release: Vec<Verdict>,
    /// What the policy leaves undecided on purpose.
    pub waivers: Vec<Waiver>,
    /// From when it holds, seconds since 1970 UTC.
    pub issued_at: u64,
    /// From when it holds no more, seconds since 1970 UTC.
    pub expires_at: u64,
    /// Seed of the run.
    pub seed: Seed,
    /// Revision of the code that ran.
    pub revision: String,
}

impl Predicate for ClearanceDocument {
    const TYPE: &'static str = "https://underpin.dev/clearance/v1";
}

impl ClearanceDocument {
    /// Signs it; the bytes of `clearance.dsse.json`.
    ///
    /// # Errors
    ///
    /// [`Error::NotReadable`]; none in practice.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        sign(self, &self.subjects(), key)
    }

    /// Whether the model is released: every limit of the policy's intent is met, too.
    pub fn is_released(&self) -> bool {
        !self.release.is_empty() && self.release.iter().all(Verdict::is_met)
    }

    /// Whether it holds at `now` (seconds since 1970 UTC): from `issued_at`, before `expires_at`.
    ///
    /// # Errors
    ///
    /// [`Flaw::NotYet`] or [`Flaw::Expired`].
    pub fn valid_at(&self, now: u64) -> Result<(), Flaw> {
        if now < self.issued_at {
            Err(Flaw::NotYet { from: self.issued_at, now })
        } else if now >= self.expires_at {
            Err(Flaw::Expired { at: self.expires_at, now })
        } else {
            Ok(())
        }
    }

    /// The files it speaks of.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject { name: files::MODEL.into(), digest: self.model },
            Subject { name: files::EVIDENCE.into(), digest: self.evidence },
            Subject { name: files::POLICY.into(), digest: self.policy.digest },
            Subject { name: files::SAFETY.into(), digest: self.safety },
        ]
    }
}

/// A revocation as it is written to `revocation.dsse.json`. It is final: the model needs a new run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// SHA-256 of `model.safetensors`.
    pub model: Digest,
    /// When, seconds since 1970 UTC.
    pub at: u64,
    /// Why.
    pub reason: String,
}

impl Predicate for Revocation {
    const TYPE: &'static str = "https://underpin.dev/revocation/v1";
}

impl Revocation {
    /// Signs it; the bytes of `revocation.dsse.json`.
    ///
    /// # Errors
    ///
    /// [`Error::NotReadable`]; none in practice.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        sign(self, &self.subjects(), key)
    }

    /// The files it speaks of.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        vec![Subject { name: files::MODEL.into(), digest: self.model }]
    }
}
