//! Our samplers and maps against OpenDP's (run with `--features statistics`).
//!
//! OpenDP draws from a generator that cannot be seeded: these tests differ from run to run. Each check of a law has a
//! false-alarm rate below `exp(-21)` = 8e-10 (Laurent and Massart 2000, Lemma 1), some forty checks in all.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use std::collections::BTreeMap;

use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::{
    make_gaussian, make_laplace, make_laplace_threshold, make_noisy_max, make_randomized_response,
};
use opendp::measures::{Approximate, MaxDivergence, ZeroConcentratedDivergence};
use opendp::metrics::{AbsoluteDistance, LInfDistance, SymmetricDistance};
use opendp::transformations::make_count_by;
use underpin_core::{Delta, Epsilon};
use underpin_privacy::statistics::{Column, Statistics};
use underpin_privacy::{
    Budget, BudgetTerms, Cost, DiscreteGaussian, DiscreteLaplace, ExponentialMechanism, NoisyMax, RandomizedResponse,
    ScoreChange, SecretKey, SecretStream,
};

fn stream() -> SecretStream {
    SecretKey::new([21; 32]).stream("oracle", &[])
}

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

/// Chi-square of two samples of equal size; cells of fewer than twenty draws are one with the next.
fn assert_same_law(name: &str, draws: usize, mut one: impl FnMut() -> i64, mut other: impl FnMut() -> i64) {
    let mut counts: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for _ in 0..draws {
        counts.entry(one()).or_default().0 += 1.0;
        counts.entry(other()).or_default().1 += 1.0;
    }
    let (mut sum, mut cells, mut held) = (0.0, 0.0f64, (0.0, 0.0));
    for (a, b) in counts.into_values() {
        held = (held.0 + a, held.1 + b);
        if held.0 + held.1 >= 20.0 {
            sum += (held.0 - held.1) * (held.0 - held.1) / (held.0 + held.1);
            cells += 1.0;
            held = (0.0, 0.0);
        }
    }
    let freedom = (cells - 1.0).max(1.0);
    assert!(sum < freedom + 2.0 * (freedom * 21.0).sqrt() + 42.0, "{name}: {sum} at {freedom} degrees of freedom");
}

fn opendps_laplace(scale: f64) -> impl FnMut() -> i64 {
    let (domain, metric) = (AtomDomain::<i64>::default(), AbsoluteDistance::<i64>::default());
    let measurement = make_laplace::<_, _, MaxDivergence>(domain, metric, scale, None).unwrap();
    move || measurement.invoke(&0).unwrap()
}

#[test]
fn noise_has_opendps_law() {
    let mut stream = stream();
    for scale in [0.25, 1.0, 3.5, 40.0, 1000.0] {
        let ours = DiscreteLaplace::new(scale).unwrap();
        // Both wide ones: cells as wide as a 20th of the scale.
        let cell = (scale / 20.0).ceil() as i64;
        let mut theirs = opendps_laplace(scale);
        let ours = || ours.sample(&mut stream).div_euclid(cell);
        assert_same_law(&format!("Laplace {scale}"), 40_000, ours, || theirs().div_euclid(cell));
    }
    for sigma in [0.5, 1.0, 7.25, 100.0, 1_048_576.0] {
        let ours = DiscreteGaussian::new(sigma).unwrap();
        let (domain, metric) = (AtomDomain::<i64>::default(), AbsoluteDistance::<i64>::default());
        let theirs = make_gaussian::<_, _, ZeroConcentratedDivergence>(domain, metric, ours.sigma(), None).unwrap();
        let cell = (sigma / 20.0).ceil() as i64;
        let ours = || ours.sample(&mut stream).div_euclid(cell);
        let theirs = || theirs.invoke(&0).unwrap().div_euclid(cell);
        assert_same_law(&format!("Gaussian {sigma}"), 40_000, ours, theirs);
    }
    // And it is a test: a scale a twentieth wider is distinguished.
    let wider = DiscreteLaplace::new(10.5).unwrap();
    let mut theirs = opendps_laplace(10.0);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert_same_law("wider", 400_000, || wider.sample(&mut stream), &mut theirs);
    }));
    assert!(caught.is_err());
}

#[test]
fn noise_costs_what_opendp_says() {
    for scale in [0.25, 1.0, 3.7, 1e6] {
        let ours = DiscreteLaplace::new(scale).unwrap();
        let (domain, metric) = (AtomDomain::<i64>::default(), AbsoluteDistance::<i64>::default());
        let theirs = make_laplace::<_, _, MaxDivergence>(domain, metric, ours.scale(), None).unwrap();
        for sensitivity in [1i64, 2, 1000] {
            let (ours, theirs) = (ours.epsilon(sensitivity as u64), theirs.map(&sensitivity).unwrap());
            assert!((ours / theirs - 1.0).abs() < 1e-14, "{scale} {sensitivity}: {ours} {theirs}");
        }
    }
    for sigma in [0.5, 1.0, 7.3, 1e6] {
        let ours = DiscreteGaussian::new(sigma).unwrap();
        let (domain, metric) = (AtomDomain::<i64>::default(), AbsoluteDistance::<i64>::default());
        let theirs = make_gaussian::<_, _, ZeroConcentratedDivergence>(domain, metric, ours.sigma(), None).unwrap();
        let (ours, theirs) = (ours.rho(3.0), theirs.map(&3).unwrap());
        assert!((ours / theirs - 1.0).abs() < 1e-14, "{sigma}: {ours} {theirs}");
    }
}

