//! Inversion of linear models, open and guarded.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::interval::Bootstrap;
use underpin_metrics::inversion::{GradientInversion, InversionScore, QueryInversion, Reconstructions};

use crate::support::*;

fn score(found: &Reconstructions, held_out: &Examples) -> Measurement {
    let setting = GradientInversion::new().setting(System::Undefended, confidence());
    InversionScore { setting, bootstrap: Bootstrap { resamples: 300, seed: Seed(1) } }.measure(found, held_out).unwrap()
}

#[test]
fn inversion_uses_no_sample() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let (some, others) = (blobs(&[1, 6, 6], 3, 30, 0.1, 3), blobs(&[1, 6, 6], 3, 9, 0.3, 4));
    let gradient = GradientInversion { smoothing: 0.2, ..GradientInversion::new() };
    let query = QueryInversion::new(300);
    let runs = |samples: &Examples| {
        [gradient.run(&model, samples, Seed(1)).unwrap(), query.run(&model, samples, Seed(1)).unwrap()]
    };
    for (a, b) in runs(&some).into_iter().zip(runs(&others)) {
        assert_eq!(a, b);
        assert_eq!((a.inputs.len(), a.inputs.shape()), (3, some.inputs().shape()));
        assert!(a.inputs.values().iter().all(|value| (0.0..=1.0).contains(value)));
    }
}

#[test]
fn both_attacks_reveal_a_linear_model_and_not_a_constant_one() {
    let held_out = blobs(&[1, 6, 6], 3, 60, 0.1, 9);
    let open = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let constant = Linear { weights: vec![vec![0.0; 37]; 3], ..open.clone() };
    let gradient = |model: &Linear| GradientInversion::new().run(model, &held_out, Seed(1)).unwrap();
    let query = |model: &Linear| QueryInversion::new(2000).run(model, &held_out, Seed(1)).unwrap();
    for found in [gradient(&open), query(&open)] {
        let measured = score(&found, &held_out);
        assert!(measured.interval.lower > 0.5, "{measured}");
    }
    for found in [gradient(&constant), query(&constant)] {
        assert!(score(&found, &held_out).value.abs() < 1e-9);
    }
    // Labels alone give it away as well, to who looks widely enough.
    let by_label = QueryInversion::new(4000).run(&LabelOnly(&open), &held_out, Seed(1)).unwrap();
    let measured = score(&by_label, &held_out);
    assert!(measured.interval.lower > 0.2, "{measured}");
    // Too narrow a start, where all labels are alike, widens by itself.
    let narrow = QueryInversion { width: 1e-4, ..QueryInversion::new(4000) };
    let measured = score(&narrow.run(&LabelOnly(&open), &held_out, Seed(1)).unwrap(), &held_out);
    assert!(measured.interval.lower > 0.2, "{measured}");
}

#[test]
fn query_inversion_keeps_its_budget() {
    let model = fitted(&blobs(&[8], 4, 40, 0.1, 2));
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    for queries in [100, 250, 1000] {
        let guard = Limited::new(&model, u64::MAX / 2);
        let found = QueryInversion::new(queries).run(&guard, &samples, Seed(1)).unwrap();
        assert_eq!(found.queries, guard.used());
        assert!(guard.used() <= 4 * queries as u64 && guard.used() >= 4 * (queries as u64 - 99));
    }
    for limit in [0, 150, 777] {
        let guard = Limited::new(&model, limit);
        let found = QueryInversion::new(1000).run(&guard, &samples, Seed(1)).unwrap();
        assert_eq!((found.queries, found.inputs.len()), (limit, 4), "denied, it ends with what it has");
    }
}

#[test]
fn gradient_inversion_counts_its_passes_and_lowers_the_loss() {
    let model = fitted(&blobs(&[8], 4, 40, 0.1, 2));
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    let attack = GradientInversion { steps: 10, ..GradientInversion::new() };
    let found = attack.run(&model, &samples, Seed(1)).unwrap();
    assert_eq!(found.queries, 4 * 21);
    assert_eq!(model.predict(&found.inputs).unwrap().labels(), [0, 1, 2, 3], "each is classified as its class");
}

#[test]
fn nan_gives_nothing_and_bad_settings_are_refused() {
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    let found = GradientInversion::new().run(&NotANumber(4), &samples, Seed(1)).unwrap();
    assert!(found.inputs.values().iter().all(|value| (value - 0.5).abs() < 1e-9));
    let found = QueryInversion::new(200).run(&NotANumber(4), &samples, Seed(1)).unwrap();
    assert!(found.inputs.values().iter().all(|value| (value - 0.5).abs() < 1e-9));
    let good = GradientInversion::new();
    let bad = [
        GradientInversion { steps: 0, ..good },
        GradientInversion { step_size: 0.0, ..good },
        GradientInversion { step_size: f64::NAN, ..good },
        GradientInversion { momentum: 1.0, ..good },
        GradientInversion { smoothing: 1.5, ..good },
        GradientInversion { start: -0.1, ..good },
    ];
    let model = fitted(&samples);
    for bad in bad {
        assert!(matches!(bad.run(&model, &samples, Seed(1)), Err(Error::OutOfRange(_))), "{bad:?}");
    }
    let good = QueryInversion::new(200);
    let bad = [
        QueryInversion { directions: 0, ..good },
        QueryInversion { queries: 9, ..good },
        QueryInversion { width: 0.6, ..good },
        QueryInversion { step_size: f64::INFINITY, ..good },
    ];
    for bad in bad {
        assert!(matches!(bad.run(&model, &samples, Seed(1)), Err(Error::OutOfRange(_))), "{bad:?}");
    }
}
