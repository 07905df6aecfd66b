//! One table of all inversion attacks, with shared assertions.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::interval::Bootstrap;
use underpin_metrics::inversion::{GradientInversion, InversionScore, QueryInversion, Reconstructions};

use crate::support::*;

/// What each attack is run on: a target with gradients, which a black-box attack does not ask for.
type Run = Box<dyn Fn(&dyn LossGradient, &Examples, Seed) -> Result<Reconstructions, Error>>;

/// An inversion attack with the facts that its contract depends on.
struct Row {
    name: &'static str,
    run: Run,
    /// Most queries for each class.
    budget: u64,
    /// Whether the outcome depends on the seed.
    randomised: bool,
    /// What the lower end of its score on a model of templates exceeds: 0 is what unrelated directions score, 1 a class's
    /// own mean. Smoothing blurs templates that are noise from pixel to pixel.
    least: f64,
}

/// Every inversion attack.
fn table() -> Vec<Row> {
    let gradient = GradientInversion { steps: 60, ..GradientInversion::new() };
    let smoothed = GradientInversion { smoothing: 0.3, ..gradient };
    let query = QueryInversion::new(2000);
    vec![
        Row {
            name: "gradient_inversion",
            run: Box::new(move |model, samples, seed| gradient.run(model, samples, seed)),
            budget: 2 * 60 + 1,
            randomised: false,
            least: 0.5,
        },
        Row {
            name: "gradient_inversion, smoothed",
            run: Box::new(move |model, samples, seed| smoothed.run(model, samples, seed)),
            budget: 2 * 60 + 1,
            randomised: false,
            least: 0.3,
        },
        Row {
            name: "query_inversion",
            run: Box::new(move |model, samples, seed| query.run(model, samples, seed)),
            budget: 2000,
            randomised: true,
            least: 0.5,
        },
    ]
}

fn score(found: &Reconstructions, held_out: &Examples) -> Measurement {
    let setting = GradientInversion::new().setting(System::Undefended, confidence());
    InversionScore { setting, bootstrap: Bootstrap { resamples: 300, seed: Seed(1) } }.measure(found, held_out).unwrap()
}

#[test]
fn every_attack_returns_one_reconstruction_per_class_in_the_box() {
    for axes in [vec![12], vec![1, 4, 5], vec![2, 3, 3]] {
        let model = fitted(&blobs(&axes, 3, 90, 0.1, 2));
        let samples = blobs(&axes, 3, 30, 0.1, 3);
        for Row { name, run, .. } in table() {
            let found = run(&model, &samples, Seed(7)).unwrap();
            assert_eq!((found.inputs.len(), found.inputs.shape()), (3, samples.inputs().shape()), "{name} {axes:?}");
            assert!(found.inputs.values().iter().all(|value| (0.0..=1.0).contains(value)), "{name} {axes:?}");
        }
    }
}

#[test]
fn every_attack_counts_its_queries_and_keeps_its_budget() {
    let model = fitted(&blobs(&[8], 4, 40, 0.1, 2));
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    for Row { name, run, budget, .. } in table() {
        let counted = Limited::new(&model, u64::MAX / 2);
        let found = run(&counted, &samples, Seed(7)).unwrap();
        assert_eq!(found.queries, counted.used(), "{name}: what it reports is what was asked");
        assert!(found.queries > 0 && found.queries <= 4 * budget, "{name}: {} queries", found.queries);
    }
}

#[test]
fn every_attack_repeats_under_a_seed_and_differs_under_another() {
    let model = fitted(&blobs(&[1, 4, 5], 3, 90, 0.1, 2));
    let samples = blobs(&[1, 4, 5], 3, 30, 0.1, 3);
    for Row { name, run, randomised, .. } in table() {
        let at = |seed| run(&model, &samples, Seed(seed)).unwrap();
        assert_eq!(at(7), at(7), "{name}: bit by bit");
        assert_eq!(at(7) != at(8), randomised, "{name}");
    }
}

