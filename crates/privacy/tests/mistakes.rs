//! The nine mistakes of `underpin_privacy::mistakes`, each tried, and parameters that must not construct.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::float_cmp, reason = "what must be the same is the same bit for bit")]

use underpin_core::{Delta, Epsilon};
use underpin_privacy::{
    Adjacency, Budget, Cost, DiscreteGaussian, DiscreteLaplace, Error, Event, ExponentialMechanism, NoisyMax,
    PrivateSteps, RandomizedResponse, ScoreChange, SecretKey, SubsampledGaussian,
};

fn run(rate: f64, rows: usize, key: u8) -> PrivateSteps {
    SubsampledGaussian::new(rate, 1.0, 1.0).unwrap().start(rows, 1000, SecretKey::new([key; 32])).unwrap()
}

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

/// The same key gives the same noise: what a sum adds to the release is the sum over the expected batch size, whatever
/// the size drawn.
#[test]
fn divide_by_batch() {
    let (mut with, mut without) = (run(0.25, 8, 1), run(0.25, 8, 1));
    let mut sizes = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let (batch, same) = (with.draw().unwrap(), without.draw().unwrap());
        let size = batch.indices().len();
        sizes.insert(size);
        let (mut sum, mut zero) = ([if size > 0 { 0.75f32 } else { 0.0 }], [0.0f32]);
        let exact = f64::from(sum[0]) / with.expected_batch_size();
        with.release(batch, &mut sum).unwrap();
        without.release(same, &mut zero).unwrap();
        assert!((f64::from(sum[0] - zero[0]) - exact).abs() < 1e-6, "{size} rows");
    }
    assert!(sizes.len() > 3 && sizes.contains(&0), "{sizes:?}");
    assert_eq!(with.expected_batch_size(), 2.0);
}

#[test]
fn sensitivity() {
    let mut too_long = run(1.0, 3, 1);
    let batch = too_long.draw().unwrap();
    assert!(matches!(too_long.release(batch, &mut [3.1]), Err(Error::NotClipped { rows: 3, .. })));
    // Vectors a thousand times too long move the release by no more than clipped ones do.
    let released = |length: f32| {
        let mut run = run(1.0, 3, 2);
        let batch = run.draw().unwrap();
        run.average(batch, 2, |_| [length, 0.0]).unwrap()
    };
    let moved = released(1000.0)[0] - released(0.0)[0];
    assert!((moved - 1.0).abs() < 1e-6, "{moved}");
    // The noise is that of the norm: ten times the norm, ten times the noise.
    let noise = |clipping_norm: f64| {
        let mechanism = SubsampledGaussian::new(1.0, 1.0, clipping_norm).unwrap();
        let mut run = mechanism.start(3, 1, SecretKey::new([3; 32])).unwrap();
        let batch = run.draw().unwrap();
        f64::from(run.average(batch, 1, |_| [0.0]).unwrap()[0])
    };
    assert!((noise(10.0) / noise(1.0) - 10.0).abs() < 1e-5);
}

/// The run spends what so many steps of its mechanism cost, and a little for the millionth of δ set aside.
fn assert_spent(run: &PrivateSteps, steps: u64, delta: Delta) {
    let (found, expected) = (run.epsilon(delta).unwrap().upper, run.mechanism().epsilon(steps, delta).unwrap().upper);
    assert!(found >= expected && found <= expected * (1.0 + 1e-5), "{found} {expected}");
}

/// The accountant charges the rate at which rows are drawn; a batch of another run is refused.
#[test]
fn sampler_mismatch() {
    let (steps, rows, delta) = (400, 1000, Delta::new(1e-5).unwrap());
    let mut spent = Vec::new();
    for rate in [0.01, 0.1] {
        let mut run = run(rate, rows, 4);
        let drawn: usize = (0..steps).map(|_| run.draw().unwrap().indices().len()).sum();
        let expected = rate * f64::from(steps) * 1000.0;
        // Six standard deviations: false alarms below 2e-9.
        assert!((drawn as f64 - expected).abs() < 6.0 * (expected * (1.0 - rate)).sqrt(), "{drawn}");
        assert_spent(&run, 400, delta);
        spent.push(run.epsilon(delta).unwrap().upper);
    }
    assert!(spent[1] > 3.0 * spent[0], "{spent:?}");
    let (mut one, mut other) = (run(0.1, rows, 5), run(0.01, rows, 6));
    let batch = one.draw().unwrap();
    assert_eq!(other.average(batch, 1, |_| [0.0]), Err(Error::ForeignBatch));
}

