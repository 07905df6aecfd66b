use proptest::prelude::*;

use super::*;

fn level(confidence: f64) -> Confidence {
    Confidence::new(confidence).unwrap()
}

/// SciPy's values have 12 digits: ours may lie outside by that rounding and our own widening.
#[test]
fn clopper_pearson_agrees_with_scipy() {
    let mut rows =
        csv::Reader::from_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clopper_pearson.csv")).unwrap();
    let mut count = 0;
    for row in rows.deserialize() {
        let (k, n, alpha, lower_one, upper_one, lower, upper, _radius): (u64, u64, f64, f64, f64, f64, f64, f64) =
            row.unwrap();
        let found = clopper_pearson(k, n, level(1.0 - alpha)).unwrap();
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-9 * theirs.abs();
        assert!(near(found.lower, lower) && near(found.upper, upper), "{k} {n} {alpha}: {found:?}");
        assert!(near(lower_bound(k, n, alpha), lower_one), "{k} {n} {alpha}");
        assert!(near(1.0 - lower_bound(n - k, n, alpha), upper_one), "{k} {n} {alpha}");
        count += 1;
    }
    assert_eq!(count, 35);
}

/// `P(X >= k)` of a binomial variable, by a sum of positive terms, each with a relative error of about 1e-14.
fn tail_by_sum(k: u64, n: u64, p: f64) -> f64 {
    let mut term = 1.0_f64;
    // term(i) = C(n, i) p^i q^(n - i), from i = k on; the first by a product that stays in range for n <= 200.
    for i in 0..k {
        term *= (n - i) as f64 / (k - i) as f64 * p;
    }
    term *= (1.0 - p).powi(i32::try_from(n - k).unwrap());
    let mut total = 0.0;
    for i in k..=n {
        total += term;
        term *= (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p);
    }
    total
}

proptest! {
    /// At our lower end the upper tail is at most alpha / 2, and not much less: outwards, but by rounding only.
    #[test]
    fn clopper_pearson_rounds_outward(n in 1_u64..200, fraction in 0.0_f64..=1.0, confidence in 0.5_f64..0.9999) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count")]
        let k = (fraction * n as f64).round() as u64;
        let found = clopper_pearson(k, n, level(confidence)).unwrap();
        let tail = 0.5 * (1.0 - confidence);
        prop_assert!(found.lower <= k as f64 / n as f64 && k as f64 / n as f64 <= found.upper);
        if k > 0 {
            let mass = tail_by_sum(k, n, found.lower);
            prop_assert!(mass <= tail * (1.0 + 1e-13) && mass >= tail * (1.0 - 1e-8), "{mass} {tail}");
        }
        if k < n {
            let mass = tail_by_sum(n - k, n, 1.0 - found.upper);
            prop_assert!(mass <= tail * (1.0 + 1e-13) && mass >= tail * (1.0 - 1e-8), "{mass} {tail}");
        }
    }
}

#[test]
fn no_trial_and_too_many_successes_are_refused() {
    assert!(matches!(clopper_pearson(0, 0, level(0.95)), Err(Error::NoObservations { .. })));
    assert!(matches!(clopper_pearson(3, 2, level(0.95)), Err(Error::OutOfRange(_))));
    let (none, one) = (Proportion { successes: 0, trials: 0 }, Proportion { successes: 1, trials: 1 });
    assert!(difference(none, one, level(0.95)).is_err() && difference(one, none, level(0.95)).is_err());
    assert!(matches!(paired_difference(&[true], &[], level(0.95)), Err(Error::Length { .. })));
    assert!(matches!(paired_difference(&[], &[], level(0.95)), Err(Error::NoObservations { .. })));
}

/// Newcombe 1998, table II, method 10: 56/70 less 48/80 gives 0.0524 to 0.3339.
#[test]
fn the_difference_is_newcombes() {
    let fraction = |successes, trials| Proportion { successes, trials };
    let found = difference(fraction(56, 70), fraction(48, 80), level(0.95)).unwrap();
    assert!((found.lower - 0.0524).abs() < 5e-5 && (found.upper - 0.3339).abs() < 5e-5, "{found:?}");
}

#[test]
fn pairing_narrows_what_agrees_and_widens_what_opposes() {
    let base: Vec<bool> = (0..100).map(|i| i % 10 != 0).collect();
    let near: Vec<bool> = (0..100).map(|i| i % 10 != 0 && i != 1).collect();
    let width = |interval: Interval| interval.upper - interval.lower;
    let paired = width(paired_difference(&base, &near, level(0.95)).unwrap());
    let apart = width(difference(Proportion::of(&base), Proportion::of(&near), level(0.95)).unwrap());
    assert!(paired < 0.6 * apart, "{paired} {apart}");
    let half: Vec<bool> = (0..100).map(|i| i % 2 == 0).collect();
    let opposite: Vec<bool> = half.iter().map(|x| !x).collect();
    let opposed = width(paired_difference(&half, &opposite, level(0.95)).unwrap());
    assert!(opposed > width(difference(Proportion::of(&half), Proportion::of(&opposite), level(0.95)).unwrap()));
}

/// By hand: 10 pairs, 6 both right, 2 only the first, 1 only the second, 1 neither.
#[test]
fn the_correlation_is_corrected_for_continuity() {
    let pairs = [(true, true); 6].into_iter().chain([(true, false); 2]).chain([(false, true), (false, false)]);
    let (first, second): (Vec<bool>, Vec<bool>) = pairs.unzip();
    // ad - bc = 6 - 2 = 4, below n / 2 = 5: corrected to 0.
    assert!(correlation(&first, &second).abs() < 1e-15);
    let alike: Vec<bool> = (0..10).map(|i| i < 5).collect();
    // ad - bc = 25, less 5, over sqrt(5^4) = 25.
    assert!((correlation(&alike, &alike) - 0.8).abs() < 1e-15);
    assert!(correlation(&[true; 3], &[true, false, true]).abs() < 1e-15, "an empty margin has no correlation");
}
