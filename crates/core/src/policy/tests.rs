use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    About, Access, Confidence, Control, Digest, Evidence, Interval, Measurement, Norm, Phase, Quantity, Radius, Record,
    Seed, System,
};

const DIGEST: Digest = Digest::new([1; 32]);

fn bar(about: &str, quantity: &str, limit: &str) -> String {
    format!(
        "[[bar]]\nabout = \"{about}\"\nquantity = \"{quantity}\"\n{limit}\nconfidence = 0.95\nmin_samples = 100\nreason = \"test\"\n"
    )
}

fn text(bars: &[String]) -> String {
    format!("name = \"test\"\nvalid_days = 30\nmax_rejected = 0.2\n{}", bars.concat())
}

fn complete() -> Vec<String> {
    vec![
        bar("poisoning", "attack_success_rate", "at_most = 0.1"),
        bar("evasion", "robust_accuracy", "at_least = 0.5"),
        bar("inversion", "inversion_score", "at_most = 1.0"),
        bar("extraction", "fidelity_gain", "at_most = 0.1"),
        bar("membership_inference", "membership_advantage", "at_most = 0.1"),
        bar("utility", "clean_accuracy", "at_least = 0.8"),
        bar("utility", "accuracy_loss", "at_most = 0.1"),
    ]
}

fn policy() -> Policy {
    toml::from_str(&text(&complete())).unwrap()
}

fn measurement(value: f64, lower: f64, upper: f64) -> Measurement {
    Measurement {
        about: About::Evasion,
        quantity: Quantity::RobustAccuracy,
        system: System::Defended,
        access: Some(Access::WhiteBox),
        phase: Phase::Deployment,
        attack: "pgd".into(),
        value,
        interval: Interval { lower, upper, confidence: Confidence::new(0.95).unwrap() },
        n: 200,
        chance: None,
        queries: None,
        radius: None,
        norm: None,
        parameters: BTreeMap::new(),
        controls: vec![Control { target: "weak".into(), value: 1.0, at_least: Some(0.9), at_most: None }],
    }
}

fn evidence(measurements: Vec<Measurement>) -> Evidence {
    Evidence {
        subjects: vec![],
        policy: DIGEST,
        seed: Seed(0),
        revision: String::new(),
        versions: BTreeMap::new(),
        measured_at: 0,
        record: Record { measurements, ..Record::default() },
    }
}

fn verdict(measurements: Vec<Measurement>) -> Option<Unmet> {
    policy().judge(DIGEST, &evidence(measurements))[1].unmet.clone()
}

#[test]
fn absent_evidence_meets_no_bar() {
    let verdicts = policy().judge(DIGEST, &evidence(vec![]));
    assert_eq!(verdicts.len(), 7);
    assert!(verdicts.iter().all(|verdict| verdict.unmet == Some(Unmet::Absent)));
    let undefended = Measurement { system: System::Undefended, ..measurement(0.7, 0.6, 0.8) };
    assert_eq!(verdict(vec![undefended]), Some(Unmet::Absent));
}

#[test]
fn nan_and_infinity_meet_no_bar() {
    for (value, lower) in [(f64::NAN, 0.6), (0.7, f64::NAN), (0.7, f64::NEG_INFINITY), (0.7, f64::INFINITY)] {
        assert_eq!(verdict(vec![measurement(value, lower, 0.8)]), Some(Unmet::NotFinite));
    }
}

#[test]
fn evidence_under_another_policy_meets_no_bar() {
    let verdicts = policy().judge(Digest::new([2; 32]), &evidence(vec![measurement(0.7, 0.6, 0.8)]));
    assert!(verdicts.iter().all(|verdict| verdict.unmet == Some(Unmet::OtherPolicy)));
}

#[test]
fn the_unfavourable_end_decides() {
    assert_eq!(verdict(vec![measurement(0.6, 0.5, 0.7)]), None);
    assert_eq!(verdict(vec![measurement(0.6, 0.499, 0.7)]), Some(Unmet::Limit));
    // An interval that does not hold its own value helps nobody.
    assert_eq!(verdict(vec![measurement(0.4, 0.6, 0.7)]), Some(Unmet::Limit));
}