/// What a release and a run reveal of the number of rows, they reveal under the relation that makes it public.
#[test]
fn private_metadata() {
    let run = run(0.25, 8, 1);
    assert_eq!(run.expected_batch_size(), 2.0);
    assert_eq!(run.adjacency(), Adjacency::ZeroOut);
    assert!(!format!("{run:?}").contains("SecretKey([") && format!("{run:?}").contains("SecretKey(..)"));
}

/// One value states the relation, and what is spent follows from it.
#[test]
fn neighbouring_relation() {
    let mechanism = SubsampledGaussian::new(0.25, 1.0, 1.0).unwrap();
    assert_eq!(mechanism.adjacency(), Adjacency::AddOrRemove);
    let run = mechanism.start(8, 1, SecretKey::new([1; 32])).unwrap();
    assert_eq!(run.adjacency(), Adjacency::ZeroOut);
    // A vote that is changed moves two counts: the same scores and ε, twice the noise.
    let wide = |change| ExponentialMechanism::new(change, epsilon(1.0)).unwrap();
    let mut stream = SecretKey::new([7; 32]).stream("votes", &[]);
    let mut wrong =
        |change| (0..20_000).filter(|_| wide(change).select(&[4, 0], &mut stream).unwrap() == 1).count() as f64;
    let (one_way, either) = (wrong(ScoreChange::Range(1)), wrong(ScoreChange::Each(1)));
    // 1 / (1 + e^4) and 1 / (1 + e^2) of 20,000: 360 and 2,384; six standard deviations are 114 and 281.
    assert!((one_way - 359.7).abs() < 114.0 && (either - 2384.1).abs() < 281.0, "{one_way} {either}");
}

#[test]
fn empty_or_nan_batch() {
    let mut run = run(1e-9, 10, 1);
    let batch = run.draw().unwrap();
    assert!(batch.indices().is_empty());
    let average = run.average(batch, 16, |_| vec![0.0; 16]).unwrap();
    assert!(average.iter().all(|value| value.is_finite() && *value != 0.0), "noise as always: {average:?}");
    assert_eq!(run.steps(), 1);

    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut run = self::run(1.0, 2, 1);
        let (one, other) = (run.draw().unwrap(), run.draw().unwrap());
        assert!(matches!(run.release(one, &mut [0.0, bad]), Err(Error::NotFinite { position: 1, .. })));
        assert!(matches!(run.average(other, 1, |_| [bad]), Err(Error::NotFinite { position: 0, .. })));
        assert_eq!(run.steps(), 2, "a refused step stays spent");
    }
}

/// Two batches are two steps with noise of their own, and cost as much.
#[test]
fn accumulation() {
    let mut run = run(0.5, 8, 1);
    let delta = Delta::new(1e-5).unwrap();
    let (one, other) = (run.draw().unwrap(), run.draw().unwrap());
    assert_spent(&run, 2, delta);
    let released: Vec<_> = [one, other].map(|batch| run.average(batch, 4, |_| [0.0; 4]).unwrap()).into();
    assert!(released[0].iter().zip(&released[1]).all(|(a, b)| a != b), "{released:?}");
}

/// A row's part in the release does not depend on the others: it is the same in every batch it is drawn into.
#[test]
fn cross_example() {
    let (mut with, mut without) = (run(0.5, 4, 3), run(0.5, 4, 3));
    let vectors = [[0.9f32, 0.0], [0.0, 0.8], [0.3, 0.3], [7.0, 7.0]];
    let mut drawn = 0;
    for _ in 0..40 {
        let (batch, same) = (with.draw().unwrap(), without.draw().unwrap());
        let contains = batch.indices().contains(&2);
        drawn += usize::from(contains);
        let all = with.average(batch, 2, |row| vectors[row]).unwrap();
        let rest = without.average(same, 2, |row| if row == 2 { [0.0; 2] } else { vectors[row] }).unwrap();
        let part = if contains { 0.3 / with.expected_batch_size() } else { 0.0 };
        for (all, rest) in all.iter().zip(rest) {
            assert!((f64::from(all - rest) - part).abs() < 1e-6, "{all} {rest} {part}");
        }
    }
    assert!(drawn > 5 && drawn < 35);
}

#[test]
fn auxiliary_output() {
    let mut run = run(1.0, 5, 1);
    let batch = run.draw().unwrap();
    assert_eq!(format!("{batch:?}"), "Batch { step: 1, .. }");
    // A refusal leaves the sum as it was, and what it says of the rows it says to the caller, not to the released side.
    let mut sum = [9.0f32];
    assert!(run.release(batch, &mut sum).is_err());
    assert_eq!(sum, [9.0]);
}

