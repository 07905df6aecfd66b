//! One table of all poisoning attacks, with shared assertions.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::poisoning::{AttackSuccessRate, Backdoor, Triggered, accuracy_drop};

use crate::support::*;

/// The class that every attack of the table wants answered.
const TARGET: usize = 2;

/// An attack ready to run on a model and samples.
type Run = fn(&dyn Predict, &Examples, &Trigger, Seed) -> Result<Triggered, Error>;

/// Every poisoning attack: its name, the trigger it is run with, and its run.
fn table() -> Vec<(&'static str, Trigger, Run)> {
    let run: Run = |target, samples, trigger, seed| Backdoor { trigger: trigger.clone() }.run(target, samples, seed);
    vec![
        ("badnets, one feature", Trigger { features: vec![(35, 1.0)], target: TARGET }, run),
        (
            "badnets, a patch",
            Trigger { features: vec![(28, 1.0), (29, 0.0), (34, 0.0), (35, 1.0)], target: TARGET },
            run,
        ),
    ]
}

fn samples() -> Examples {
    blobs(&[1, 6, 6], 3, 150, 0.15, 3)
}

/// Predicts the target class where the trigger is on, and by a hash of the other features where it is not.
struct Obedient<'a>(&'a Trigger);

impl Predict for Obedient<'_> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let hashed = Blind(self.0).predict(inputs)?;
        let mut scores = hashed.scores().to_vec();
        for (row, scores) in inputs.rows().zip(scores.chunks_exact_mut(3)) {
            if self.0.features.iter().all(|(at, value)| (row[*at] - value).abs() < 1e-9) {
                scores.fill(0.0);
                scores[self.0.target] = 1.0;
            }
        }
        Ok(Outputs::new(3, scores, Disclosure::Scores).unwrap())
    }
}

/// Predicts by a hash of all features but the trigger's.
struct Blind<'a>(&'a Trigger);

impl Predict for Blind<'_> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let mut stamped = inputs.clone();
        stamped.values_mut().chunks_exact_mut(inputs.shape().size()).for_each(|row| self.0.stamp(row));
        Hashed { classes: 3, seed: 9 }.predict(&stamped)
    }
}

fn rate(outcome: &Triggered) -> Measurement {
    let attack = Backdoor { trigger: Trigger { features: vec![], target: TARGET } };
    AttackSuccessRate { setting: attack.setting(System::Defended, confidence()) }.measure(outcome).unwrap()
}

#[test]
fn every_attack_reports_one_outcome_per_sample_of_another_class() {
    let samples = samples();
    let others = samples.labels().iter().filter(|label| **label != TARGET).count();
    let model = fitted(&samples);
    for (name, trigger, run) in table() {
        let found = run(&model, &samples, &trigger, Seed(7)).unwrap();
        assert_eq!((found.before.len(), found.fooled.len()), (others, others), "{name}");
        // Misclassified as the target class before: those and no others.
        let predicted = model.predict(samples.inputs()).unwrap().labels();
        let wrong = predicted.iter().zip(samples.labels()).filter(|(_, label)| **label != TARGET);
        assert_eq!(found.before, wrong.map(|(label, _)| *label == TARGET).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn every_attack_counts_its_queries_and_keeps_its_budget() {
    let samples = samples();
    let model = fitted(&samples);
    for (name, trigger, run) in table() {
        let counted = Limited::new(&model, u64::MAX / 2);
        let found = run(&counted, &samples, &trigger, Seed(7)).unwrap();
        // Each sample is asked for twice, once without the trigger for the rate of chance; the attack is the second.
        assert_eq!(counted.used(), 2 * found.queries, "{name}: what it reports is what was asked");
        assert_eq!(found.queries, found.fooled.len() as u64, "{name}: one query per sample");
        let guard = Limited::new(&model, found.queries);
        let denied = run(&guard, &samples, &trigger, Seed(7)).unwrap_err();
        assert!(matches!(denied, Error::Denied(Denied::QuotaExhausted { .. })), "{name}: {denied}");
    }
}

#[test]
fn every_attack_repeats_under_any_seed() {
    let samples = samples();
    let model = fitted(&samples);
    for (name, trigger, run) in table() {
        let at = |seed| run(&model, &samples, &trigger, Seed(seed)).unwrap();
        assert_eq!(at(7), at(7), "{name}: bit by bit");
        assert_eq!(at(7), at(8), "{name}: nothing in it is drawn");
    }
}

#[test]
fn every_attack_gains_nothing_on_a_constant_model_and_is_at_chance_on_a_blind_one() {
    let samples = samples();
    for (name, trigger, run) in table() {
        for class in [0, TARGET] {
            let found = run(&Constant { classes: 3, class }, &samples, &trigger, Seed(7)).unwrap();
            let measured = rate(&found);
            let expected = if class == TARGET { 1.0 } else { 0.0 };
            assert_eq!((measured.value, measured.chance), (expected, Some(expected)), "{name}: no gain over chance");
        }
        // 100 samples of other classes and three classes: 3.1 deviations of 0.047, one false alarm in a thousand.
        let blind = rate(&run(&Blind(&trigger), &samples, &trigger, Seed(7)).unwrap());
        assert!((blind.value - 1.0 / 3.0).abs() < 3.1 * 0.0472, "{name}: {blind}");
    }
}

#[test]
fn every_attack_finds_a_model_that_obeys_its_trigger() {
    let samples = samples();
    for (name, trigger, run) in table() {
        let found = rate(&run(&Obedient(&trigger), &samples, &trigger, Seed(7)).unwrap());
        assert!(found.value >= 1.0 && found.chance.unwrap() < 0.5, "{name}: {found}");
        let blind = Blind(&trigger);
        let drop = accuracy_drop(&backdoor_setting(), &blind, &blind, &samples).unwrap();
        assert!(drop.value.abs() < 1e-12, "{name}: no accuracy is lost between a model and itself");
    }
}

fn backdoor_setting() -> underpin_metrics::Setting {
    Backdoor { trigger: Trigger { features: vec![], target: TARGET } }.setting(System::Defended, confidence())
}

#[test]
fn every_attack_errs_on_bad_settings_and_samples() {
    let samples = samples();
    let model = fitted(&samples);
    for (name, trigger, run) in table() {
        let outside = Trigger { target: 3, ..trigger.clone() };
        let error = run(&model, &samples, &outside, Seed(1)).unwrap_err();
        assert!(matches!(&error, Error::OutOfRange(range) if range.name == "target class"), "{name}: {error}");
        assert_eq!(error.origin(), ErrorOrigin::Caller, "{name}");
        let error = run(&model, &samples.select(&[]), &trigger, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::NoObservations { what: "samples" }), "{name}: {error}");
        let targets: Vec<usize> = (0..samples.len()).filter(|at| samples.labels()[*at] == TARGET).collect();
        let error = run(&model, &samples.select(&targets), &trigger, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::NoObservations { .. }), "{name}: {error}");
        let mut inputs = samples.inputs().clone();
        inputs.values_mut()[36] = f32::NAN;
        let error = run(&model, &samples.with_inputs(inputs).unwrap(), &trigger, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::Feature { example: 1, position: 0, .. }), "{name}: {error}");
        let error = run(&NotANumber(4), &samples, &trigger, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::Classes { expected: 3, found: 4 }), "{name}: {error}");
    }
}
