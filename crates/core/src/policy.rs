//! Bars fixed before anything is measured, and the judgement of evidence by them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    About, Access, Confidence, Digest, Direction, Error, Evidence, Measurement, Norm, Quantity, Radius, System, Threat,
};

/// Which side of the limit is allowed; the limit itself is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The value must reach it.
    AtLeast(f64),
    /// The value must not exceed it.
    AtMost(f64),
}

impl Limit {
    /// Whether `bound` keeps to the limit. NaN never does.
    pub fn admits(self, bound: f64) -> bool {
        match self {
            Self::AtLeast(limit) => bound >= limit,
            Self::AtMost(limit) => bound <= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
        }
    }
}

/// The least perturbation that an attack must have been allowed for its result to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbation {
    /// Its size.
    pub radius: Radius,
    /// How that is measured.
    pub norm: Norm,
}

/// One thing that evidence must show.
///
/// It is met when at least one measurement of the defended system matches it, and every one that matches has a
/// finite value and interval, at least the bar's confidence and sample size, controls that passed (for threats),
/// and the unfavourable end of its interval within the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BarText", into = "BarText")]
pub struct Bar {
    /// What it is about.
    pub about: About,
    /// What the adversary holds; none matches any access.
    pub access: Option<Access>,
    /// What is measured.
    pub quantity: Quantity,
    /// The attack, by name; none matches every attack.
    pub attack: Option<String>,
    /// The perturbation that the attack must at least have been allowed.
    pub perturbation: Option<Perturbation>,
    /// What the bound must keep to.
    pub limit: Limit,
    /// The least confidence of the interval.
    pub confidence: Confidence,
    /// The least number of independent observations.
    pub min_samples: u64,
    /// Why the limit is what it is.
    pub reason: String,
}

/// [`Bar`] as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Bar"))]
#[serde(deny_unknown_fields)]
struct BarText {
    about: About,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
    quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attack: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    radius: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    norm: Option<Norm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    confidence: f64,
    min_samples: u64,
    reason: String,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Bar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        BarText::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BarText::json_schema(generator)
    }
}

impl TryFrom<BarText> for Bar {
    type Error = String;

    fn try_from(text: BarText) -> Result<Self, String> {
        let BarText { about, quantity, confidence, min_samples, .. } = text;
        let limit = match (text.at_least, text.at_most) {
            (Some(limit), None) => Limit::AtLeast(limit),
            (None, Some(limit)) => Limit::AtMost(limit),
            _ => return Err(format!("{about} {quantity}: give either `at_least` or `at_most`")),
        };
        let (value, sound) = match limit {
            Limit::AtLeast(value) => (value, quantity.direction() == Direction::Higher),
            Limit::AtMost(value) => (value, quantity.direction() == Direction::Lower),
        };
        if !value.is_finite() {
            return Err(format!("{about} {quantity}: the limit {value} is not a finite number"));
        }
        if !sound {
            let word = if quantity.direction() == Direction::Higher { "at_least" } else { "at_most" };
            return Err(format!("{about} {quantity}: bounded from the wrong side; use `{word}`"));
        }
        if min_samples == 0 {
            return Err(format!("{about} {quantity}: `min_samples` must be at least 1"));
        }
        if text.reason.trim().is_empty() {
            return Err(format!("{about} {quantity}: `reason` is empty; say why the limit is what it is"));
        }
        let perturbation = match (text.radius, text.norm) {
            (Some(radius), Some(norm)) => {
                let radius = Radius::new(radius).map_err(|error| format!("{about} {quantity}: {error}"))?;
                Some(Perturbation { radius, norm })
            }
            (None, None) => None,
            _ => return Err(format!("{about} {quantity}: give `radius` and `norm` together")),
        };
        Ok(Self {
            about,
            access: text.access,
            quantity,
            attack: text.attack,
            perturbation,
            limit,
            confidence: Confidence::new(confidence).map_err(|error| format!("{about} {quantity}: {error}"))?,
            min_samples,
            reason: text.reason,
        })
    }
}

impl From<Bar> for BarText {
    fn from(bar: Bar) -> Self {
        let (at_least, at_most) = match bar.limit {
            Limit::AtLeast(limit) => (Some(limit), None),
            Limit::AtMost(limit) => (None, Some(limit)),
        };
        Self {
            about: bar.about,
            access: bar.access,
            quantity: bar.quantity,
            attack: bar.attack,
            radius: bar.perturbation.map(|perturbation| perturbation.radius.value()),
            norm: bar.perturbation.map(|perturbation| perturbation.norm),
            at_least,
            at_most,
            confidence: bar.confidence.value(),
            min_samples: bar.min_samples,
            reason: bar.reason,
        }
    }
}

/// A confusion of classes and what it costs, or how often it may happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Name of the true class.
    pub truth: String,
    /// Name of the class answered.
    pub answer: String,
    /// Cost of one such answer, or the largest fraction of such answers among inputs of the true class.
    pub weight: f64,
}

