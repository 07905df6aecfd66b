//! Compositions of unlike events against peers and closed forms.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::float_cmp, reason = "what costs the same costs the same bit for bit")]

use proptest::prelude::*;
use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Adjacency, DiscreteGaussian, Event};

const ADD: Adjacency = Adjacency::AddOrRemove;

fn delta(value: f64) -> Delta {
    Delta::new(value).unwrap()
}

#[test]
fn mixtures_enclose_the_peers() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/heterogeneous.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let events = case["mechanisms"].as_array().unwrap().iter().map(|mechanism| {
            let number = |value: &serde_json::Value| value.as_f64().unwrap();
            let event = match mechanism[0].as_str().unwrap() {
                "laplace" => Event::Laplace { scale: number(&mechanism[1]) },
                "gauss" => Event::Gaussian { noise_multiplier: number(&mechanism[1]) },
                "sub" => Event::SubsampledGaussian {
                    sampling_rate: number(&mechanism[1][0]),
                    noise_multiplier: number(&mechanism[1][1]),
                },
                other => panic!("{other}"),
            };
            event.repeated(mechanism[2].as_u64().unwrap())
        });
        let (events, delta) = (Event::Composed(events.collect()), delta(case["delta"].as_f64().unwrap()));
        let ours = events.epsilon(delta, ADD).unwrap();
        assert!(ours.lower <= case["eps_pld_upper"].as_f64().unwrap(), "{ours:?} {case}");
        if let Some(prv_lower) = case["eps_prv"][0].as_f64() {
            assert!(ours.upper >= prv_lower, "{ours:?} {case}");
        }
        assert!(ours.upper - ours.lower <= 0.01 * ours.upper, "{ours:?} {case}");
        let (renyi, peer) = (events.renyi_epsilon(delta, ADD).unwrap(), case["eps_rdp"].as_f64().unwrap());
        assert!(renyi >= ours.lower && renyi <= peer * 1.001 && renyi >= peer * 0.98, "{renyi} {case}");
    }
}