#[test]
fn small_samples_low_confidence_and_failed_controls_meet_no_bar() {
    let good = measurement(0.7, 0.6, 0.8);
    assert_eq!(verdict(vec![Measurement { n: 99, ..good.clone() }]), Some(Unmet::TooFewSamples));
    let confidence = Confidence::new(0.9).unwrap();
    let interval = Interval { confidence, ..good.interval };
    assert_eq!(verdict(vec![Measurement { interval, ..good.clone() }]), Some(Unmet::Confidence));
    assert_eq!(verdict(vec![Measurement { controls: vec![], ..good.clone() }]), Some(Unmet::InvalidAttack));
    let mut failed = good;
    failed.controls[0].value = 0.1;
    assert_eq!(verdict(vec![failed]), Some(Unmet::InvalidAttack));
}

#[test]
fn a_smaller_perturbation_than_the_bar_names_does_not_count() {
    let mut bars = complete();
    bars[1] = bar("evasion", "robust_accuracy", "at_least = 0.5\nradius = 0.1\nnorm = \"linf\"");
    let policy: Policy = toml::from_str(&text(&bars)).unwrap();
    let at = |radius, norm| {
        let radius = Some(Radius::new(radius).unwrap());
        let measured = Measurement { radius, norm: Some(norm), ..measurement(0.7, 0.6, 0.8) };
        policy.judge(DIGEST, &evidence(vec![measured]))[1].unmet.clone()
    };
    assert_eq!(at(0.1, Norm::Linf), None);
    assert_eq!(at(0.2, Norm::Linf), None);
    assert_eq!(at(0.09, Norm::Linf), Some(Unmet::Absent));
    assert_eq!(at(0.1, Norm::L2), Some(Unmet::Absent));
}

#[test]
fn an_incomplete_policy_is_refused_with_what_is_missing() {
    let error = toml::from_str::<Policy>(&text(&complete()[1..6])).unwrap_err().to_string();
    assert!(error.contains("poisoning, utility accuracy_loss"), "{error}");
}

#[test]
fn bars_that_cannot_be_judged_are_refused() {
    let bad = [
        ("at_least = nan", "not a finite number"),
        ("at_least = inf", "not a finite number"),
        ("at_most = 0.5", "wrong side"),
        ("", "either `at_least` or `at_most`"),
        ("at_least = 0.5\nat_most = 0.6", "either `at_least` or `at_most`"),
        ("at_least = 0.5\nradius = 0.1", "together"),
        ("at_least = 0.5\nradius = -0.1\nnorm = \"l2\"", "outside"),
        ("at_least = 0.5\nsurprise = 1", "unknown field `surprise`"),
    ];
    for (limit, fault) in bad {
        let mut bars = complete();
        bars[1] = bar("evasion", "robust_accuracy", limit);
        let error = toml::from_str::<Policy>(&text(&bars)).unwrap_err().to_string();
        assert!(error.contains(fault), "{limit}: {error}");
    }
}

#[test]
fn a_policy_survives_the_round_trip() {
    let policy = policy();
    let again: Policy = toml::from_str(&toml::to_string(&policy).unwrap()).unwrap();
    assert_eq!(policy, again);
}

proptest! {
    #[test]
    fn more_evidence_never_helps_a_failing_bar(
        numbers in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..6),
        more in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let make = |(value, width): &(f64, f64)| measurement(*value, value - width / 2.0, value + width / 2.0);
        let mut measurements: Vec<_> = numbers.iter().map(make).collect();
        let before = verdict(measurements.clone());
        measurements.push(make(&more));
        let after = verdict(measurements);
        prop_assert!(before.is_none() || after.is_some());
    }

    #[test]
    fn evidence_survives_the_round_trip(value in any::<f64>(), lower in any::<f64>(), upper in any::<f64>()) {
        let evidence = evidence(vec![measurement(value, lower, upper)]);
        let json = serde_json::to_string(&evidence).unwrap();
        let again: Evidence = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), json);
    }
}
