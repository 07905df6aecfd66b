//! Bounds against published accountants: see `vectors/README.md`.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the files hold small whole numbers")]

use underpin_core::{Delta, Epsilon};
use underpin_privacy::SubsampledGaussian;

fn rows() -> impl Iterator<Item = [Option<f64>; 10]> {
    let reader = csv::Reader::from_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/subsampled_gaussian.csv"));
    reader.unwrap().into_records().map(|row| {
        let row = row.unwrap();
        std::array::from_fn(|column| row[column].parse().ok())
    })
}

#[test]
fn bounds_enclose_the_peers() {
    let mut count = 0;
    for [q, sigma, steps, delta, rdp, pld_upper, pld_lower, prv_lower, _, prv_upper] in rows() {
        let mechanism = SubsampledGaussian::new(q.unwrap(), sigma.unwrap(), 1.0).unwrap();
        let steps = steps.unwrap() as u64;
        let delta = Delta::new(delta.unwrap()).unwrap();
        let (ours, finer) =
            (mechanism.epsilon(steps, delta).unwrap(), mechanism.epsilon_within(steps, delta, 1e-3).unwrap());
        let case = format!("{mechanism:?} {steps}: {ours:?} {finer:?}");
        for (found, gap) in [(ours, 0.01), (finer, 0.001)] {
            assert!(found.lower <= pld_upper.unwrap() && found.upper >= pld_lower.unwrap_or(0.0), "{case}");
            assert!(found.upper >= prv_lower.unwrap_or(0.0), "{case}");
            assert!(found.lower <= prv_upper.unwrap_or(f64::INFINITY), "{case}");
            assert!(found.lower <= found.upper && found.upper - found.lower <= gap * found.upper, "{case}");
        }
        assert!(finer.lower <= ours.upper && ours.lower <= finer.upper, "{case}");
        let renyi = mechanism.renyi_epsilon(steps, delta).unwrap();
        assert!((ours.lower..=rdp.unwrap() * 1.001).contains(&renyi), "{case} {renyi} {rdp:?}");
        count += 1;
    }
    assert_eq!(count, 46);
}

#[test]
fn calibration_never_overshoots() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/calibration.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let number = |name: &str| case[name].as_f64().unwrap();
        let (target, delta) = (Epsilon::new(number("target_eps")).unwrap(), Delta::new(number("delta")).unwrap());
        let steps = case["steps"].as_u64().unwrap();
        let found = SubsampledGaussian::calibrated(target, delta, number("q"), steps, 1.0).unwrap();
        assert!(found.epsilon(steps, delta).unwrap().upper <= target.value(), "{found:?}");
        // Within 1 % of the tightest peer, and never below it by more than that peer's own looseness.
        let ratio = found.noise_multiplier() / number("sigma_pld");
        assert!((0.99..1.01).contains(&ratio), "{found:?} {case}");
    }
}

/// The other two parameters: what is found is within the target, and a little more is not.
#[test]
fn steps_and_rates_are_calibrated() {
    let (target, delta) = (Epsilon::new(2.0).unwrap(), Delta::new(1e-5).unwrap());
    let mechanism = SubsampledGaussian::new(0.01, 1.1, 1.0).unwrap();
    let upper = |mechanism: &SubsampledGaussian, steps| mechanism.epsilon(steps, delta).unwrap().upper;
    let steps = mechanism.most_steps(target, delta).unwrap();
    assert!(upper(&mechanism, steps) <= 2.0 && upper(&mechanism, steps + steps / 1_000 + 1) > 2.0, "{steps}");
    let found = SubsampledGaussian::calibrated_rate(target, delta, 1.1, steps, 1.0).unwrap();
    assert!(upper(&found, steps) <= 2.0 && (found.sampling_rate() / 0.01 - 1.0).abs() < 1e-3, "{found:?}");
    let loud = SubsampledGaussian::new(1.0, 0.1, 1.0).unwrap();
    assert!(matches!(loud.most_steps(target, delta), Err(underpin_privacy::Error::Unreachable { .. })));
}