/// δ of `n` randomized responses, exactly: a binomial sum.
fn responses(epsilon: f64, n: u32, at: f64) -> f64 {
    let truth = 1.0 / (1.0 + (-epsilon).exp());
    let mut log_choose = 0.0;
    let mut total = 0.0;
    for k in 0..=n {
        let loss = epsilon * (2.0 * f64::from(k) - f64::from(n));
        if loss > at {
            let mass = (log_choose + f64::from(k) * truth.ln() + f64::from(n - k) * (1.0 - truth).ln()).exp();
            total += mass * -(at - loss).exp_m1();
        }
        log_choose += (f64::from(n - k) / f64::from(k + 1)).ln();
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Composed pure events against the binomial closed form, at either question.
    #[test]
    fn closed_forms_lie_within(epsilon in 0.01f64..2.0, n in 1u32..200, exponent in 2.0f64..13.0, fraction in 0.0f64..0.9) {
        let events = Event::Pure { epsilon: Epsilon::new(epsilon).unwrap() }.repeated(u64::from(n));
        let target = 10f64.powf(-exponent);
        let found = events.epsilon(delta(target), ADD).unwrap();
        prop_assert!(responses(epsilon, n, found.upper) <= target * (1.0 + 1e-9), "{found:?}");
        prop_assert!(found.lower == 0.0 || responses(epsilon, n, found.lower) >= target * (1.0 - 1e-9), "{found:?}");
        let at = fraction * epsilon * f64::from(n);
        let (truth, found) = (responses(epsilon, n, at), events.delta(at, ADD).unwrap());
        prop_assert!(found.lower <= truth * (1.0 + 1e-9) && found.upper >= truth * (1.0 - 1e-9), "{truth:e} {found:?}");
    }

    /// One Laplace mechanism: δ = 1 - exp((ε - 1/b)/2) (Balle, Barthe and Gaboardi 2020, Theorem 3).
    #[test]
    fn one_laplace_lies_within(scale in 0.2f64..20.0, fraction in 0.0f64..0.999) {
        let at = fraction / scale;
        let truth = -((at - 1.0 / scale) / 2.0).exp_m1();
        let found = Event::Laplace { scale }.delta(at, ADD).unwrap();
        prop_assert!(found.lower <= truth && truth <= found.upper, "{truth} {found:?}");
        prop_assert!(found.upper - found.lower <= 0.02 * found.upper, "{truth} {found:?}");
        let found = Event::Laplace { scale }.epsilon(delta(truth), ADD).unwrap();
        prop_assert!(found.lower <= at + 1e-12 && at <= found.upper + 1e-12, "{at} {found:?}");
    }
}

/// Many answers of few categories, a discrete Gaussian that is nearly continuous, and an event that gives all away.
#[test]
fn other_events_cost_what_they_should() {
    let epsilon = |event: &Event, at: f64| event.epsilon(delta(at), ADD).unwrap();
    let two = Event::RandomizedResponse { epsilon: Epsilon::new(0.5).unwrap(), categories: 2 }.repeated(20);
    let pure = Event::Pure { epsilon: Epsilon::new(0.5).unwrap() }.repeated(20);
    assert_eq!(epsilon(&two, 1e-6), epsilon(&pure, 1e-6));
    let ten = Event::RandomizedResponse { epsilon: Epsilon::new(0.5).unwrap(), categories: 10 }.repeated(20);
    assert!(epsilon(&ten, 1e-6).upper < epsilon(&two, 1e-6).lower);

    let discrete = epsilon(&Event::DiscreteGaussian { sigma: 12.0 }.repeated(50), 1e-6);
    let continuous = epsilon(&Event::Gaussian { noise_multiplier: 12.0 }.repeated(50), 1e-6);
    assert!(discrete.lower <= continuous.upper * 1.0001 && discrete.upper >= continuous.lower * 0.9999, "{discrete:?}");

    let leaky = Event::Approximate { epsilon: Epsilon::new(0.1).unwrap(), delta: delta(1e-6) }.repeated(3);
    assert!(epsilon(&leaky, 1e-6).upper.is_infinite() && leaky.renyi_epsilon(delta(1e-6), ADD).unwrap().is_infinite());
    assert!(two.renyi_epsilon(delta(1e-6), ADD).unwrap() >= epsilon(&two, 1e-6).lower);
    let zcdp = DiscreteGaussian::new(12.0).unwrap().epsilon(1.0, delta(1e-6));
    let once = epsilon(&Event::DiscreteGaussian { sigma: 12.0 }, 1e-6);
    assert!(zcdp >= once.lower && zcdp <= 1.2 * once.upper, "{zcdp} {once:?}");
    let found = leaky.delta(0.31, ADD).unwrap();
    assert!(found.lower <= 3e-6 && found.upper >= 2.9e-6 && found.upper < 3.1e-6, "{found:?}");
    assert!(epsilon(&leaky, 1e-5).upper < 0.31);
}

#[test]
fn nothing_costs_nothing_and_nonsense_is_refused() {
    let nothing = Event::Composed(vec![Event::None, Event::Laplace { scale: 1.0 }.repeated(0)]);
    assert_eq!(nothing.epsilon(delta(1e-5), ADD).unwrap().upper, 0.0);
    assert_eq!(nothing.delta(0.0, ADD).unwrap().upper, 0.0);
    for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        assert!(Event::Laplace { scale: bad }.epsilon(delta(1e-5), ADD).is_err());
        assert!(Event::Gaussian { noise_multiplier: bad }.epsilon(delta(1e-5), ADD).is_err());
        assert!(Event::SubsampledGaussian { sampling_rate: bad, noise_multiplier: 1.0 }.delta(1.0, ADD).is_err());
    }
    assert!(Event::None.delta(f64::NAN, ADD).is_err());
    let much = Event::Laplace { scale: 1.0 }.repeated(u64::MAX).repeated(u64::MAX);
    assert!(much.epsilon(delta(1e-5), ADD).is_err());
    assert!(Event::RandomizedResponse { epsilon: Epsilon::new(1.0).unwrap(), categories: 1 }.delta(1.0, ADD).is_err());
}
