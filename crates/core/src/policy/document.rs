//! The policy: bars fixed and hashed before anything is measured.

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::intent::Intent;
use super::verdict::{Unmet, Verdict};
use super::waiver::Waiver;
use crate::access_level::Access;
use crate::digest::Digest;
use crate::error::{Error, WaiverFault};
use crate::evidence::{About, Evidence, Quantity, Record};
use crate::taxonomy::Threat;

/// Largest fraction of rejected rows that a policy may allow: a source of which most rows are wrong is of no use.
const MOST_REJECTED: f64 = 0.5;

/// Longest validity of a clearance, days: attacks improve, and models drift, faster.
const LONGEST: u32 = 366;

/// The bars, fixed and hashed before anything is measured.
///
/// Every policy that exists is complete: for every [`Threat`] it has a bar at each level of access that applies
/// ([`Threat::access_levels`]) or a [`Waiver`], and it bars [`Quantity::CleanAccuracy`] and [`Quantity::AccuracyLoss`],
/// since a useless model withstands every attack. A bar on [`Quantity::Epsilon`] decides every level of its threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolicyText", into = "PolicyText")]
pub struct Policy {
    name: String,
    valid_days: u32,
    max_rejected: f64,
    bars: Vec<Bar>,
    waivers: Vec<Waiver>,
    intent: Intent,
    /// The limits of `intent`, as bars.
    release: Vec<Bar>,
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
    /// What the policy leaves undecided on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiver: Vec<Waiver>,
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
        let PolicyText { name, valid_days, max_rejected, bar: bars, waiver: waivers, intent } = text;
        let missing = missing(&bars, &waivers);
        if !missing.is_empty() {
            return Err(Error::IncompletePolicy { policy: name, missing });
        }
        for waiver in &waivers {
            let refused = |fault| Error::Waiver { threat: waiver.threat, access: waiver.access, fault };
            check(waiver, &bars).map_err(refused)?;
        }
        if !(0.0..=MOST_REJECTED).contains(&max_rejected) {
            return Err(Error::out_of_range("max_rejected", max_rejected, "[0, 0.5]"));
        }
        if !(1..=LONGEST).contains(&valid_days) {
            return Err(Error::out_of_range("valid_days", valid_days.into(), "[1, 366]"));
        }
        let release = intent.bars()?;
        Ok(Self { name, valid_days, max_rejected, bars, waivers, intent, release })
    }
}

impl From<Policy> for PolicyText {
    fn from(policy: Policy) -> Self {
        let Policy { name, valid_days, max_rejected, bars, waivers, intent, release: _ } = policy;
        Self { name, valid_days, max_rejected, bar: bars, waiver: waivers, intent }
    }
}

/// What has neither a bar nor a waiver: threats at the levels of access that apply, and the two bars on utility.
fn missing(bars: &[Bar], waivers: &[Waiver]) -> Vec<String> {
    let mut missing = Vec::new();
    for threat in Threat::ALL {
        for access in threat.access_levels() {
            let waived = waivers.iter().any(|waiver| waiver.threat == *threat && waiver.access == *access);
            if !waived && !bars.iter().any(|bar| decides(bar, *threat, *access)) {
                missing.push(format!("{threat} ({access})"));
            }
        }
    }
    for quantity in [Quantity::CleanAccuracy, Quantity::AccuracyLoss] {
        if !bars.iter().any(|bar| bar.about == About::Utility && bar.quantity == quantity) {
            missing.push(format!("utility {quantity}"));
        }
    }
    missing
}

/// Whether `bar` decides `threat` by an adversary with `access`: it names that access, or it bounds ε, which is proven
/// against all of them.
fn decides(bar: &Bar, threat: Threat, access: Access) -> bool {
    bar.about == About::from(threat) && (bar.access == Some(access) || bar.quantity == Quantity::Epsilon)
}

fn check(waiver: &Waiver, bars: &[Bar]) -> Result<(), WaiverFault> {
    let Waiver { threat, access, reason } = waiver;
    if reason.trim().is_empty() {
        Err(WaiverFault::NoReason)
    } else if !threat.access_levels().contains(access) {
        Err(WaiverFault::NotApplicable)
    } else if bars.iter().any(|bar| decides(bar, *threat, *access)) {
        Err(WaiverFault::Barred)
    } else {
        Ok(())
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

    /// What the policy leaves undecided on purpose, with reasons.
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// What the model is meant for.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The limits of [`Policy::intent`], as bars: the second gate.
    pub fn release_bars(&self) -> &[Bar] {
        &self.release
    }

    /// Judges what safety evaluation measured on a cleared model, limit by limit of [`Policy::intent`], in the order of
    /// [`Policy::release_bars`]; the model is released when all are met.
    ///
    /// # Guarantees
    ///
    /// As those of [`Policy::judge`], but for the third: `safety` says nothing of the policy it was made under.
    pub fn judge_release(&self, safety: &Record) -> Vec<Verdict> {
        self.release.iter().enumerate().map(|(at, bar)| bar.judge(at, &safety.measurements)).collect()
    }

    /// Judges `evidence` bar by bar; `digest` is the digest of this policy's bytes.
    ///
    /// # Guarantees
    ///
    /// 1. A bar without a matching measurement is not met: `absent_evidence_meets_no_bar`.
    /// 2. NaN, and an infinite unfavourable end, meets no bar: `nan_and_infinity_meet_no_bar`.
    /// 3. Evidence under another policy meets no bar: `evidence_under_another_policy_meets_no_bar`.
    /// 4. The interval's unfavourable end decides, not the point: `the_unfavourable_end_decides`.
    /// 5. Adding a measurement never turns an unmet bar into a met one, absence and weakness excepted:
    ///    `more_evidence_never_helps_a_failing_bar`.
    /// 6. A measurement that is weaker than a bar asks, or does not state how strong it is, does not meet it:
    ///    `a_weaker_or_silent_measurement_meets_no_bar`.
    /// 7. A bar on accuracy whose limit a constant answer reaches is not met: `a_constant_answer_meets_no_bar`.
    pub fn judge(&self, digest: Digest, evidence: &Evidence) -> Vec<Verdict> {
        let judge = |(at, bar): (usize, &Bar)| {
            if evidence.policy == digest {
                bar.judge(at, &evidence.record.measurements)
            } else {
                Verdict { bar: at, measurement: None, unmet: Some(Unmet::OtherPolicy) }
            }
        };
        self.bars.iter().enumerate().map(judge).collect()
    }
}
