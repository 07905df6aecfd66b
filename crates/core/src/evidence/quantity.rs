//! Quantities that are measured, by the field's standard names, with unit and direction.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// Unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A fraction, in `[0, 1]`.
    Probability,
    /// A difference of fractions, in `[-1, 1]`.
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
    /// Mean over the classes of the fraction of their unperturbed inputs that are classified correctly.
    BalancedAccuracy,
    /// Clean accuracy of the undefended model less that of the defended one.
    AccuracyLoss,
    /// Fraction of inputs classified correctly before and after the attack.
    RobustAccuracy,
    /// Fraction of the attack's trials that succeed.
    AttackSuccessRate,
    /// Accuracy lost to poisoned rows.
    PoisonAccuracyDrop,
    /// `TPR - FPR` of the membership attack at a threshold chosen on other data (Yeom et al. 2018).
    MembershipAdvantage,
    /// Area under the membership attack's ROC curve.
    MembershipAuc,
    /// True-positive rate of the membership attack at a fixed, low false-positive rate (Carlini et al. 2022).
    TprAtFpr,
    /// Privacy loss ε at the stated δ.
    Epsilon,
    /// Likeness of a reconstruction to unseen members of its class: 0 as an arbitrary input, 1 as the class mean.
    InversionScore,
    /// Fraction of inputs on which an extracted model agrees with its victim.
    Fidelity,
    /// Fidelity beyond that of the same surrogate trained without the victim's answers.
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
    BalancedAccuracy => "balanced_accuracy",
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
            | Self::BalancedAccuracy
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_serde_writes() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_string(quantity).unwrap(), format!("\"{quantity}\""));
        }
    }
}
