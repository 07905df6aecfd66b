//! One table of all extraction attacks, with shared assertions.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::extraction::{ExtractedModel, FidelityGain, Knockoff, agreement};

use crate::support::*;

/// How surrogates are trained.
const SURROGATE: Descent = Descent { steps: 150, rate: 2.0 };
/// Inputs that the adversary may ask about.
const POOL: usize = 300;

/// An attack by owned rows and budget, ready to run on a victim and a pool of inputs.
type Run = fn(&dyn Predict, &Examples, &Examples, usize, Seed) -> Result<ExtractedModel<Linear>, Error>;

/// Every extraction attack: its name and its run.
fn table() -> Vec<(&'static str, Run)> {
    vec![("knockoff", |victim, owned, pool, budget, seed| {
        Knockoff { surrogate: &SURROGATE, budget, owned }.run(victim, pool, seed)
    })]
}

/// Shapes of tables and images alike.
fn shapes() -> [Vec<usize>; 3] {
    [vec![10], vec![1, 4, 4], vec![2, 3, 2]]
}

fn owned(axes: &[usize]) -> Examples {
    blobs(axes, 4, 4, 0.25, 3)
}

fn pool(axes: &[usize]) -> Examples {
    blobs(axes, 4, POOL, 0.25, 4)
}

/// Fidelity gain of what an attack extracts from `victim`, over the surrogate without answers.
fn gain(run: Run, victim: &dyn Predict, axes: &[usize], budget: usize) -> Measurement {
    let (owned, pool) = (owned(axes), pool(axes));
    let extracted = run(victim, &owned, &pool, budget, Seed(7)).unwrap();
    let baseline = run(victim, &owned, &pool, 0, Seed(7)).unwrap();
    let held_out = blobs(axes, 4, 300, 0.25, 5);
    let found = agreement(victim, &extracted.model, &baseline.model, held_out.inputs(), 4, extracted.queries).unwrap();
    let attack = Knockoff { surrogate: &SURROGATE, budget, owned: &owned };
    FidelityGain { setting: attack.setting(System::Undefended, confidence()) }.measure(&found).unwrap()
}

#[test]
fn every_attack_returns_a_model_of_the_shape_it_was_given() {
    for axes in shapes() {
        let victim = fitted(&blobs(&axes, 4, 200, 0.25, 2));
        for (name, run) in table() {
            let extracted = run(&victim, &owned(&axes), &pool(&axes), 50, Seed(7)).unwrap();
            assert_eq!(extracted.model.shape.axes(), axes, "{name}");
            let answers = extracted.model.predict(pool(&axes).inputs()).unwrap();
            assert_eq!((answers.len(), answers.classes()), (POOL, 4), "{name}");
        }
    }
}

#[test]
fn every_attack_counts_its_queries_and_keeps_its_budget() {
    let axes = [10];
    let victim = fitted(&blobs(&axes, 4, 200, 0.25, 2));
    for (name, run) in table() {
        for budget in [0, 1, 100, POOL, 2 * POOL] {
            let counted = Limited::new(&victim, u64::MAX / 2);
            let extracted = run(&counted, &owned(&axes), &pool(&axes), budget, Seed(7)).unwrap();
            assert_eq!(extracted.queries, counted.used(), "{name}: what it reports is what was asked");
            assert!(counted.used() <= budget as u64, "{name} {budget}: {} queries", counted.used());
            assert_eq!(extracted.denied, None, "{name}");
        }
        for limit in [0, 37, 100] {
            let guard = Limited::new(&victim, limit);
            let extracted = run(&guard, &owned(&axes), &pool(&axes), 200, Seed(7)).unwrap();
            assert_eq!((extracted.queries, guard.used()), (limit, limit), "{name}: a quota is used to its end");
            assert!(matches!(extracted.denied, Some(Denied::QuotaExhausted { .. })), "{name}");
        }
    }
}

#[test]
fn every_attack_repeats_under_a_seed_and_differs_under_another() {
    let axes = [1, 4, 4];
    let victim = fitted(&blobs(&axes, 4, 200, 0.25, 2));
    for (name, run) in table() {
        let at = |seed| run(&victim, &owned(&axes), &pool(&axes), 50, Seed(seed)).unwrap().model;
        assert_eq!(at(7), at(7), "{name}: bit by bit");
        assert_ne!(at(7), at(8), "{name}");
    }
}

#[test]
fn every_attack_gains_nothing_from_a_constant_model_or_a_random_one() {
    for axes in shapes() {
        for (name, run) in table() {
            // A constant is learnt at once; it is the baseline that must not be credited to the attack.
            let constant = Constant { classes: 4, class: 2 };
            let extracted = run(&constant, &owned(&axes), &pool(&axes), 100, Seed(7)).unwrap();
            let labels = extracted.model.predict(pool(&axes).inputs()).unwrap().labels();
            assert!(labels.iter().all(|label| *label == 2), "{name} {axes:?}: the constant is all there is to learn");
            // Answers by a hash of the input: nothing that is asked helps with another input. 300 inputs, chance 1/4:
            // the gain exceeds 3.1 deviations of 2 * 0.025 in one seed of a thousand.
            let found = gain(run, &Hashed { classes: 4, seed: 5 }, &axes, POOL);
            assert!(found.value < 3.1 * 2.0 * 0.025, "{name} {axes:?}: {found}");
        }
    }
}

#[test]
fn every_attack_extracts_a_linear_model() {
    for axes in shapes() {
        let victim = fitted(&blobs(&axes, 4, 200, 0.25, 2));
        for (name, run) in table() {
            let found = gain(run, &victim, &axes, POOL);
            assert!(found.interval.lower > 0.0, "{name} {axes:?}: {found}");
            let labels = gain(run, &LabelOnly(&victim), &axes, POOL);
            assert!(labels.interval.lower > 0.0, "{name} {axes:?}: labels suffice: {labels}");
        }
    }
}

#[test]
fn every_attack_errs_on_bad_inputs() {
    let victim = fitted(&blobs(&[10], 4, 40, 0.1, 2));
    let (owned, pool) = (owned(&[10]), pool(&[10]));
    let nothing = pool.select(&[]);
    for (name, run) in table() {
        let error = run(&victim, &owned, &nothing, 10, Seed(7)).unwrap_err();
        assert!(matches!(error, Error::NoObservations { what: "pool" }), "{name}: {error}");
        let error = run(&victim, &nothing, &pool, 0, Seed(7)).unwrap_err();
        assert!(matches!(error, Error::NoObservations { .. }), "{name}: neither answers nor owned rows: {error}");
        let error = run(&NotANumber(3), &owned, &pool, 10, Seed(7)).unwrap_err();
        assert!(matches!(error, Error::Classes { expected: 4, found: 3 }), "{name}: {error}");
        let error =
            run(&Constant { classes: 4, class: 0 }, &blobs(&[11], 4, 4, 0.1, 1), &pool, 10, Seed(7)).unwrap_err();
        assert!(matches!(error, Error::Denied(Denied::Shape { .. })), "{name}: {error}");
    }
}
