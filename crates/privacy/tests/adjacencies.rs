//! One event under every neighbouring relation, calibrated, and over the whole range of parameters.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::float_cmp, reason = "what costs the same costs the same bit for bit")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]

use proptest::prelude::*;
use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Adjacency, Error, Event, Target};

const ALL: [Adjacency; 3] = [Adjacency::AddOrRemove, Adjacency::Replace, Adjacency::ZeroOut];

fn delta(value: f64) -> Delta {
    Delta::new(value).unwrap()
}

fn poisson(sampling_rate: f64, noise_multiplier: f64) -> Event {
    Event::SubsampledGaussian { sampling_rate, noise_multiplier }
}

fn fixed_size(batch_size: u64, rows: u64, noise_multiplier: f64) -> Event {
    Event::FixedSizeGaussian { batch_size, rows, noise_multiplier }
}

/// A replaced row counts twice where all rows are used; where they are sampled, no more than that.
#[test]
fn replaced_rows_count_twice() {
    let cost = |event: &Event, adjacency| event.epsilon(delta(1e-6), adjacency).unwrap();
    let twice = [
        (Event::Gaussian { noise_multiplier: 6.0 }, Event::Gaussian { noise_multiplier: 3.0 }),
        (Event::Laplace { scale: 6.0 }, Event::Laplace { scale: 3.0 }),
        (poisson(1.0, 6.0), poisson(1.0, 3.0)),
    ];
    for (replaced, added) in twice {
        let (replaced, added) = (replaced.repeated(5), added.repeated(5));
        assert_eq!(cost(&replaced, Adjacency::Replace), cost(&added, Adjacency::AddOrRemove));
        assert_eq!(cost(&added, Adjacency::ZeroOut), cost(&added, Adjacency::AddOrRemove));
    }
    // The discrete Gaussian at twice the shift: near the continuous one.
    let (discrete, continuous) =
        (Event::DiscreteGaussian { sigma: 12.0 }.repeated(50), Event::Gaussian { noise_multiplier: 12.0 }.repeated(50));
    let (discrete, continuous) = (cost(&discrete, Adjacency::Replace), cost(&continuous, Adjacency::Replace));
    assert!(discrete.lower <= continuous.upper * 1.001 && discrete.upper >= continuous.lower * 0.999, "{discrete:?}");
    let (one, two) = (poisson(0.01, 1.0).repeated(1_000), poisson(0.01, 0.5).repeated(1_000));
    let replaced = cost(&one, Adjacency::Replace);
    assert!(replaced.lower > cost(&one, Adjacency::AddOrRemove).upper);
    assert!(replaced.upper < cost(&two, Adjacency::AddOrRemove).lower);
}

#[test]
fn fixed_size_samples_count_twice_the_sensitivity() {
    let cost = |event: &Event, adjacency| event.epsilon(delta(1e-5), adjacency).unwrap();
    let (sampled, poisson) = (fixed_size(600, 60_000, 4.0).repeated(1_000), poisson(0.01, 2.0).repeated(1_000));
    let (added, half) = (cost(&sampled, Adjacency::AddOrRemove), cost(&poisson, Adjacency::AddOrRemove));
    assert!((added.upper / half.upper - 1.0).abs() < 1e-6, "{added:?} {half:?}");
    // One row more or less is the attained half of a replacement.
    let replaced = cost(&sampled, Adjacency::Replace);
    assert!(replaced.upper > added.upper && replaced.lower <= added.upper && replaced.lower >= added.lower * 0.98);
    // A sample of all rows is no sample.
    let (all, gaussian) = (fixed_size(10, 10, 4.0), Event::Gaussian { noise_multiplier: 2.0 });
    assert_eq!(cost(&all, Adjacency::Replace), cost(&gaussian, Adjacency::AddOrRemove));
    for (batch_size, rows, noise) in [(0, 5, 1.0), (6, 5, 1.0), (1, 0, 1.0), (1, 5, 0.05), (1, 5, f64::NAN)] {
        let found = fixed_size(batch_size, rows, noise).epsilon(delta(1e-5), Adjacency::Replace);
        assert!(matches!(found, Err(Error::OutOfRange(_))), "{batch_size} {rows} {noise} {found:?}");
    }
    let refused = fixed_size(1, 5, 1.0).delta(1.0, Adjacency::ZeroOut);
    assert!(refused.unwrap_err().to_string().contains("ask about replace-one"));
}

