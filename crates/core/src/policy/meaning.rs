//! Meaning: which parameters a quantity means nothing without, and which limits exclude nothing.

use super::limit::{Limit, Perturbation};
use super::requirement::{Amount, AmountUnit, Requirement, Requirements};
use crate::access_level::Access;
use crate::error::BarFault;
use crate::evidence::{Direction, Quantity, Value};
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

/// Most rows of its own for each class, likewise.
const MOST_OWNED_OF_A_CLASS: f64 = 1_000.0;

/// The recipe of the baseline that accuracy loss is measured against, and the only one that loss means anything for.
const RECIPE: &str = "baseline_recipe";
const RECOMMENDED: &str = "recommended";

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
        Quantity::AccuracyLoss => &[(RECIPE, Side::Same)],
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

/// Refuses a requirement that every measurement meets, whichever way it is written: as a bound or as a value, of one or as
/// a multiple of a parameter that may be anything.
fn strict_enough(parameter: &'static str, requirement: &Requirement) -> Result<(), BarFault> {
    let amount = match requirement {
        Requirement::AtLeast(amount) | Requirement::AtMost(amount) => amount.clone(),
        Requirement::Equals(value) => match value.number() {
            Some(value) => Amount { value, unit: AmountUnit::One, up_to: None },
            // The one parameter that is a word.
            None if parameter == RECIPE && *value == Value::from(RECOMMENDED) => return Ok(()),
            None => return Err(BarFault::Unknown { parameter, allowed: allowed_word(parameter) }),
        },
    };
    let Amount { value, ref unit, up_to } = amount;
    let (range, is_strict) = match (parameter, unit) {
        ("delta", AmountUnit::One) => ("[0, 0.001], or [0, 1] with per = \"rows\"", value <= LARGEST_DELTA),
        ("delta", AmountUnit::Per(unit)) if unit == "rows" => ("[0, 1] with per = \"rows\"", value <= 1.0),
        ("owned_rows", AmountUnit::One) => ("[0, 10000]", value <= MOST_OWNED),
        ("owned_rows", AmountUnit::Of(unit)) if unit == "classes" => {
            ("[0, 1000] with of = \"classes\"", value <= MOST_OWNED_OF_A_CLASS)
        }
        ("fpr", AmountUnit::One) => ("(0, 1)", value > 0.0 && value < 1.0),
        ("poisoned_fraction", AmountUnit::One) => ("[0.001, 1]", (SMALLEST_FRACTION..=1.0).contains(&value)),
        ("queries" | "queries_per_class", AmountUnit::One) => ("[1, inf)", value >= 1.0),
        ("queries" | "queries_per_class", AmountUnit::Of(unit)) if unit == "allowed_queries" => (
            "[0.01, inf) with of = \"allowed_queries\", `up_to` at least 1",
            value >= MARGIN && up_to.is_none_or(|most| most >= 1.0),
        ),
        (RECIPE, _) => return Err(BarFault::Unknown { parameter, allowed: allowed_word(parameter) }),
        _ => return Err(BarFault::Unknown { parameter, allowed: allowed_unit(parameter) }),
    };
    if is_strict { Ok(()) } else { Err(BarFault::ExcludesNothing { name: parameter, value, range }) }
}

fn allowed_word(parameter: &str) -> &'static str {
    if parameter == RECIPE { "equals = \"recommended\"" } else { "a number" }
}

fn allowed_unit(parameter: &str) -> &'static str {
    match parameter {
        "delta" => "a number, or a multiple with per = \"rows\"",
        "owned_rows" => "a number, or a multiple with of = \"classes\"",
        "queries" | "queries_per_class" => "a number, or a multiple with of = \"allowed_queries\"",
        _ => "a number that is no multiple of another parameter",
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
