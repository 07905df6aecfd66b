//! Numbers that need no adversary.

use rand::RngExt;
use underpin_core::*;
use underpin_metrics::interval::Bootstrap;
use underpin_metrics::utility::{
    Prediction, abstention_threshold, accuracy_loss, calibration_error, clean_accuracy, coverage, predictions,
    selective_risk, worst_group_accuracy,
};
use underpin_metrics::{Error, Setting};

use crate::support::*;

fn setting() -> Setting {
    Setting::test(System::Defended, Phase::Deployment, "held_out", confidence())
}

const HOW: Bootstrap = Bootstrap { resamples: 500, seed: Seed(1) };

fn predicted(pairs: &[(f64, bool)]) -> Vec<Prediction> {
    pairs.iter().map(|(confidence, correct)| Prediction { confidence: *confidence, correct: *correct }).collect()
}

#[test]
fn accuracy_by_hand() {
    let found = clean_accuracy(&setting(), &[true, true, false, true]).unwrap();
    assert_eq!((found.value, found.n, found.about, found.access), (0.75, 4, About::Utility, None));
    assert!(matches!(clean_accuracy(&setting(), &[]), Err(Error::NoObservations { .. })));
    let loss = accuracy_loss(&setting(), &[true, true, true, false], &[true, false, false, false]).unwrap();
    assert_eq!((loss.value, loss.quantity), (0.5, Quantity::AccuracyLoss));
    assert!(matches!(accuracy_loss(&setting(), &[true], &[]), Err(Error::Length { .. })));
}

#[test]
fn calibration_error_by_hand() {
    // Bins [0, 0.5) and [0.5, 1]: gaps |1 - 0.3| of one, |(1 + 0) - (0.9 + 0.8)| of two; (0.7 + 0.7) / 3.
    let found = calibration_error(&setting(), &predicted(&[(0.3, true), (0.9, true), (0.8, false)]), 2, HOW).unwrap();
    assert!((found.value - 1.4 / 3.0).abs() < 1e-12, "{found}");
    assert!(found.interval.lower <= found.value && found.value <= found.interval.upper);
    let sure = calibration_error(&setting(), &predicted(&[(1.0, true), (1.0, true)]), 15, HOW).unwrap();
    assert!(sure.value.abs() < 1e-12, "a confidence of 1 falls in the last bin");
    assert!(matches!(calibration_error(&setting(), &[], 15, HOW), Err(Error::NoObservations { .. })));
    assert!(matches!(calibration_error(&setting(), &predicted(&[(0.5, true)]), 0, HOW), Err(Error::OutOfRange(_))));
    let nan = predicted(&[(f64::NAN, true)]);
    assert!(matches!(calibration_error(&setting(), &nan, 15, HOW), Err(Error::OutOfRange(_))));
}

#[test]
fn predictions_read_answers() {
    let outputs = Outputs::new(2, vec![0.75, 0.25, 0.25, 0.75, f32::NAN, 1.0], Disclosure::Scores).unwrap();
    let found = predictions(&outputs, &[0, 0, 1]).unwrap();
    assert_eq!(found, predicted(&[(0.75, true), (0.75, false), (1.0, false)]));
    assert!(matches!(predictions(&outputs, &[0]), Err(Error::Length { .. })));
}

#[test]
fn abstention_by_hand() {
    let found = predicted(&[(0.9, true), (0.8, false), (0.7, true), (0.2, false)]);
    let answered = coverage(&setting(), &found, 0.7).unwrap();
    assert_eq!((answered.value, answered.n), (0.75, 4));
    let risk = selective_risk(&setting(), &found, 0.7).unwrap();
    assert!((risk.value - 1.0 / 3.0).abs() < 1e-12 && risk.n == 3);
    assert!(matches!(selective_risk(&setting(), &found, f64::INFINITY), Err(Error::NoObservations { .. })));
    assert!(coverage(&setting(), &found, f64::INFINITY).unwrap().value.abs() < 1e-12);
}

/// The error of a prediction is 1 - confidence; the threshold must keep the true risk in at least 95 of 100 draws.
#[test]
fn the_abstention_threshold_keeps_its_risk() {
    let mut rng = rng(4);
    let broken = (0..400)
        .filter(|_| {
            let draw: Vec<Prediction> = (0..300)
                .map(|_| {
                    let confidence = 0.5 + 0.5 * rng.random::<f64>();
                    Prediction { confidence, correct: rng.random::<f64>() < confidence }
                })
                .collect();
            let threshold = abstention_threshold(&draw, 0.15, confidence()).unwrap();
            assert!(threshold >= 0.5);
            // True risk above t: the mean of 1 - c over [t, 1] is (1 - t) / 2.
            threshold.is_finite() && (1.0 - threshold) / 2.0 > 0.15
        })
        .count();
    // 20 are expected at most; 42 or more come up with probability below 1e-5.
    assert!(broken < 42, "{broken}");
    // 50 right, then 20 wrong, then 400 right: the sequence ends at the wrong ones, though all together would pass.
    let mixed = [[(0.9, true); 50].as_slice(), &[(0.8, false); 20], &[(0.7, true); 400]].concat();
    assert!((abstention_threshold(&predicted(&mixed), 0.15, confidence()).unwrap() - 0.9).abs() < 1e-12);
    let wrong = predicted(&[(0.9, false); 50]);
    assert!(abstention_threshold(&wrong, 0.15, confidence()).unwrap().is_infinite());
    let right = predicted(&[(0.9, true); 50]);
    assert!((abstention_threshold(&right, 0.15, confidence()).unwrap() - 0.9).abs() < 1e-12);
    for bad in [0.0, 1.0, f64::NAN] {
        assert!(matches!(abstention_threshold(&right, bad, confidence()), Err(Error::OutOfRange(_))));
    }
}

#[test]
fn the_worst_group_decides() {
    let correct: Vec<bool> = (0..40).map(|at| at < 30 || at % 2 == 0).collect();
    let groups: Vec<usize> = (0..40).map(|at| usize::from(at >= 30)).collect();
    let found = worst_group_accuracy(&setting(), &correct, &groups).unwrap();
    assert_eq!((found.value, found.n, found.parameters["worst_group"].clone()), (0.5, 10, Value::from(1_usize)));
    let alone = clean_accuracy(&setting(), &correct[30..]).unwrap();
    assert!(found.interval.lower < alone.interval.lower, "two groups share the error probability");
    assert!(matches!(worst_group_accuracy(&setting(), &[true], &[]), Err(Error::Length { .. })));
    assert!(matches!(worst_group_accuracy(&setting(), &[], &[]), Err(Error::NoObservations { .. })));
}
