//! Waivers: levels of access that a policy leaves undecided on purpose, in writing.

use serde::{Deserialize, Serialize};

use crate::access_level::Access;
use crate::taxonomy::Threat;

/// A threat at a level of access that the policy has no bar for, and why that is accepted.
///
/// Shown in reports, by `verify` and in the clearance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The threat.
    pub threat: Threat,
    /// What the adversary holds.
    pub access: Access,
    /// Why no bar is needed, or possible. Not empty.
    pub reason: String,
}
