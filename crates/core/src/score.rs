//! Scores for reports: vulnerability (0 to 10) and resilience (0 to 1). Clearance does not use them; bars decide it.

use crate::{About, Error, Measurement, Point, System, Threat};

/// Vulnerability of one measurement, 0 (the adversary does no better than guessing) to 10 (gets all there is).
///
/// `10 · clamp((u − c) / (w − c), 0, 1)` with `u` the unfavourable end of the interval, `c` the value that guessing
/// gives and `w` the value of an adversary who gets all ([`crate::Quantity::worst`]). Not a number gives 10; so does an
/// attack that failed its controls, for then nothing is known. None when the quantity has no worst value, or nothing
/// to guess.
///
/// Source: advantage over guessing as in Yeom, Giacomelli, Fredrikson and Jha, CSF 2018, definition 4, carried over to
/// the other threats.
pub fn vulnerability(measurement: &Measurement) -> Option<f64> {
    let worst = measurement.quantity.worst()?;
    let chance = measurement.chance?;
    if !measurement.is_valid() {
        return Some(10.0);
    }
    let advantage = (measurement.unfavourable() - chance) / (worst - chance);
    Some(if advantage.is_nan() { 10.0 } else { 10.0 * advantage.clamp(0.0, 1.0) })
}

/// Vulnerability of `system`: the worst measurement of each threat, and of all. Never an average.
///
/// A threat that was not measured counts 10.
pub fn weakest_link(measurements: &[Measurement], system: System) -> (Vec<(Threat, f64)>, f64) {
    let worst = |threat: &Threat| {
        let scores = measurements
            .iter()
            .filter(|measurement| measurement.system == system && measurement.about == About::from(*threat))
            .filter_map(vulnerability);
        (*threat, scores.reduce(f64::max).unwrap_or(10.0))
    };
    let threats: Vec<_> = Threat::ALL.iter().map(worst).collect();
    let total = threats.iter().map(|(_, score)| *score).fold(0.0, f64::max);
    (threats, total)
}

/// Resilience, in `[0, 1]`: area under the curve of performance against attack budget, divided by the area of a system
/// that answers perfectly under every budget.
///
/// `(1 / b_max) ∫₀^{b_max} p(b) db` by the trapezoidal rule over `curve = (b, p)`; performance in `[0, 1]`. It is not
/// divided by the performance without an attack: a useless model would look resilient.
///
/// # Errors
///
/// [`Error::OutOfRange`] with fewer than two points, budgets that do not start at 0 and increase, or performance
/// outside `[0, 1]` (NaN included).
pub fn resilience(curve: &[Point]) -> Result<f64, Error> {
    let refuse = |name, value, range| Err(Error::out_of_range(name, value, range));
    let (Some(first), Some(last), true) = (curve.first(), curve.last(), curve.len() >= 2) else {
        return refuse("points of the curve", curve.len() as f64, "[2, inf)");
    };
    if first.0 != 0.0 {
        return refuse("first budget", first.0, "[0, 0]");
    }
    if let Some(pair) = curve.windows(2).find(|pair| !(pair[1].0 > pair[0].0 && pair[1].0.is_finite())) {
        return refuse("budget", pair[1].0, "increasing and finite");
    }
    if let Some(point) = curve.iter().find(|point| !(0.0..=1.0).contains(&point.1)) {
        return refuse("performance", point.1, "[0, 1]");
    }
    let area: f64 = curve.windows(2).map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1, pair[1].1)).sum();
    Ok(area / last.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Confidence, Control, Interval, Phase, Quantity};

    fn measurement(quantity: Quantity, bound: f64, chance: f64) -> Measurement {
        Measurement {
            about: About::MembershipInference,
            quantity,
            system: System::Defended,
            access: Some(Access::BlackBox),
            phase: Phase::Deployment,
            attack: "lira".into(),
            value: bound,
            interval: Interval { lower: bound, upper: bound, confidence: Confidence::new(0.95).unwrap() },
            n: 10,
            chance: Some(chance),
            constant: None,
            queries: None,
            radius: None,
            norm: None,
            parameters: [].into(),
            controls: vec![Control { target: "weak".into(), value: 1.0, at_least: Some(0.5), at_most: None }],
            weakened: vec![],
        }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn guessing_is_0_and_all_is_10() {
        let score = |bound| vulnerability(&measurement(Quantity::MembershipAuc, bound, 0.5)).unwrap();
        assert!(close(score(0.5), 0.0) && close(score(1.0), 10.0) && close(score(0.75), 5.0) && close(score(0.3), 0.0));
        assert!(close(score(f64::NAN), 10.0));
        let robust = vulnerability(&measurement(Quantity::RobustAccuracy, 0.25, 0.5)).unwrap();
        assert!(close(robust, 5.0));
        assert_eq!(vulnerability(&measurement(Quantity::Epsilon, 1.0, 0.0)), None);
    }

    #[test]
    fn what_is_not_known_counts_as_the_worst() {
        let mut unchecked = measurement(Quantity::MembershipAuc, 0.5, 0.5);
        unchecked.controls.clear();
        assert!(close(vulnerability(&unchecked).unwrap(), 10.0));
        let (threats, total) = weakest_link(&[measurement(Quantity::MembershipAuc, 0.75, 0.5)], System::Defended);
        assert!(close(total, 10.0));
        let membership = threats.iter().find(|(threat, _)| *threat == Threat::MembershipInference).unwrap();
        assert!(close(membership.1, 5.0));
    }

    #[test]
    fn resilience_is_the_normalised_area() {
        assert!(close(resilience(&[Point(0.0, 1.0), Point(2.0, 0.0)]).unwrap(), 0.5));
        assert!(close(resilience(&[Point(0.0, 0.8), Point(0.1, 0.8)]).unwrap(), 0.8));
        for bad in [
            vec![],
            vec![Point(0.0, 1.0)],
            vec![Point(0.1, 1.0), Point(0.2, 1.0)],
            vec![Point(0.0, 1.0), Point(0.0, 1.0)],
            vec![Point(0.0, f64::NAN), Point(1.0, 1.0)],
            vec![Point(0.0, 1.1), Point(1.0, 1.0)],
            vec![Point(0.0, 1.0), Point(f64::INFINITY, 1.0)],
        ] {
            assert!(resilience(&bad).is_err(), "{bad:?}");
        }
    }
}
