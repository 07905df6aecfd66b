//! Evidence: a record bound to digests of data, model and policy, to the code revision and the seed.

use std::collections::BTreeMap;
use std::fmt;

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

/// How often somebody has tried: the place of a run among all that were begun on the same data under the same signing key.
///
/// Who tries seeds until one passes is seen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Which attempt this is, from 1.
    pub number: u64,
    /// Attempts before it that were cleared and released.
    pub released: u64,
    /// Attempts before it that were cleared and not released.
    pub cleared: u64,
    /// Attempts before it that were refused.
    pub refused: u64,
    /// Attempts before it that did not come to their end, or had not when this one began.
    pub unfinished: u64,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, released, cleared, refused, unfinished } = self;
        write!(f, "attempt {number} on these data under this key")?;
        let before = [(released, "released"), (cleared, "cleared"), (refused, "refused"), (unfinished, "unfinished")];
        let before = before.into_iter().filter(|(count, _)| **count > 0);
        for (at, (count, word)) in before.enumerate() {
            write!(f, "{}{count} {word}", if at == 0 { "; before it " } else { ", " })?;
        }
        Ok(())
    }
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
    /// Which attempt it was; none when nobody counted.
    pub attempt: Option<Attempt>,
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