#[test]
fn shuffling_amplifies_nothing() {
    let shuffled = Event::ShuffledGaussian { noise_multiplier: 12.0 }.repeated(50);
    let gaussian = Event::Gaussian { noise_multiplier: 12.0 }.repeated(50);
    for adjacency in [Adjacency::Replace, Adjacency::ZeroOut] {
        let cost = |event: &Event| event.epsilon(delta(1e-6), adjacency).unwrap();
        assert_eq!(cost(&shuffled), cost(&gaussian));
    }
    let composed = Event::Composed(vec![gaussian, shuffled]);
    let refused = composed.epsilon(delta(1e-6), Adjacency::AddOrRemove).unwrap_err();
    assert!(matches!(refused, Error::Unaccounted { event: "ShuffledGaussian", .. }));
    assert!(refused.to_string().contains("Chua et al. 2024"), "{refused}");
}

/// Each parameter under each relation: what is found keeps to the target, and a little less private does not.
#[test]
fn every_parameter_is_calibrated() {
    let rows = 60_000;
    for adjacency in [Adjacency::AddOrRemove, Adjacency::Replace] {
        let target = Target { epsilon: Epsilon::new(2.0).unwrap(), delta: delta(1e-5), adjacency };
        let met = |event: &Event| {
            // The bound that is searched on is that of the first lattice: never below the answer's.
            event.epsilon(target.delta, adjacency).unwrap().upper <= 2.0
        };
        let looser = |event: &Event| event.epsilon(target.delta, adjacency).unwrap().upper > 2.0 * (1.0 - 2e-3);
        for fixed in [false, true] {
            let event = |batch: u64, noise: f64| {
                if fixed { fixed_size(batch, rows, noise) } else { poisson(batch as f64 / rows as f64, noise) }
            };
            let noise = target.noise_multiplier(|noise| event(600, noise).repeated(500)).unwrap();
            assert!(met(&event(600, noise).repeated(500)) && looser(&event(600, noise / 1.0002).repeated(500)));
            let steps = target.steps(&event(600, noise)).unwrap();
            assert!(steps >= 500 && met(&event(600, noise).repeated(steps)), "{steps}");
            assert!(looser(&event(600, noise).repeated(steps + 1)));
            let batch = target.batch_size(rows, |batch| event(batch, noise).repeated(500)).unwrap();
            assert!((600..=602).contains(&batch) && met(&event(batch, noise).repeated(500)), "{batch}");
        }
        let rate = target.sampling_rate(|rate| poisson(rate, 3.0).repeated(500)).unwrap();
        assert!(met(&poisson(rate, 3.0).repeated(500)) && looser(&poisson(rate * 1.0002, 3.0).repeated(500)));
        assert_eq!(target.sampling_rate(|rate| poisson(rate, 1e5)).unwrap(), 1.0);
        assert_eq!(
            target.noise_multiplier(|noise| Event::Gaussian { noise_multiplier: noise }.repeated(0)).unwrap(),
            0.05
        );
        let loud = Event::Gaussian { noise_multiplier: 0.1 };
        assert!(matches!(target.steps(&loud), Err(Error::Unreachable { name: "steps", .. })));
        assert!(
            matches!(target.batch_size(0, |_| loud.clone()), Err(Error::OutOfRange(ref out)) if out.name == "rows")
        );
        assert!(target.noise_multiplier(|_| Event::Laplace { scale: f64::NAN }).is_err());
    }
    let target = Target { epsilon: Epsilon::new(2.0).unwrap(), delta: delta(1e-5), adjacency: Adjacency::AddOrRemove };
    let refused = target.noise_multiplier(|noise_multiplier| Event::ShuffledGaussian { noise_multiplier });
    assert!(matches!(refused, Err(Error::Unaccounted { .. })), "{refused:?}");
}

