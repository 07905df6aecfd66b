//! One number, with everything needed to judge it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::taxonomy::words;
use crate::{Access, Confidence, Norm, Phase, Radius, Threat, Value, float};

/// Reduces an attack's outcome to one number. Pure: no model, file or clock.
pub trait Metric<Outcome: ?Sized> {
    /// Why the outcome does not support a number.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Measures `outcome`.
    ///
    /// # Errors
    ///
    /// When `outcome` holds no observation, or observations that do not support a number.
    fn measure(&self, outcome: &Outcome) -> Result<Measurement, Self::Error>;
}

/// What a number is about: a threat, or what security is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// [`Threat::Poisoning`].
    Poisoning,
    /// [`Threat::Evasion`].
    Evasion,
    /// [`Threat::Inversion`].
    Inversion,
    /// [`Threat::Extraction`].
    Extraction,
    /// [`Threat::MembershipInference`].
    MembershipInference,
    /// The model is of use: a constant answer withstands every attack.
    Utility,
    /// The model is safe in use.
    Safety,
    /// The model does what its policy intends.
    Alignment,
}

words!(About {
    Poisoning => "poisoning",
    Evasion => "evasion",
    Inversion => "inversion",
    Extraction => "extraction",
    MembershipInference => "membership_inference",
    Utility => "utility",
    Safety => "safety",
    Alignment => "alignment",
});

impl About {
    /// The threat, if it is about one.
    pub const fn threat(self) -> Option<Threat> {
        match self {
            Self::Poisoning => Some(Threat::Poisoning),
            Self::Evasion => Some(Threat::Evasion),
            Self::Inversion => Some(Threat::Inversion),
            Self::Extraction => Some(Threat::Extraction),
            Self::MembershipInference => Some(Threat::MembershipInference),
            Self::Utility | Self::Safety | Self::Alignment => None,
        }
    }
}

impl From<Threat> for About {
    fn from(threat: Threat) -> Self {
        match threat {
            Threat::Poisoning => Self::Poisoning,
            Threat::Evasion => Self::Evasion,
            Threat::Inversion => Self::Inversion,
            Threat::Extraction => Self::Extraction,
            Threat::MembershipInference => Self::MembershipInference,
        }
    }
}

/// Unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share, in `[0, 1]`.
    Probability,
    /// A difference of shares, in `[-1, 1]`.
    Difference,
    /// Privacy loss.
    Nats,
    /// A ratio without unit.
    Ratio,
}

words!(Unit { Probability => "probability", Difference => "difference", Nats => "nats", Ratio => "ratio" });

/// Which way is better for the defender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
}

/// What is measured, by the field's standard name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Fraction of unperturbed inputs classified correctly.
    CleanAccuracy,
    /// Clean accuracy of the undefended model less that of the defended one.
    AccuracyLoss,
    /// Fraction of inputs classified correctly before and after the attack.
    RobustAccuracy,
    /// Fraction of the attack's trials that succeed.
    AttackSuccessRate,
    /// Accuracy lost to poisoned rows.
    PoisonAccuracyDrop,
    /// `TPR - FPR` of telling members from others at a threshold chosen on other data (Yeom et al. 2018).
    MembershipAdvantage,
    /// Area under the membership attack's ROC curve.
    MembershipAuc,
    /// True-positive rate of the membership attack at a fixed, low false-positive rate (Carlini et al. 2022).
    TprAtFpr,
    /// Privacy loss ε at the stated δ.
    Epsilon,
    /// Likeness of a reconstruction to unseen members of its class: 0 as an arbitrary input, 1 as the class mean.
    InversionScore,
    /// Fraction of inputs on which a stolen copy agrees with its victim.
    Fidelity,
    /// Fidelity beyond that of the same copy trained without the victim's answers.
    FidelityGain,
    /// Fraction of injected faults that are caught.
    DetectionRate,
    /// Fraction of clean rows that are flagged.
    FalsePositiveRate,
    /// Expected calibration error.
    CalibrationError,
    /// Accuracy under natural shift.
    ShiftAccuracy,
    /// Accuracy of the worst group.
    WorstGroupAccuracy,
    /// Fraction of inputs answered when abstaining to keep a stated risk.
    Coverage,
    /// Error among the inputs answered.
    SelectiveRisk,
    /// Mean cost of an answer under the policy's cost matrix.
    ExpectedCost,
    /// Fraction of answers that are confusions the policy forbids.
    ForbiddenConfusion,
    /// Fraction of out-of-scope inputs abstained on.
    OutOfScopeAbstention,
}

words!(Quantity {
    CleanAccuracy => "clean_accuracy",
    AccuracyLoss => "accuracy_loss",
    RobustAccuracy => "robust_accuracy",
    AttackSuccessRate => "attack_success_rate",
    PoisonAccuracyDrop => "poison_accuracy_drop",
    MembershipAdvantage => "membership_advantage",
    MembershipAuc => "membership_auc",
    TprAtFpr => "tpr_at_fpr",
    Epsilon => "epsilon",
    InversionScore => "inversion_score",
    Fidelity => "fidelity",
    FidelityGain => "fidelity_gain",
    DetectionRate => "detection_rate",
    FalsePositiveRate => "false_positive_rate",
    CalibrationError => "calibration_error",
    ShiftAccuracy => "shift_accuracy",
    WorstGroupAccuracy => "worst_group_accuracy",
    Coverage => "coverage",
    SelectiveRisk => "selective_risk",
    ExpectedCost => "expected_cost",
    ForbiddenConfusion => "forbidden_confusion",
    OutOfScopeAbstention => "out_of_scope_abstention",
});

