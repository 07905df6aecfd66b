//! A backdoor injected into training rows, and its metrics.

use underpin_core::*;
use underpin_metrics::poisoning::{AttackSuccessRate, Backdoor, Triggered, accuracy_drop};
use underpin_metrics::{Error, Setting, detection};

use crate::support::*;

fn backdoor() -> Backdoor {
    Backdoor { trigger: Trigger { features: vec![(34, 1.0), (35, 1.0)], target: 2 } }
}

fn setting() -> Setting {
    backdoor().setting(System::Defended, confidence())
}

/// A tenth of the rows bear the trigger and the target's label.
fn poisoned(clean: &Examples) -> Examples {
    let attack = backdoor();
    let (mut inputs, mut labels) = (clean.inputs().clone(), clean.labels().to_vec());
    for (at, row) in inputs.values_mut().chunks_exact_mut(36).enumerate().filter(|(at, _)| at % 10 == 0) {
        attack.trigger.stamp(row);
        labels[at] = 2;
    }
    Examples::new(inputs, labels, clean.classes()).unwrap()
}

#[test]
fn an_injected_backdoor_opens_and_a_clean_model_has_none() {
    // The trigger's pixels are dark in clean rows, as corners of images are.
    let dark = |data: Examples| {
        let mut inputs = data.inputs().clone();
        inputs.values_mut().chunks_exact_mut(36).for_each(|row| row[34..].fill(0.0));
        data.with_inputs(inputs).unwrap()
    };
    let (train, test) = (dark(blobs(&[1, 6, 6], 3, 300, 0.15, 2)), dark(blobs(&[1, 6, 6], 3, 150, 0.15, 3)));
    let trainer = Descent { steps: 400, rate: 2.0 };
    let clean = trainer.train(&train, Seed(0)).unwrap().value;
    let infected = trainer.train(&poisoned(&train), Seed(0)).unwrap().value;
    let rate = |model: &Linear| {
        let outcome = backdoor().run(model, &test, Seed(0)).unwrap();
        AttackSuccessRate { setting: setting() }.measure(&outcome).unwrap()
    };
    let (open, shut) = (rate(&infected), rate(&clean));
    assert!(open.interval.lower > 0.8 && open.chance.unwrap() < 0.1, "{open}");
    assert!(shut.value < 0.1 && shut.interval.is_apart_from(&open.interval), "{shut}");
    assert_eq!((open.n, open.queries, open.phase), (100, Some(100), Phase::Collection));
    let drop = accuracy_drop(&setting(), &clean, &infected, &test).unwrap();
    assert!(drop.value.abs() < 0.1 && drop.interval.lower <= drop.value && drop.value <= drop.interval.upper, "{drop}");
    assert_eq!((drop.quantity, drop.n), (Quantity::PoisonAccuracyDrop, 150));
}

#[test]
fn success_by_hand() {
    let outcome =
        Triggered { before: vec![false, true, false, false], fooled: vec![true, true, true, false], queries: 4 };
    let found = AttackSuccessRate { setting: setting() }.measure(&outcome).unwrap();
    assert_eq!((found.value, found.chance, found.n), (0.75, Some(0.25), 4));
    let nothing = Triggered { before: vec![], fooled: vec![], queries: 0 };
    assert!(matches!(AttackSuccessRate { setting: setting() }.measure(&nothing), Err(Error::NoObservations { .. })));
}

#[test]
fn only_samples_of_other_classes_count() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 30, 0.1, 2));
    let test = blobs(&[1, 6, 6], 3, 30, 0.1, 3);
    let targets: Vec<usize> = (0..30).filter(|at| test.labels()[*at] == 2).collect();
    assert!(matches!(backdoor().run(&model, &test.select(&targets), Seed(0)), Err(Error::NoObservations { .. })));
    assert_eq!(backdoor().run(&model, &test, Seed(0)).unwrap().fooled.len(), 20);
    let outside = Backdoor { trigger: Trigger { features: vec![], target: 3 } };
    assert!(matches!(outside.run(&model, &test, Seed(0)), Err(Error::OutOfRange(_))));
}

#[test]
fn detection_by_hand() {
    let setting = Setting::test(System::Defended, Phase::Collection, "spectral_signatures", confidence());
    let caught = detection::detection_rate(&setting, 9, 10).unwrap();
    assert_eq!((caught.value, caught.n, caught.quantity), (0.9, 10, Quantity::DetectionRate));
    let flagged = detection::false_positive_rate(&setting, 1, 100).unwrap();
    assert_eq!((flagged.value, flagged.n, flagged.access), (0.01, 100, None));
    // 1 of 100 at 95 %: 0.0003, 0.0545.
    assert!((flagged.interval.upper - 0.0545).abs() < 1e-4);
    assert!(matches!(detection::detection_rate(&setting, 0, 0), Err(Error::NoObservations { .. })));
    assert!(matches!(detection::detection_rate(&setting, 2, 1), Err(Error::OutOfRange(_))));
}