/// Closed forms at one order, and what every order must satisfy.
#[test]
fn renyi_divergences_are_those_of_the_papers() {
    let at = |event: &Event, order, adjacency| event.renyi_divergence(order, adjacency).unwrap();
    for order in [1.5, 2.0, 8.0, 31.7] {
        let gaussian = at(&Event::Gaussian { noise_multiplier: 3.0 }, order, Adjacency::Replace);
        assert!((gaussian / (4.0 * order / 18.0) - 1.0).abs() < 1e-8, "{gaussian}");
        // Balle, Barthe and Gaboardi 2020 for one event, Mironov 2017, Proposition 6, at b = 1.
        let (more, less) = (order / (2.0 * order - 1.0), (order - 1.0) / (2.0 * order - 1.0));
        let closed = (more * (order - 1.0).exp() + less * (-order).exp()).ln() / (order - 1.0);
        let laplace = at(&Event::Laplace { scale: 1.0 }, order, Adjacency::AddOrRemove);
        assert!((laplace / closed - 1.0).abs() < 1e-8, "{laplace} {closed}");
        let discrete = at(&Event::DiscreteGaussian { sigma: 3.0 }, order, Adjacency::AddOrRemove);
        assert!((discrete / (order / 18.0) - 1.0).abs() < 1e-8, "{discrete}");
        for event in [poisson(0.01, 1.0), poisson(0.9, 2.0), fixed_size(1, 100, 2.0), fixed_size(9, 10, 4.0)] {
            let (added, replaced) = (at(&event, order, Adjacency::AddOrRemove), at(&event, order, Adjacency::Replace));
            assert!(added <= replaced * (1.0 + 1e-8), "{event:?} {order}: {added} {replaced}");
            assert!((at(&event.clone().repeated(7), order, Adjacency::Replace) / replaced - 7.0).abs() < 1e-9);
        }
    }
    for order in [1.0, 0.0, f64::NAN, 5000.0] {
        assert!(Event::None.renyi_divergence(order, Adjacency::Replace).is_err());
    }
}

