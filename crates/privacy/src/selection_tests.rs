//! The numbered guarantees of the selections.

use super::*;
use crate::SecretKey;

const DRAWS: u32 = 400_000;

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

/// Probability of each candidate under permute-and-flip, by all orders (McKenna and Sheldon 2020, Lemma 1).
fn flip_law(scores: &[i64], scale: f64) -> Vec<f64> {
    fn walk(left: &[usize], reached: f64, keep: &[f64], law: &mut [f64]) {
        for (at, candidate) in left.iter().enumerate() {
            let here = reached / left.len() as f64;
            law[*candidate] += here * keep[*candidate];
            let mut rest = left.to_vec();
            rest.remove(at);
            walk(&rest, here * (1.0 - keep[*candidate]), keep, law);
        }
    }
    let mut law = vec![0.0; scores.len()];
    walk(&(0..scores.len()).collect::<Vec<_>>(), 1.0, &weights(scores, scale), &mut law);
    law
}

fn weights(scores: &[i64], scale: f64) -> Vec<f64> {
    let highest = *scores.iter().max().unwrap();
    scores.iter().map(|score| (-(highest.abs_diff(*score) as f64) / scale).exp()).collect()
}

fn exponential_law(scores: &[i64], scale: f64) -> Vec<f64> {
    let weights = weights(scores, scale);
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Each candidate's count within 6 standard deviations: a false alarm below 2e-9 a candidate.
fn assert_follows(law: &[f64], mut draw: impl FnMut() -> usize) {
    let mut counts = vec![0u32; law.len()];
    (0..DRAWS).for_each(|_| counts[draw()] += 1);
    for (probability, count) in law.iter().zip(&counts) {
        let deviation = (f64::from(DRAWS) * probability * (1.0 - probability)).sqrt();
        assert!((f64::from(*count) - f64::from(DRAWS) * probability).abs() <= 6.0 * deviation, "{law:?} {counts:?}");
    }
}

const CASES: [(&[i64], ScoreChange, f64); 4] = [
    (&[0, 1, 2, 3, 10], ScoreChange::Each(1), 1.0),
    (&[5, 5, 5], ScoreChange::Range(1), 3.0),
    (&[-7, 100, 99, 98], ScoreChange::Each(20), 2.0),
    (&[i64::MIN, i64::MAX - 1, i64::MAX], ScoreChange::Range(1), 0.5),
];

#[test]
fn noisy_max_follows_its_law() {
    let mut stream = SecretKey::new([12; 32]).stream("noisy max", &[]);
    for (scores, change, asked) in CASES {
        let mechanism = NoisyMax::new(change, epsilon(asked)).unwrap();
        let law = flip_law(scores, change.range() as f64 / asked);
        assert_follows(&law, || mechanism.select(scores, &mut stream).unwrap());
    }
}

#[test]
fn exponential_follows_its_law() {
    let mut stream = SecretKey::new([13; 32]).stream("exponential", &[]);
    for (scores, change, asked) in &CASES {
        let mechanism = ExponentialMechanism::new(*change, epsilon(*asked)).unwrap();
        let law = exponential_law(scores, change.range() as f64 / asked);
        assert_follows(&law, || mechanism.select(scores, &mut stream).unwrap());
    }
}

/// The laws of all neighbouring scores in a small box differ by at most `e^ε`, and each ε is reached to a quarter.
#[test]
fn selections_keep_their_epsilon() {
    for (law, tight) in [(flip_law as fn(&[i64], f64) -> Vec<f64>, 0.9), (exponential_law, 0.25)] {
        for (change, moves) in [(ScoreChange::Each(1), -1..=1), (ScoreChange::Range(1), 0..=1)] {
            let asked = 0.8;
            let scale = change.range() as f64 / asked;
            let mut worst = 0.0f64;
            for code in 0..125 {
                let scores = [code % 5, code / 5 % 5, code / 25];
                for shift in 0..27i64 {
                    let by = [shift % 3 - 1, shift / 3 % 3 - 1, shift / 9 - 1];
                    if !by.iter().all(|step| moves.contains(step)) {
                        continue;
                    }
                    let neighbour = [0, 1, 2].map(|at| scores[at] + by[at]);
                    for (one, other) in law(&scores, scale).iter().zip(law(&neighbour, scale)) {
                        worst = worst.max((one / other).ln().abs());
                    }
                }
            }
            assert!(worst <= asked * (1.0 + 1e-9) && worst >= asked * tight, "{change:?}: {worst}");
        }
    }
}

#[test]
fn a_selection_never_costs_more_than_asked() {
    for change in [ScoreChange::Range(1), ScoreChange::Each(3), ScoreChange::Range(1 << 40)] {
        for asked in [0.01, 0.1, 1.0 / 3.0, 1.0, 7.7] {
            let Ok(mechanism) = ExponentialMechanism::new(change, epsilon(asked)) else {
                assert!(change.range() as f64 / asked >= 2f64.powi(40));
                continue;
            };
            let spent = mechanism.epsilon().value();
            assert!(spent <= asked && spent > asked * 0.999, "{change:?} {asked} {spent}");
            assert_eq!(NoisyMax::new(change, epsilon(asked)).unwrap().cost(), Cost::Pure(mechanism.epsilon()));
        }
    }
}

#[test]
fn nothing_to_select_from_is_an_error() {
    let mut stream = SecretKey::new([1; 32]).stream("selection", &[]);
    let change = ScoreChange::Range(1);
    let none = Error::Nothing { what: "candidate to select from" };
    assert_eq!(NoisyMax::new(change, epsilon(1.0)).unwrap().select(&[], &mut stream), Err(none.clone()));
    assert_eq!(ExponentialMechanism::new(change, epsilon(1.0)).unwrap().select(&[], &mut stream), Err(none));
    assert!(NoisyMax::new(ScoreChange::Each(0), epsilon(1.0)).is_err());
    assert!(NoisyMax::new(ScoreChange::Each(u64::MAX), epsilon(1.0)).is_err());
}