#[test]
fn every_attack_uses_no_value_of_a_sample() {
    let model = fitted(&blobs(&[12], 3, 90, 0.1, 2));
    let (some, others) = (blobs(&[12], 3, 30, 0.1, 3), blobs(&[12], 3, 9, 0.3, 4));
    for Row { name, run, .. } in table() {
        assert_eq!(run(&model, &some, Seed(7)).unwrap(), run(&model, &others, Seed(7)).unwrap(), "{name}");
    }
}

/// A constant model, one of noise and one of templates: nothing, chance, and what there is.
#[test]
fn every_attack_reveals_a_model_of_its_classes_and_no_other() {
    let axes = [1, 6, 6];
    let (train, held_out) = (blobs(&axes, 3, 90, 0.1, 2), blobs(&axes, 3, 60, 0.1, 9));
    let leaky = fitted(&train);
    let constant = Linear { weights: vec![vec![0.0; 37]; 3], ..leaky.clone() };
    for Row { name, run, least, .. } in table() {
        let nothing = run(&constant, &held_out, Seed(7)).unwrap();
        assert!(score(&nothing, &held_out).value.abs() < 1e-9, "{name}: a constant model has nothing to reveal");
        let found = score(&run(&leaky, &held_out, Seed(7)).unwrap(), &held_out);
        assert!(found.interval.lower > least, "{name}: {found}");
        // Weights drawn without a look at the data. The score of a direction that is unrelated to the classes has mean 0;
        // 20 such models have a mean beyond 0.35 once in a thousand at a deviation of 0.5 each.
        let mean = (0..20).map(|seed| score(&run(&noise(&leaky, seed), &held_out, Seed(7)).unwrap(), &held_out).value);
        let mean = mean.sum::<f64>() / 20.0;
        assert!(mean.abs() < 0.35, "{name}: {mean}");
    }
}

/// The same shape and classes, and weights that have nothing to do with the data.
fn noise(like: &Linear, seed: u64) -> Linear {
    let mut rng = rng(seed);
    let weights = like.weights.iter().map(|row| row.iter().map(|_| normal(&mut rng)).collect()).collect();
    Linear { shape: like.shape.clone(), weights }
}

#[test]
fn every_attack_gets_nothing_from_nan() {
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    for Row { name, run, .. } in table() {
        let found = run(&NotANumber(4), &samples, Seed(7)).unwrap();
        assert!(found.inputs.values().iter().all(|value| (value - 0.5).abs() < 1e-9), "{name}");
    }
}

#[test]
fn every_attack_errs_on_bad_settings_and_answers() {
    let samples = blobs(&[8], 4, 4, 0.1, 2);
    let model = fitted(&samples);
    let gradient = GradientInversion::new();
    let query = QueryInversion::new(200);
    let bad: Vec<(&str, Result<Reconstructions, Error>)> = vec![
        ("steps", GradientInversion { steps: 0, ..gradient }.run(&model, &samples, Seed(1))),
        ("step_size", GradientInversion { step_size: -0.1, ..gradient }.run(&model, &samples, Seed(1))),
        ("momentum", GradientInversion { momentum: f64::NAN, ..gradient }.run(&model, &samples, Seed(1))),
        ("smoothing", GradientInversion { smoothing: -0.1, ..gradient }.run(&model, &samples, Seed(1))),
        ("start", GradientInversion { start: 1.1, ..gradient }.run(&model, &samples, Seed(1))),
        ("directions", QueryInversion { directions: 0, ..query }.run(&model, &samples, Seed(1))),
        ("queries", QueryInversion { queries: 1, ..query }.run(&model, &samples, Seed(1))),
        ("width", QueryInversion { width: 0.0, ..query }.run(&model, &samples, Seed(1))),
        ("step_size", QueryInversion { step_size: f64::NAN, ..query }.run(&model, &samples, Seed(1))),
    ];
    for (setting, result) in bad {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::OutOfRange(range) if range.name == setting), "{setting}: {error}");
        assert_eq!(error.origin(), ErrorOrigin::Caller);
    }
    for Row { name, run, .. } in table() {
        let error = run(&NotANumber(3), &samples, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::Classes { expected: 4, found: 3 }), "{name}: {error}");
    }
}