/// Rényi moments of the replaced pair by Simpson's rule lie below the bound, and not far where the rate is small.
#[test]
fn the_replaced_moment_bounds_the_integral() {
    for (q, sigma) in [(0.01f64, 1.0f64), (0.1, 2.0), (0.5, 1.5), (0.001, 0.7)] {
        for order in [2.0f64, 3.0, 6.5] {
            let f = |x: f64| {
                let bell = |mean: f64| {
                    (-(x - mean).powi(2) / (2.0 * sigma * sigma)).exp() / (sigma * std::f64::consts::TAU.sqrt())
                };
                let mix = |mean: f64| (1.0 - q) * bell(0.0) + q * bell(mean);
                (order * mix(1.0).ln() + (1.0 - order) * mix(-1.0).ln()).exp()
            };
            let (low, high) = (-14.0 * sigma, 2.0 * order + 12.0 * sigma);
            let step = (high - low) / 40_000.0;
            let inner: f64 =
                (1..40_000).map(|i| f(low + f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            let exact = ((f(low) + inner + f(high)) * step / 3.0).ln() / (order - 1.0);
            let found = poisson(q, sigma).renyi_divergence(order, Adjacency::Replace).unwrap();
            assert!(found >= exact * (1.0 - 1e-6), "{q} {sigma} {order}: {found} {exact}");
            // Between whole orders the chord is loose where the moment turns; at high rates so is `Q >= (1-q) N(0)`.
            assert!(found <= 1.3 * exact || q > 0.05 || order.fract() > 0.0, "{q} {sigma} {order}: {found} {exact}");
        }
    }
}

/// The same for the dominating pair of fixed-size samples: ratios `u` above 1 under `N(0)`, `1/u` under `u N(0)`, else 1.
#[test]
fn the_fixed_size_moment_bounds_the_integral() {
    for (batch_size, sigma) in [(10, 2.0f64), (100, 4.0), (500, 3.0)] {
        for order in [2.0f64, 3.0, 6.5] {
            let q = batch_size as f64 / 1000.0;
            let f = |x: f64| {
                let bell = (-x * x / (2.0 * sigma * sigma)).exp() / (sigma * std::f64::consts::TAU.sqrt());
                let u: f64 = 1.0 + q * ((2.0 * x - 2.0) / (sigma * sigma)).exp_m1();
                bell * (u.powf(order) + u.powf(1.0 - order))
            };
            let (low, high) = (1.0, 2.0 * order + 12.0 * sigma);
            let step = (high - low) / 40_000.0;
            let inner: f64 =
                (1..40_000).map(|i| f(low + f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            let rest = (1.0 - q) * libm::erf(1.0 / (sigma * std::f64::consts::SQRT_2));
            let exact = ((f(low) + inner + f(high)) * step / 3.0 + rest).ln() / (order - 1.0);
            let found = fixed_size(batch_size, 1000, sigma).renyi_divergence(order, Adjacency::Replace).unwrap();
            assert!(found >= exact * (1.0 - 1e-6), "{q} {sigma} {order}: {found} {exact}");
            // The larger half of the moment is counted once, the other as if it were as large.
            assert!(found <= 2.1 * exact, "{q} {sigma} {order}: {found} {exact}");
        }
    }
}

#[test]
fn gaps_are_input() {
    for adjacency in ALL {
        for gap in [0.1, 0.01, 0.001] {
            let found = poisson(0.01, 1.1).repeated(2_000).epsilon_within(delta(1e-5), adjacency, gap).unwrap();
            assert!(found.gap() <= gap && found.gap() > gap / 1e3, "{adjacency} {gap} {found:?}");
        }
        for bad in [0.0, 2.0, f64::NAN, -0.1] {
            let refused = poisson(0.01, 1.1).epsilon_within(delta(1e-5), adjacency, bad);
            assert!(matches!(refused, Err(Error::OutOfRange(ref out)) if out.name == "gap"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The whole range: δ to 1e-15, rates to 1e-7, noise from 0.3, 1e7 steps. Never NaN, the sides keep their order, the
    /// Rényi bound is not undercut and not exceeded, and less of it costs no more.
    #[test]
    fn every_question_is_answered(
        rate in -7.0f64..0.0, noise in -0.5f64..1.5, steps in 0.0f64..7.0, target in 3.0f64..15.0, kind in 0u8..4,
    ) {
        let (rate, noise, steps) = (10f64.powf(rate), 10f64.powf(noise), 10f64.powf(steps) as u64);
        let (event, adjacency) = match kind {
            0 => (poisson(rate, noise), Adjacency::AddOrRemove),
            1 => (poisson(rate, noise), Adjacency::Replace),
            2 => (fixed_size((rate * 1e7).ceil() as u64, 10_000_000, noise), Adjacency::Replace),
            _ => (Event::Composed(vec![poisson(rate, noise), Event::Laplace { scale: (100.0 * noise * (steps as f64).sqrt()).min(1e6) }]), Adjacency::ZeroOut),
        };
        let at = delta(10f64.powf(-target));
        // A wide gap: the range is what is tested, not the accuracy.
        let found = event.clone().repeated(steps).epsilon_within(at, adjacency, 0.3).unwrap();
        let renyi = event.clone().repeated(steps).renyi_epsilon(at, adjacency).unwrap();
        let case = format!("{event:?} {steps} {found:?} {renyi}");
        prop_assert!(found.lower >= 0.0 && found.lower <= found.upper && found.lower <= renyi, "{case}");
        prop_assert!(found.upper <= renyi.max(1e-9) * 1.5, "{case}");
        let less = event.repeated(steps / 2).epsilon_within(at, adjacency, 0.3).unwrap();
        prop_assert!(less.lower <= found.upper, "{case} {less:?}");
    }
}
