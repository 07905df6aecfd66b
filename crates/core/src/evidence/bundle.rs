//! Evidence: a record bound to digests of data, model and policy, to the code revision and the seed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::digest::Digest;
use crate::seed::Seed;

/// A file that evidence speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// File name within the run folder.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Measurements bound to digests of data, model and policy, to the code revision and the seed.
///
/// JSON, described by `schema/evidence.schema.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Files the measurements speak of: model, data manifest, ledger, policy.
    pub subjects: Vec<Subject>,
    /// SHA-256 of the policy's bytes, fixed before anything was measured.
    pub policy: Digest,
    /// Where the run's public randomness started.
    pub seed: Seed,
    /// Revision of the code that ran.
    pub revision: String,
    /// Versions of what computed: `underpin`, `burn`, `rustc`.
    pub versions: BTreeMap<String, String>,
    /// When it was measured, seconds since 1970 UTC.
    pub measured_at: u64,
    /// What was done and measured.
    pub record: Record,
}

impl Evidence {
    /// The digest of the file `name`, if evidence speaks of it.
    pub fn subject(&self, name: &str) -> Option<Digest> {
        self.subjects.iter().find(|subject| subject.name == name).map(|subject| subject.digest)
    }
}
