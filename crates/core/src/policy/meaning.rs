//! Meaning: which parameters a quantity means nothing without, and which limits exclude nothing.

use super::limit::{Limit, Perturbation};
use super::requirement::{Amount, AmountUnit, Requirement, Requirements};
use crate::access_level::Access;
use crate::error::BarFault;
use crate::evidence::{Direction, Quantity};
use crate::number::Confidence;

/// Least confidence of an interval that may decide a bar.
const LEAST_CONFIDENCE: f64 = 0.9;

/// Fewest observations that may decide a bar on a sampled quantity.
const FEWEST_SAMPLES: u64 = 10;

/// Largest ε that may be asked for: at 20 a guess at even odds may become certain but for one in 4.8e8.
const LARGEST_EPSILON: f64 = 20.0;

/// Largest δ that may be asked for as a number.
const LARGEST_DELTA: f64 = 1e-3;

/// How far a limit must stay from what every measurement meets.
const MARGIN: f64 = 0.01;

/// Smallest radius of a perturbation that may be asked for, in units of features scaled to `[0, 1]`.
const SMALLEST_RADIUS: f64 = 1e-3;

/// Smallest fraction of poisoned rows that may be asked for.
const SMALLEST_FRACTION: f64 = 1e-3;

/// Most rows of its own that the adversary of an extraction may be said to have.
const MOST_OWNED: f64 = 10_000.0;

/// How a bar must bound a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// By `at_least` or `equals`: less of it makes the attack weaker, or its number look better.
    Least,
    /// By `at_most` or `equals`: more of it makes the number look better.
    Most,
    /// By `equals`.
    Same,
}

impl Side {
    fn is_bounded_by(self, requirement: &Requirement) -> bool {
        matches!(
            (self, requirement),
            (_, Requirement::Equals(_)) | (Self::Least, Requirement::AtLeast(_)) | (Self::Most, Requirement::AtMost(_))
        )
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Least => "at_least",
            Self::Most => "at_most",
            Self::Same => "equals",
        }
    }
}

/// The parameters without which a number of this quantity means nothing, and how they must be bounded.
const fn parameters(quantity: Quantity, access: Option<Access>) -> &'static [(&'static str, Side)] {
    match quantity {
        // ε at δ near 1 is met by publishing the rows.
        Quantity::Epsilon => &[("delta", Side::Most)],
        // The true-positive rate falls with the false-positive rate allowed.
        Quantity::TprAtFpr => &[("fpr", Side::Least)],
        // What answers add falls with what the adversary had before, and with the answers it did not ask for.
        Quantity::Fidelity | Quantity::FidelityGain => &[("queries", Side::Least), ("owned_rows", Side::Most)],
        // A baseline that was trained badly loses nothing.
        Quantity::AccuracyLoss => &[("baseline_recipe", Side::Same)],
        // One poisoned row in a million does nothing.
        Quantity::AttackSuccessRate | Quantity::PoisonAccuracyDrop => &[("poisoned_fraction", Side::Least)],
        Quantity::InversionScore => match access {
            Some(Access::BlackBox) => &[("queries_per_class", Side::Least)],
            Some(Access::GrayBox | Access::WhiteBox) | None => &[],
        },
        Quantity::CleanAccuracy
        | Quantity::BalancedAccuracy
        | Quantity::RobustAccuracy
        | Quantity::MembershipAdvantage
        | Quantity::MembershipAuc
        | Quantity::DetectionRate
        | Quantity::FalsePositiveRate
        | Quantity::CalibrationError
        | Quantity::ShiftAccuracy
        | Quantity::WorstGroupAccuracy
        | Quantity::Coverage
        | Quantity::SelectiveRisk
        | Quantity::ExpectedCost
        | Quantity::ForbiddenConfusion
        | Quantity::OutOfScopeAbstention => &[],
    }
}

/// The limits that exclude something, as an interval: `(least, most)`, and whether the ends belong to it.
fn limits(quantity: Quantity) -> (f64, f64, &'static str) {
    match quantity {
        Quantity::Epsilon => (f64::MIN_POSITIVE, LARGEST_EPSILON, "(0, 20]"),
        // 1 is the mean of the class, which anyone may know.
        Quantity::InversionScore => (f64::NEG_INFINITY, 1.0, "(-inf, 1]"),
        // What excludes nothing depends on the cost matrix, which intent holds against it.
        Quantity::ExpectedCost => (0.0, f64::MAX, "[0, inf)"),
        _ => match quantity.direction() {
            Direction::Higher => (MARGIN, 1.0, "[0.01, 1]"),
            Direction::Lower => (-1.0, 1.0 - MARGIN, "[-1, 0.99]"),
        },
    }
}

