//! Verdicts: how evidence is judged bar by bar.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::limit::Limit;
use crate::evidence::{Measurement, Quantity, Shortfall};

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
    /// The attack was weaker than the policy asks, or does not state how strong it was.
    Weaker(Vec<Shortfall>),
    /// The limit is not above what a constant answer reaches on these rows.
    ExcludesNothing,
    /// The unfavourable end is not as far above chance as the bar asks, or the measurement states no chance.
    NotAboveChance,
    /// Fewer observations than the bar asks for.
    TooFewSamples,
    /// The attack has no control, or did not do on one what it must.
    InvalidAttack,
    /// The unfavourable end of the interval breaks the limit.
    Limit,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Weaker(shortfalls) = self {
            let list: Vec<String> = shortfalls.iter().map(ToString::to_string).collect();
            return f.pad(&format!("weaker than the policy asks: {}", list.join("; ")));
        }
        f.pad(match self {
            Self::Weaker(_) => "weaker than the policy asks",
            Self::ExcludesNothing => "the limit is not above what a constant answer reaches",
            Self::NotAboveChance => "not far enough above chance",
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
    /// Why a matching measurement does not meet the bar; none if it does.
    fn unmet(&self, measurement: &Measurement) -> Option<Unmet> {
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
            self.unmet_chance(measurement)
        }
    }

    /// Whether the measurement needs controls: an attack must be known to work, a count or an accountant's bound not.
    fn needs_controls(&self) -> bool {
        self.about.threat().is_some()
            && !matches!(self.quantity, Quantity::Epsilon | Quantity::DetectionRate | Quantity::FalsePositiveRate)
    }

    /// Why the bound is not as far above a constant answer as it must be; none if it is, or need not be.
    fn unmet_chance(&self, measurement: &Measurement) -> Option<Unmet> {
        match (self.above_chance, measurement.constant) {
            (Some(_), None) => Some(Unmet::NotAboveChance),
            (Some(above), Some(constant)) => {
                let least = constant + above * (1.0 - constant);
                let reached = measurement.unfavourable() >= least && measurement.value >= least;
                (!reached).then_some(Unmet::NotAboveChance)
            }
            (None, Some(constant)) => match self.limit {
                Limit::AtLeast(limit) if limit.partial_cmp(&constant) != Some(Ordering::Greater) => {
                    Some(Unmet::ExcludesNothing)
                }
                Limit::AtLeast(_) | Limit::AtMost(_) => None,
            },
            (None, None) => None,
        }
    }

    /// Judges the measurements that match this bar, the `bar`-th of its policy: those that are as strong as it asks, and
    /// when none is, it is not met.
    pub(super) fn judge(&self, bar: usize, measurements: &[Measurement]) -> Verdict {
        let all = || measurements.iter().enumerate().filter(|(_, m)| self.matches(m));
        let matching = || all().filter(|(_, m)| self.shortfalls(m).is_empty());
        if matching().next().is_none()
            && let Some((at, weaker)) = all().next()
        {
            let unmet = Some(Unmet::Weaker(self.shortfalls(weaker)));
            return Verdict { bar, measurement: Some(at), unmet };
        }
        let failing = matching().find_map(|(at, m)| self.unmet(m).map(|unmet| (at, unmet)));
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