#[test]
fn selections_have_opendps_law_and_cost() {
    let mut stream = stream();
    let scores = vec![3i64, 9, 8, 0, 9, 7];
    let domain = || VectorDomain::new(AtomDomain::<i64>::default());
    for (change, monotonic, sensitivity) in [(ScoreChange::Each(2), false, 2i64), (ScoreChange::Range(3), true, 3)] {
        let asked = epsilon(1.25);
        let scale = (if monotonic { 1.0 } else { 2.0 }) * sensitivity as f64 / asked.value();
        let metric = LInfDistance::new(monotonic);

        let ours = NoisyMax::new(change, asked).unwrap();
        let theirs = make_noisy_max(domain(), metric.clone(), MaxDivergence, scale, false).unwrap();
        let Cost::Pure(spent) = ours.cost() else { unreachable!("pure by construction") };
        assert!((spent.value() / theirs.map(&sensitivity).unwrap() - 1.0).abs() < 1e-5);
        let select = || ours.select(&scores, &mut stream).unwrap() as i64;
        assert_same_law("noisy max", 40_000, select, || theirs.invoke(&scores).unwrap() as i64);

        let ours = ExponentialMechanism::new(change, asked).unwrap();
        let theirs = make_noisy_max(domain(), metric, ZeroConcentratedDivergence, scale, false).unwrap();
        let Cost::Concentrated(rho) = ours.cost() else { unreachable!("concentrated by construction") };
        assert!((rho / theirs.map(&sensitivity).unwrap() - 1.0).abs() < 1e-5);
        let select = || ours.select(&scores, &mut stream).unwrap() as i64;
        assert_same_law("exponential", 40_000, select, || theirs.invoke(&scores).unwrap() as i64);
    }
}

#[test]
fn responses_have_opendps_law_and_cost() {
    let mut stream = stream();
    for (categories, asked) in [(2, 0.5), (10, 2.0)] {
        let ours = RandomizedResponse::new(categories, epsilon(asked)).unwrap();
        let theirs = make_randomized_response((0..categories).collect(), ours.truth_probability()).unwrap();
        assert!((ours.epsilon() / theirs.map(&1).unwrap() - 1.0).abs() < 1e-12);
        let respond = || ours.respond(1, &mut stream).unwrap() as i64;
        assert_same_law("response", 40_000, respond, || theirs.invoke(&1).unwrap() as i64);
    }
}

/// OpenDP 0.16 publishes a key when its noisy count reaches the threshold `T`, and states `exp(-(T-1)/b) / 2`, the tail of
/// the continuous Laplace distribution, as the probability that a single row's key does. The discrete law's is
/// `exp(-(T-1)/b) / (1 + exp(-1/b))`, up to twice as large. What `Statistics::frequent` states is the latter.
#[test]
fn opendp_understates_its_delta() {
    for (scale, threshold) in [(0.3, 2i64), (1.0, 4)] {
        let count_by = make_count_by::<bool, i64>(VectorDomain::default(), SymmetricDistance).unwrap();
        let (domain, metric) = (count_by.output_domain.clone(), count_by.output_metric.clone());
        let noise =
            make_laplace_threshold::<_, _, Approximate<MaxDivergence>>(domain, metric, scale, threshold, None).unwrap();
        let measurement = (count_by >> noise).unwrap();
        let (_, stated) = measurement.map(&1).unwrap();
        let truth = (-(threshold as f64 - 1.0) / scale).exp() / (1.0 + (-1.0 / scale).exp());
        assert!(stated < truth * 0.75, "stated {stated}, true {truth}");
        // Seen as well: within 6 standard deviations of the truth, and beyond 6 of what is stated.
        let draws = 60_000;
        let passed = (0..draws).filter(|_| !measurement.invoke(&vec![true]).unwrap().is_empty()).count() as f64;
        let deviation = (truth * f64::from(draws)).sqrt();
        assert!((passed - truth * f64::from(draws)).abs() < 6.0 * deviation, "{passed}");
        assert!(passed > stated * f64::from(draws) + 6.0 * deviation, "{passed}");

        let budget = budget();
        let mut statistics = Statistics::new(&budget, SecretKey::new([1; 32]));
        let column = Column::new(vec![true]).unwrap();
        let release = statistics.frequent(&column, epsilon(1.0 / scale), Delta::new(truth * 1.01).unwrap()).unwrap();
        let Cost::Approximate { delta, .. } = release.cost else { unreachable!("approximate by construction") };
        assert!((delta.value() / truth - 1.0).abs() < 1e-4, "{delta} {truth}");
    }
}

fn budget() -> Budget {
    let (delta, set_aside) = (Delta::new(0.5).unwrap(), Some(Delta::new(0.4).unwrap()));
    Budget::in_memory(&BudgetTerms { set_aside, ..BudgetTerms::new(epsilon(900.0), delta) }).unwrap()
}

/// The key that one row alone brings about is published as often as stated: within 6 standard deviations.
#[test]
fn rare_keys_pass_as_often_as_stated() {
    let (mut passed, mut stated, draws) = (0, 0.0, 30_000u32);
    let column = Column::new(vec![true]).unwrap();
    let key = SecretKey::new([2; 32]);
    for at in 0..draws / 3 {
        let budget = budget();
        let mut statistics = Statistics::new(&budget, key.derive("run", &[&at.to_le_bytes()]));
        for _ in 0..3 {
            let release = statistics.frequent(&column, epsilon(1.0), Delta::new(0.1).unwrap()).unwrap();
            let Cost::Approximate { delta, .. } = release.cost else { unreachable!("approximate by construction") };
            stated = delta.value();
            passed += u32::from(!release.value.is_empty());
        }
    }
    let expected = stated * f64::from(draws);
    assert!((f64::from(passed) - expected).abs() < 6.0 * expected.sqrt(), "{passed} {expected}");
}