/// What the model is meant for: checked once it is cleared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// In words.
    #[serde(default)]
    pub purpose: String,
    /// Cost matrix: confusions that cost other than 1. A right answer costs 0.
    #[serde(default)]
    pub costs: Vec<Confusion>,
    /// Largest mean cost of an answer.
    #[serde(default)]
    pub max_expected_cost: Option<f64>,
    /// Confusions that must stay rarer than their weight.
    #[serde(default)]
    pub forbidden: Vec<Confusion>,
    /// Risk (share of errors among answers) at which the model abstains.
    #[serde(default)]
    pub selective_risk: Option<f64>,
    /// Least share of out-of-scope inputs that must be abstained on.
    #[serde(default)]
    pub out_of_scope_abstention: Option<f64>,
}

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
    /// Largest share of rows that collection may reject before it stops, in `[0, 1)`.
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

/// Why a bar is not met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unmet {
    /// Nothing that matches was measured.
    Absent,
    /// The evidence was made under another policy.
    OtherPolicy,
    /// The value or an end of its interval is NaN or infinite on the side that counts.
    NotFinite,
    /// The interval's confidence is below the bar's.
    Confidence,
    /// Fewer observations than the bar asks for.
    TooFewSamples,
    /// The attack has no control, or did not do on one what it must.
    InvalidAttack,
    /// The unfavourable end of the interval breaks the limit.
    Limit,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Absent => "not measured",
            Self::OtherPolicy => "measured under another policy",
            Self::NotFinite => "not a finite number",
            Self::Confidence => "confidence too low",
            Self::TooFewSamples => "too few samples",
            Self::InvalidAttack => "attack failed its controls",
            Self::Limit => "limit broken",
        })
    }
}

/// The judgement of one bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Position of the bar in the policy.
    pub bar: usize,
    /// Position in the evidence of the measurement that decided: the first that fails, else the one nearest the limit.
    pub measurement: Option<usize>,
    /// Why the bar is not met; none when it is.
    pub unmet: Option<Unmet>,
}

impl Verdict {
    /// Whether the bar is met.
    pub const fn is_met(&self) -> bool {
        self.unmet.is_none()
    }
}

impl Bar {
    /// Whether `measurement` is one that this bar judges.
    pub fn matches(&self, measurement: &Measurement) -> bool {
        measurement.system == System::Defended
            && measurement.about == self.about
            && measurement.quantity == self.quantity
            && self.access.is_none_or(|access| measurement.access == Some(access))
            && self.attack.as_ref().is_none_or(|attack| *attack == measurement.attack)
            && self.perturbation.is_none_or(|least| {
                measurement.norm == Some(least.norm) && measurement.radius.is_some_and(|radius| radius >= least.radius)
            })
    }

    fn fault(&self, measurement: &Measurement) -> Option<Unmet> {
        let bound = measurement.unfavourable();
        if !measurement.value.is_finite() || !bound.is_finite() {
            Some(Unmet::NotFinite)
        } else if measurement.interval.confidence < self.confidence {
            Some(Unmet::Confidence)
        } else if measurement.n < self.min_samples {
            Some(Unmet::TooFewSamples)
        } else if self.needs_controls() && !measurement.is_valid() {
            Some(Unmet::InvalidAttack)
        } else if !self.limit.admits(bound) || !self.limit.admits(measurement.value) {
            Some(Unmet::Limit)
        } else {
            None
        }
    }

    /// An attack must be known to work; a count or an accountant's proof needs no control.
    fn needs_controls(&self) -> bool {
        self.about.threat().is_some()
            && !matches!(self.quantity, Quantity::Epsilon | Quantity::DetectionRate | Quantity::FalsePositiveRate)
    }

    fn judge(&self, bar: usize, evidence: &Evidence) -> Verdict {
        let matching = || evidence.record.measurements.iter().enumerate().filter(|(_, m)| self.matches(m));
        let failing = matching().find_map(|(at, m)| self.fault(m).map(|unmet| (at, unmet)));
        if let Some((at, unmet)) = failing {
            return Verdict { bar, measurement: Some(at), unmet: Some(unmet) };
        }
        let closest = matching().min_by(|(_, a), (_, b)| match self.limit {
            Limit::AtLeast(_) => a.unfavourable().total_cmp(&b.unfavourable()),
            Limit::AtMost(_) => b.unfavourable().total_cmp(&a.unfavourable()),
        });
        match closest {
            Some((at, _)) => Verdict { bar, measurement: Some(at), unmet: None },
            None => Verdict { bar, measurement: None, unmet: Some(Unmet::Absent) },
        }
    }
}

impl Policy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Days after which a clearance expires.
    pub fn valid_days(&self) -> u32 {
        self.valid_days
    }

    /// Largest share of rows that collection may reject before it stops.
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

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