/// NaN, infinite and negative parameters: of every constructor that takes a number.
#[test]
fn bad_parameters_do_not_construct() {
    let delta = Delta::new(1e-5).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
        let refused = [
            ("Epsilon", Epsilon::new(bad).is_err()),
            ("Delta", Delta::new(bad).is_err()),
            ("sampling_rate", SubsampledGaussian::new(bad, 1.0, 1.0).is_err()),
            ("noise_multiplier", SubsampledGaussian::new(0.5, bad, 1.0).is_err()),
            ("clipping_norm", SubsampledGaussian::new(0.5, 1.0, bad).is_err()),
            ("calibrated rate", SubsampledGaussian::calibrated(epsilon(1.0), delta, bad, 10, 1.0).is_err()),
            ("calibrated norm", SubsampledGaussian::calibrated(epsilon(1.0), delta, 0.1, 10, bad).is_err()),
            ("calibrated_rate noise", SubsampledGaussian::calibrated_rate(epsilon(1.0), delta, bad, 10, 1.0).is_err()),
            ("calibrated_rate norm", SubsampledGaussian::calibrated_rate(epsilon(1.0), delta, 1.0, 10, bad).is_err()),
            ("DiscreteLaplace", DiscreteLaplace::new(bad).is_err()),
            ("DiscreteGaussian", DiscreteGaussian::new(bad).is_err()),
            (
                "Event::Gaussian",
                Event::Gaussian { noise_multiplier: bad }.epsilon(delta, Adjacency::AddOrRemove).is_err(),
            ),
            ("Event::Laplace", Event::Laplace { scale: bad }.epsilon(delta, Adjacency::AddOrRemove).is_err()),
            (
                "Event::DiscreteGaussian",
                Event::DiscreteGaussian { sigma: bad }.epsilon(delta, Adjacency::AddOrRemove).is_err(),
            ),
            ("Event::delta", Event::Gaussian { noise_multiplier: 1.0 }.delta(bad, Adjacency::AddOrRemove).is_err()),
            ("Cost::Concentrated", budget().reserve(Cost::Concentrated(bad)).is_err()),
        ];
        for (name, refused) in refused {
            assert!(refused, "{name} takes {bad}");
        }
    }
    for nothing in [ScoreChange::Range(0), ScoreChange::Each(0), ScoreChange::Each(u64::MAX)] {
        assert!(NoisyMax::new(nothing, epsilon(1.0)).is_err(), "{nothing:?}");
        assert!(ExponentialMechanism::new(nothing, epsilon(1.0)).is_err(), "{nothing:?}");
        let (ScoreChange::Range(sensitivity) | ScoreChange::Each(sensitivity)) = nothing;
        assert!(DiscreteLaplace::covering(sensitivity, epsilon(1.0)).is_err(), "{sensitivity}");
    }
    for tiny in [1e-300, 1e300] {
        assert!(NoisyMax::new(ScoreChange::Each(1), epsilon(tiny)).is_err(), "{tiny}");
        assert!(DiscreteLaplace::covering(1, epsilon(tiny)).is_err(), "{tiny}");
        assert!(RandomizedResponse::new(2, epsilon(tiny)).is_err(), "{tiny}");
    }
    assert!(RandomizedResponse::new(0, epsilon(1.0)).is_err() && RandomizedResponse::new(1, epsilon(1.0)).is_err());
    assert!(Budget::new(epsilon(1e300), delta).is_err());
}

fn budget() -> Budget {
    Budget::new(epsilon(1.0), Delta::new(1e-6).unwrap()).unwrap()
}

/// The same for the domains of statistics.
#[cfg(feature = "statistics")]
#[test]
fn bad_domains_do_not_construct() {
    use underpin_privacy::statistics::{Candidates, Column, Interval, Statistics};

    let budget = budget();
    let mut statistics = Statistics::new(&budget, SecretKey::new([1; 32]));
    let column = Column::new(vec![0.5]).unwrap();
    let candidates = Candidates::new(vec![0.0, 1.0]).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        assert!(Interval::new(bad, bad).is_err() && Interval::new(f64::NAN, bad).is_err(), "{bad}");
        assert!(Interval::new(2.0, bad).is_err(), "{bad}");
        assert!(Candidates::new(vec![0.0, bad]).is_err(), "{bad}");
        assert!(statistics.quantile(&column, bad, &candidates, epsilon(0.1)).is_err(), "{bad}");
    }
    assert!(Column::new(vec![f64::NAN]).is_err());
    assert_eq!(budget.left(), 1.0, "what is refused costs nothing");
}
