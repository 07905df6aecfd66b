//! Numbers, dates and names as they are written for people.

use underpin_core::{Access, Attempt, Interval, Limit, Measurement, Quantity, Record, System, Value};

use crate::data_budget;

/// Which way a number may be off after rounding.
#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    Nearest,
    Down,
    Up,
}

/// A number to about three digits: the nearest.
pub(super) fn number(value: f64) -> String {
    written(value, Rounding::Nearest)
}

/// An interval to about three digits, rounded outwards so that it never looks narrower than it is.
pub(super) fn interval(interval: &Interval) -> String {
    format!("[{}, {}]", written(interval.lower, Rounding::Down), written(interval.upper, Rounding::Up))
}

/// A measurement's value and its interval.
pub(super) fn reading(measurement: &Measurement) -> String {
    format!("{} {}", number(measurement.value), interval(&measurement.interval))
}

fn written(value: f64, rounding: Rounding) -> String {
    let size = value.abs();
    if value.is_nan() {
        "not a number".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "∞".to_owned() } else { "-∞".to_owned() }
    } else if size != 0.0 && !(1e-3..1e6).contains(&size) {
        scientific(value, rounding)
    } else {
        fixed(value, if size >= 1000.0 { 0 } else { 3 }, rounding)
    }
}

fn scientific(value: f64, rounding: Rounding) -> String {
    let exponent = value.abs().log10().floor();
    let mantissa = value / 10_f64.powf(exponent);
    if mantissa.is_finite() { format!("{}e{exponent}", fixed(mantissa, 2, rounding)) } else { format!("{value:e}") }
}

fn fixed(value: f64, decimals: usize, rounding: Rounding) -> String {
    let text = format!("{value:.decimals$}");
    let nearest = text.parse().unwrap_or(value);
    let step = 10_f64.powi(-i32::try_from(decimals).unwrap_or(0));
    let text = match rounding {
        Rounding::Down if nearest > value => format!("{:.decimals$}", nearest - step),
        Rounding::Up if nearest < value => format!("{:.decimals$}", nearest + step),
        _ => text,
    };
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|byte| matches!(byte, b'0' | b'.')) => zero.to_owned(),
        _ => text,
    }
}

/// A whole number, its thousands apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A fraction of a whole, in percent; nothing of nothing is 0 %.
pub(super) fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A parameter.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Count(value) => count(*value),
        Value::Number(value) if *value != 0.0 && value.abs() < 1e-3 => format!("{value:e}"),
        Value::Number(value) => value.to_string(),
        Value::Text(text) => text.clone(),
    }
}

/// A word of the vocabulary, spelt for people: `membership_inference` is membership inference.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// The same with a capital.
pub(super) fn title(word: &str) -> String {
    let plain = plain(word);
    let mut letters = plain.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the adversary holds.
pub(super) fn access(access: Option<Access>) -> String {
    access.map_or_else(|| "none".to_owned(), |access| plain(access.word()))
}

/// A limit with its sign, kept on one line.
pub(super) fn limit(limit: Limit) -> String {
    match limit {
        Limit::AtLeast(value) => format!("≥\u{a0}{value}"),
        Limit::AtMost(value) => format!("≤\u{a0}{value}"),
    }
}

/// A quantity by name.
pub(super) fn name(quantity: Quantity) -> String {
    match quantity {
        Quantity::TprAtFpr => "TPR at low FPR".to_owned(),
        Quantity::MembershipAuc => "membership AUC".to_owned(),
        Quantity::Epsilon => "privacy loss ε".to_owned(),
        _ => plain(quantity.word()),
    }
}

/// What a quantity says, in one line.
pub(super) fn meaning(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CleanAccuracy => "Fraction of unperturbed inputs classified correctly.",
        Quantity::BalancedAccuracy => "Mean over the classes of the fraction of their inputs classified correctly.",
        Quantity::AccuracyLoss => "Clean accuracy of the undefended model less that of the defended one.",
        Quantity::RobustAccuracy => "Fraction of inputs classified correctly before and after the attack.",
        Quantity::AttackSuccessRate => "Fraction of the attack's trials that succeed.",
        Quantity::PoisonAccuracyDrop => "Accuracy lost to poisoned rows.",
        Quantity::MembershipAdvantage => "True- less false-positive rate of telling members from others.",
        Quantity::MembershipAuc => "Area under the membership attack's ROC curve; guessing gives 0.5.",
        Quantity::TprAtFpr => "Members found by the attack at a fixed, low false-positive rate.",
        Quantity::Epsilon => "Differential-privacy loss ε at the stated δ: a proven bound on every attack.",
        Quantity::InversionScore => {
            "Likeness of a reconstruction to unseen members of its class: 0 as an arbitrary input, 1 as the class mean."
        }
        Quantity::Fidelity => "Fraction of inputs on which an extracted model agrees with its victim.",
        Quantity::FidelityGain => "Fidelity beyond that of the same surrogate trained without the victim's answers.",
        Quantity::DetectionRate => "Fraction of injected faults that are caught.",
        Quantity::FalsePositiveRate => "Fraction of clean rows that are flagged.",
        Quantity::CalibrationError => "Mean gap between stated confidence and observed accuracy.",
        Quantity::ShiftAccuracy => "Accuracy on inputs that shifted naturally.",
        Quantity::WorstGroupAccuracy => "Accuracy on the group that fares worst.",
        Quantity::Coverage => "Fraction of inputs answered when abstaining to keep a stated risk.",
        Quantity::SelectiveRisk => "Fraction of errors among the inputs answered.",
        Quantity::ExpectedCost => "Mean cost of an answer under the policy's cost matrix.",
        Quantity::ForbiddenConfusion => "Fraction of answers that are confusions the policy forbids.",
        Quantity::OutOfScopeAbstention => "Fraction of out-of-scope inputs abstained on.",
    }
}

