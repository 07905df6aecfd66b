//! The policy: bars fixed and hashed before anything is measured.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::intent::Intent;
use super::verdict::{Unmet, Verdict};
use crate::digest::Digest;
use crate::error::Error;
use crate::evidence::{About, Evidence, Quantity};
use crate::taxonomy::Threat;

/// The bars, fixed and hashed before anything is measured.
///
/// Every policy that exists is complete: it has a bar for every [`Threat`] and bars [`Quantity::CleanAccuracy`] and
/// [`Quantity::AccuracyLoss`], since a useless model withstands every attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolicyText", into = "PolicyText")]
pub struct Policy {
    name: String,
    valid_days: u32,
    max_rejected: f64,
    bars: Vec<Bar>,
    intent: Intent,
}

/// [`Policy`] as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Policy"))]
#[serde(deny_unknown_fields)]
struct PolicyText {
    /// Name of the policy.
    name: String,
    /// Days after which a clearance under this policy expires.
    valid_days: u32,
    /// Largest fraction of rows that collection may reject before it stops, in `[0, 1)`.
    max_rejected: f64,
    /// The bars.
    bar: Vec<Bar>,
    /// What the model is meant for.
    #[serde(default)]
    intent: Intent,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Policy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        PolicyText::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        PolicyText::json_schema(generator)
    }
}

impl TryFrom<PolicyText> for Policy {
    type Error = Error;

    fn try_from(text: PolicyText) -> Result<Self, Error> {
        let has = |about, quantity: Option<Quantity>| {
            text.bar.iter().any(|bar| bar.about == about && quantity.is_none_or(|quantity| bar.quantity == quantity))
        };
        let mut missing: Vec<String> =
            (Threat::ALL.iter()).filter(|threat| !has(About::from(**threat), None)).map(ToString::to_string).collect();
        for quantity in [Quantity::CleanAccuracy, Quantity::AccuracyLoss] {
            if !has(About::Utility, Some(quantity)) {
                missing.push(format!("utility {quantity}"));
            }
        }
        if !missing.is_empty() {
            return Err(Error::IncompletePolicy { policy: text.name, missing });
        }
        if !(0.0..1.0).contains(&text.max_rejected) {
            return Err(Error::out_of_range("max_rejected", text.max_rejected, "[0, 1)"));
        }
        if text.valid_days == 0 {
            return Err(Error::out_of_range("valid_days", 0.0, "[1, 4294967295]"));
        }
        Ok(Self {
            name: text.name,
            valid_days: text.valid_days,
            max_rejected: text.max_rejected,
            bars: text.bar,
            intent: text.intent,
        })
    }
}

impl From<Policy> for PolicyText {
    fn from(policy: Policy) -> Self {
        let Policy { name, valid_days, max_rejected, bars, intent } = policy;
        Self { name, valid_days, max_rejected, bar: bars, intent }
    }
}

impl Policy {
    /// Name of the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Days after which a clearance expires.
    pub fn valid_days(&self) -> u32 {
        self.valid_days
    }

    /// Largest fraction of rows that collection may reject before it stops.
    pub fn max_rejected(&self) -> f64 {
        self.max_rejected
    }

    /// The bars.
    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// What the model is meant for.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Judges `evidence` bar by bar; `digest` is the digest of this policy's bytes.
    ///
    /// # Guarantees
    ///
    /// 1. A bar without a matching measurement is not met: `absent_evidence_meets_no_bar`.
    /// 2. NaN, and an infinite unfavourable end, meets no bar: `nan_and_infinity_meet_no_bar`.
    /// 3. Evidence under another policy meets no bar: `evidence_under_another_policy_meets_no_bar`.
    /// 4. The interval's unfavourable end decides, not the point: `the_unfavourable_end_decides`.
    /// 5. Adding a measurement never turns an unmet bar into a met one, absence excepted:
    ///    `more_evidence_never_helps_a_failing_bar`.
    pub fn judge(&self, digest: Digest, evidence: &Evidence) -> Vec<Verdict> {
        let judge = |(at, bar): (usize, &Bar)| {
            if evidence.policy == digest {
                bar.judge(at, evidence)
            } else {
                Verdict { bar: at, measurement: None, unmet: Some(Unmet::OtherPolicy) }
            }
        };
        self.bars.iter().enumerate().map(judge).collect()
    }
}