/// Refuses a requirement that every measurement meets.
fn strict_enough(parameter: &'static str, requirement: &Requirement) -> Result<(), BarFault> {
    let refused = |value, range| Err(BarFault::ExcludesNothing { name: parameter, value, range });
    match (parameter, requirement) {
        ("delta", Requirement::AtMost(Amount { value, unit: AmountUnit::One, .. })) if *value > LARGEST_DELTA => {
            refused(*value, "[0, 0.001], or [0, 1] with per = \"rows\"")
        }
        ("delta", Requirement::AtMost(Amount { value, unit: AmountUnit::Per(_) | AmountUnit::Of(_), .. }))
            if *value > 1.0 =>
        {
            refused(*value, "[0, 1] with per = \"rows\"")
        }
        ("owned_rows", Requirement::AtMost(Amount { value, .. })) if *value > MOST_OWNED => {
            refused(*value, "[0, 10000]")
        }
        ("poisoned_fraction", Requirement::AtLeast(Amount { value, .. })) if *value < SMALLEST_FRACTION => {
            refused(*value, "[0.001, 1]")
        }
        ("queries" | "queries_per_class", Requirement::AtLeast(Amount { value, unit: AmountUnit::One, .. }))
            if *value < 1.0 =>
        {
            refused(*value, "[1, inf)")
        }
        ("queries" | "queries_per_class", Requirement::AtLeast(Amount { value, .. })) if *value < MARGIN => {
            refused(*value, "[0.01, inf)")
        }
        (_, Requirement::AtLeast(Amount { value, .. })) if *value <= 0.0 => refused(*value, "(0, inf)"),
        _ => Ok(()),
    }
}

/// What a bar asks for, but for its reason and the names by which it finds measurements.
pub(super) struct Asked<'a> {
    pub(super) access: Option<Access>,
    pub(super) quantity: Quantity,
    pub(super) perturbation: Option<Perturbation>,
    pub(super) require: &'a Requirements,
    pub(super) limit: Limit,
    pub(super) above_chance: Option<f64>,
    pub(super) confidence: Confidence,
    pub(super) min_samples: u64,
}

/// Refuses a bar whose number means nothing, or whose limit excludes nothing.
pub(super) fn check(asked: &Asked<'_>) -> Result<(), BarFault> {
    let Asked { access, quantity, perturbation, require, limit, above_chance, confidence, min_samples } = *asked;
    let (Limit::AtLeast(value) | Limit::AtMost(value)) = limit;
    let (least, most, range) = limits(quantity);
    if !(least..=most).contains(&value) {
        return Err(BarFault::ExcludesNothing { name: "limit", value, range });
    }
    if confidence.value() < LEAST_CONFIDENCE {
        return Err(BarFault::ExcludesNothing { name: "confidence", value: confidence.value(), range: "[0.9, 1)" });
    }
    if quantity != Quantity::Epsilon && min_samples < FEWEST_SAMPLES {
        #[allow(clippy::cast_precision_loss, reason = "less than ten")]
        return Err(BarFault::ExcludesNothing { name: "min_samples", value: min_samples as f64, range: "[10, inf)" });
    }
    if let Some(above) = above_chance {
        let has_chance = matches!(
            quantity,
            Quantity::CleanAccuracy | Quantity::BalancedAccuracy | Quantity::RobustAccuracy | Quantity::ShiftAccuracy
        );
        if !has_chance {
            return Err(BarFault::NoChance);
        }
        if !(MARGIN..1.0).contains(&above) {
            return Err(BarFault::ExcludesNothing { name: "above_chance", value: above, range: "[0.01, 1)" });
        }
    }
    if quantity == Quantity::RobustAccuracy {
        match perturbation {
            None => return Err(BarFault::Unbounded { parameter: "radius", by: "a number above 0, with `norm`" }),
            Some(least) if least.radius.value() < SMALLEST_RADIUS => {
                let value = least.radius.value();
                return Err(BarFault::ExcludesNothing { name: "radius", value, range: "[0.001, inf)" });
            }
            Some(_) => {}
        }
    }
    for (parameter, side) in parameters(quantity, access) {
        match require.get(*parameter) {
            Some(requirement) if side.is_bounded_by(requirement) => strict_enough(parameter, requirement)?,
            _ => return Err(BarFault::Unbounded { parameter, by: side.word() }),
        }
    }
    Ok(())
}