impl Quantity {
    /// Its unit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::AccuracyLoss | Self::PoisonAccuracyDrop | Self::MembershipAdvantage | Self::FidelityGain => {
                Unit::Difference
            }
            Self::Epsilon => Unit::Nats,
            Self::InversionScore | Self::ExpectedCost => Unit::Ratio,
            _ => Unit::Probability,
        }
    }

    /// Which way is better for the defender.
    pub const fn direction(self) -> Direction {
        match self {
            Self::CleanAccuracy
            | Self::RobustAccuracy
            | Self::DetectionRate
            | Self::ShiftAccuracy
            | Self::WorstGroupAccuracy
            | Self::Coverage
            | Self::OutOfScopeAbstention => Direction::Higher,
            _ => Direction::Lower,
        }
    }

    /// The value of an adversary who gets all there is to get, where there is one.
    pub const fn worst(self) -> Option<f64> {
        match self {
            Self::Epsilon | Self::ExpectedCost => None,
            _ => match self.direction() {
                Direction::Higher => Some(0.0),
                Direction::Lower => Some(1.0),
            },
        }
    }
}

/// The system a number was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// The same model trained and served with no defence, for comparison.
    Undefended,
    /// The system to be cleared.
    Defended,
}

words!(System { Undefended => "undefended", Defended => "defended" });

/// Where the true value lies, with the stated confidence. One-sided bounds leave the other end infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub lower: f64,
    /// Upper end.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub upper: f64,
    /// Probability with which such an interval covers the true value.
    pub confidence: Confidence,
}

impl Interval {
    /// The end that is worse for the defender.
    pub const fn unfavourable(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Higher => self.lower,
            Direction::Lower => self.upper,
        }
    }

    /// Whether the two have no value in common. False when an end is NaN.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.upper < other.lower || other.upper < self.lower
    }
}

/// A run of the attack on a target whose answer is known beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The injected target: what makes it weak or ideal.
    pub target: String,
    /// The quantity measured on it.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub value: f64,
    /// The least value with which the attack works as it should, if there is one.
    pub at_least: Option<f64>,
    /// The greatest value with which the attack works as it should, if there is one.
    pub at_most: Option<f64>,
}

impl Control {
    /// Whether the attack did on this target what it must. NaN never does; nor does a control without a bound.
    pub fn passed(&self) -> bool {
        !self.value.is_nan()
            && (self.at_least.is_some() || self.at_most.is_some())
            && self.at_least.is_none_or(|least| self.value >= least)
            && self.at_most.is_none_or(|most| self.value <= most)
    }
}

/// One number with its interval, unit, sample size, direction, threat, access, phase, attack and parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What it is about.
    pub about: About,
    /// What is measured; fixes unit and direction.
    pub quantity: Quantity,
    /// On which system.
    pub system: System,
    /// What the adversary held; none for what needs no adversary.
    pub access: Option<Access>,
    /// Where in the lifecycle.
    pub phase: Phase,
    /// The attack or the test, by the name of its paper.
    pub attack: String,
    /// The number.
    #[serde(with = "float")]
    #[cfg_attr(feature = "schema", schemars(with = "float::Number"))]
    pub value: f64,
    /// Where the true value lies.
    pub interval: Interval,
    /// Number of independent observations behind it.
    pub n: u64,
    /// The value that guessing gives, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "float::option")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<float::Number>"))]
    pub chance: Option<f64>,
    /// Queries the adversary made of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<u64>,
    /// Size of the perturbation allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<Radius>,
    /// How that size is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    /// Everything else needed to repeat it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Value>,
    /// Runs on targets whose answer is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
}

impl Measurement {
    /// Its unit.
    pub const fn unit(&self) -> Unit {
        self.quantity.unit()
    }

    /// Which way is better for the defender.
    pub const fn direction(&self) -> Direction {
        self.quantity.direction()
    }

    /// The end of the interval that is worse for the defender.
    pub const fn unfavourable(&self) -> f64 {
        self.interval.unfavourable(self.direction())
    }

    /// Whether the attack is known to work: it has controls and did on each what it must.
    pub fn is_valid(&self) -> bool {
        !self.controls.is_empty() && self.controls.iter().all(Control::passed)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {:.4} [{:.4}, {:.4}] ({}, n = {})",
            self.quantity, self.value, self.interval.lower, self.interval.upper, self.attack, self.n
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_without_a_bound_or_a_number_does_not_pass() {
        let control = |value, at_least, at_most| Control { target: "t".into(), value, at_least, at_most };
        assert!(!control(0.5, None, None).passed());
        assert!(!control(f64::NAN, Some(0.0), None).passed());
        assert!(control(0.5, Some(0.5), Some(0.5)).passed());
        assert!(!control(0.5, Some(0.6), None).passed());
        assert!(!control(0.5, None, Some(0.4)).passed());
    }

    #[test]
    fn words_are_what_serde_writes() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_string(quantity).unwrap(), format!("\"{quantity}\""));
        }
        for about in About::ALL {
            assert_eq!(serde_json::to_string(about).unwrap(), format!("\"{about}\""));
        }
        for threat in Threat::ALL {
            assert_eq!(About::from(*threat).threat(), Some(*threat));
            assert_eq!(About::from(*threat).word(), threat.word());
        }
    }

    #[test]
    fn intervals_that_touch_are_not_apart() {
        let confidence = Confidence::new(0.95).unwrap();
        let interval = |lower, upper| Interval { lower, upper, confidence };
        assert!(!interval(0.0, 0.5).is_apart_from(&interval(0.5, 1.0)));
        assert!(interval(0.0, 0.4).is_apart_from(&interval(0.5, 1.0)));
        assert!(!interval(f64::NAN, f64::NAN).is_apart_from(&interval(0.5, 1.0)));
    }
}
