use underpin_core::{Access, Confidence, Phase, System};

use super::*;

fn setting() -> Setting {
    let confidence = Confidence::new(0.95).unwrap();
    Setting { access: Some(Access::GrayBox), ..Setting::test(System::Defended, Phase::Deployment, "lira", confidence) }
}

fn scores(members: &[f64], others: &[f64]) -> MembershipScores {
    MembershipScores { members: members.to_vec(), others: others.to_vec(), queries: 9 }
}

#[test]
fn advantage_at_a_fixed_threshold_by_hand() {
    let metric = MembershipAdvantage { setting: setting(), threshold: Threshold::Fixed(0.5) };
    // 3 of 4 members and 1 of 4 others reach 0.5.
    let found = metric.measure(&scores(&[0.5, 0.9, 1.0, 0.1], &[0.6, 0.0, 0.2, 0.4])).unwrap();
    assert!((found.value - 0.5).abs() < 1e-15);
    assert_eq!((found.n, found.chance, found.queries), (8, Some(0.0), Some(9)));
    assert_eq!((found.access, found.attack.as_str()), (Some(Access::GrayBox), "lira"));
    let nan = MembershipAdvantage { setting: setting(), threshold: Threshold::Fixed(f64::NAN) };
    assert!(matches!(nan.measure(&scores(&[1.0], &[0.0])), Err(Error::OutOfRange(_))));
}

#[test]
fn a_cross_fitted_threshold_is_not_chosen_on_what_it_judges() {
    let metric = MembershipAdvantage { setting: setting(), threshold: Threshold::CrossFitted };
    // Even positions are separated at 10, odd ones at 0: each threshold is right on its own fold, wrong on the other.
    let members: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 10.0 } else { 1.0 }).collect();
    let others: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 9.0 } else { 0.0 }).collect();
    // Even samples at threshold 1: all called members. Odd samples at threshold 10: none. Advantage 0.
    let found = metric.measure(&scores(&members, &others)).unwrap();
    assert!(found.value.abs() < 1e-15, "{found}");
    // The same separation in both folds is found in full.
    let found = metric.measure(&scores(&[1.0; 20], &[0.0; 20])).unwrap();
    assert!((found.value - 1.0).abs() < 1e-15 && found.interval.lower > 0.7, "{found}");
    assert!(metric.measure(&scores(&[1.0], &[0.0])).is_err(), "one sample cannot be cross-fitted");
}

#[test]
fn tpr_at_fpr_by_hand() {
    let metric = |fpr| TprAtFpr { setting: setting(), fpr };
    let found = scores(&[5.0, 4.0, 3.0, 2.0], &[4.5, 1.0, 0.5, 0.0]);
    // No other may be called a member: the threshold is above 4.5.
    assert!((metric(0.1).measure(&found).unwrap().value - 0.25).abs() < 1e-15);
    // One of four may: the threshold is 2.
    let quarter = metric(0.25).measure(&found).unwrap();
    assert!((quarter.value - 1.0).abs() < 1e-15);
    assert_eq!((quarter.chance, quarter.n), (Some(0.25), 8));
    assert!(quarter.interval.lower <= 1.0 && quarter.interval.upper >= 1.0);
    for bad in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(matches!(metric(bad).measure(&found), Err(Error::OutOfRange(_))), "{bad}");
    }
}

#[test]
fn few_samples_leave_the_rate_open() {
    let found = TprAtFpr { setting: setting(), fpr: 0.001 }.measure(&scores(&[1.0; 50], &[0.0; 50])).unwrap();
    // 50 others say nothing about one in a thousand from below, much from above.
    assert!(found.interval.lower <= 0.0 && found.interval.upper >= 1.0, "{found}");
}

#[test]
fn empty_and_nan_scores_are_refused() {
    let auc = MembershipAuc { setting: setting() };
    let tpr = TprAtFpr { setting: setting(), fpr: 0.1 };
    let advantage = MembershipAdvantage { setting: setting(), threshold: Threshold::Fixed(0.5) };
    for (bad, empty) in [(scores(&[], &[1.0]), true), (scores(&[1.0], &[]), true), (scores(&[f64::NAN], &[1.0]), false)]
    {
        for error in [auc.measure(&bad), tpr.measure(&bad), advantage.measure(&bad)].map(Result::unwrap_err) {
            assert_eq!(matches!(error, Error::NoObservations { .. }), empty, "{error}");
            assert_eq!(matches!(error, Error::NotANumber { .. }), !empty, "{error}");
        }
    }
}

#[test]
fn the_product_of_p_values_is_fishers() {
    // The 95 % quantile of chi-square with 4 degrees is 9.4877: minus twice the logarithm of the product.
    assert!((fisher(0.05) - (-9.4877_f64 / 2.0).exp()).abs() < 1e-6);
    assert!((fisher(0.025) - (-11.1433_f64 / 2.0).exp()).abs() < 1e-6);
}

#[test]
fn tied_scores_may_be_either_larger() {
    let metric = TprAtFpr { setting: setting(), fpr: 0.1 };
    // Labels only: every member answers 1, and half of the others. No threshold has a rate of 0.1: it may find all or
    // none.
    let others: Vec<f64> = (0..200).map(|i| f64::from(i % 2)).collect();
    let found = metric.measure(&scores(&[1.0; 200], &others)).unwrap().interval;
    assert!(found.lower <= 0.0 && found.upper >= 1.0, "{found:?}");
}

#[test]
fn the_interval_of_a_rate_by_hand() {
    // One other in ten lies beyond the true threshold with probability 1e-3, less than Fisher's 0.003803 for a tail of
    // 0.025: the threshold is taken to lie above all others. None of 50 members does: 1 - 0.003803^(1/50).
    let metric = TprAtFpr { setting: setting(), fpr: 1e-4 };
    let found = metric.measure(&scores(&[0.0; 50], &[1.0; 10])).unwrap().interval;
    assert!((found.upper - 0.105_44).abs() < 1e-4 && found.lower <= 0.0, "{found:?}");
    // Likewise at the other end: all others lie beyond it, and so do all members.
    let metric = TprAtFpr { setting: setting(), fpr: 0.9999 };
    let found = metric.measure(&scores(&[2.0; 50], &[1.0; 10])).unwrap().interval;
    assert!((found.lower - 0.894_56).abs() < 1e-4 && found.upper >= 1.0, "{found:?}");
}