/// Which attempt a run was.
pub(super) fn attempt(attempt: Option<Attempt>) -> String {
    attempt.map_or_else(|| "attempts were not counted".into(), |attempt| attempt.to_string())
}

/// What is spent of privacy: by this run, and by all runs on the same rows where they are added up; none without a bound.
pub(super) fn privacy(record: &Record) -> Option<String> {
    let of = |one: &&Measurement| one.quantity == Quantity::Epsilon && one.system == System::Defended;
    let own = record.measurements.iter().find(of)?;
    let told =
        |name: &str| record.parameters.get(name).and_then(Value::number).map(|value| written(value, Rounding::Up));
    let delta = own.parameters.get("delta").map_or_else(String::new, |delta| format!(" at δ {}", value(delta)));
    let own = format!("ε {}{delta} for this run", written(own.interval.upper, Rounding::Up));
    Some(match [data_budget::ALL_EPSILON, data_budget::ALL_DELTA, data_budget::WHOLE_EPSILON].map(told) {
        [Some(epsilon), Some(delta), Some(whole)] => {
            format!("{own}; ε {epsilon} at δ {delta} for all runs on these rows, of ε {whole} that their budget allows")
        }
        _ => format!("{own}; other runs on these rows are not added up (no budget file was given)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use underpin_core::Confidence;

    #[test]
    fn numbers_keep_three_digits_and_words_stand_for_what_is_none() {
        for (value, text) in [
            (0.0, "0.000"),
            (-0.0, "0.000"),
            (0.84159, "0.842"),
            (-0.0004, "-4.00e-4"),
            (1e-5, "1.00e-5"),
            (12_345.6, "12346"),
            (3.2e8, "3.20e8"),
            (f64::NAN, "not a number"),
            (f64::INFINITY, "∞"),
            (f64::NEG_INFINITY, "-∞"),
        ] {
            assert_eq!(number(value), text);
        }
        assert!(number(f64::MIN_POSITIVE / 8.0).contains('e'));
    }

    #[test]
    fn intervals_round_outwards_and_only_where_they_must() {
        let confidence = Confidence::new(0.95).unwrap();
        let shown = |lower, upper| interval(&Interval { lower, upper, confidence });
        assert_eq!(shown(0.8996, 0.90041), "[0.899, 0.901]");
        assert_eq!(shown(0.57, 0.07), "[0.570, 0.070]");
        assert_eq!(shown(-0.0126, 0.000_123_4), "[-0.013, 1.24e-4]");
        assert_eq!(shown(f64::NEG_INFINITY, 2.3), "[-∞, 2.300]");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(1797), "1\u{202f}797");
        assert_eq!(count(12), "12");
        assert_eq!(count(123_456), "123\u{202f}456");
    }
}
