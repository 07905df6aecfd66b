//! Knockoff on learnable, guarded and denying victims.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::extraction::{Agreement, Answered, Fidelity, FidelityGain, Knockoff, agreement, fidelity_curve};

use crate::support::*;

const SURROGATE: Descent = Descent { steps: 150, rate: 2.0 };

struct World {
    victim: Linear,
    owned: Examples,
    pool: Examples,
    held_out: Examples,
}

/// Nearby classes, so that a handful of owned rows does not do.
fn world() -> World {
    let data = |count, seed| blobs(&[10], 5, count, 0.25, seed);
    World { victim: fitted(&data(200, 2)), owned: data(5, 3), pool: data(400, 4), held_out: data(300, 5) }
}

fn knockoff(world: &World, budget: usize) -> Knockoff<'_, Descent> {
    Knockoff { surrogate: &SURROGATE, budget, owned: &world.owned }
}

#[test]
fn knockoff_keeps_its_budget() {
    let world = world();
    for budget in [0, 1, 100, 1000] {
        let guard = Limited::new(&world.victim, u64::MAX / 2);
        let extracted = knockoff(&world, budget).run(&guard, &world.pool, Seed(1)).unwrap();
        assert_eq!(extracted.queries, guard.used());
        assert_eq!(guard.used(), budget.min(400) as u64);
        assert_eq!(extracted.denied, None);
    }
}

#[test]
fn knockoff_trains_on_what_it_got() {
    let world = world();
    for limit in [0, 50, 300] {
        let guard = Limited::new(&world.victim, limit);
        let extracted = knockoff(&world, 400).run(&guard, &world.pool, Seed(1)).unwrap();
        assert_eq!(extracted.queries, limit, "the quota is used to its end");
        assert!(matches!(extracted.denied, Some(Denied::QuotaExhausted { .. })));
        let free = knockoff(&world, usize::try_from(limit).unwrap()).run(&world.victim, &world.pool, Seed(1)).unwrap();
        assert_eq!(extracted.model, free.model, "a limit is a budget");
    }
    let guard = Limited::new(&world.victim, 0);
    let extracted = knockoff(&world, 400).run(&guard, &world.pool, Seed(1)).unwrap();
    assert_eq!(extracted.model, knockoff(&world, 400).baseline(Seed(1)).unwrap(), "nothing got, nothing gained");
}

#[test]
fn knockoff_does_not_look_at_the_pools_labels() {
    let world = world();
    let scrambled = world.pool.with_labels(world.pool.labels().iter().map(|label| (label + 1) % 5).collect()).unwrap();
    let attack = knockoff(&world, 100);
    let a = attack.run(&world.victim, &world.pool, Seed(1)).unwrap();
    let b = attack.run(&world.victim, &scrambled, Seed(1)).unwrap();
    assert_eq!(a.model, b.model);
    assert_ne!(a.model, attack.run(&world.victim, &world.pool, Seed(2)).unwrap().model, "the seed draws the inputs");
}

#[test]
fn an_extracted_model_agrees_with_its_victim_more_than_the_baseline() {
    let world = world();
    let attack = knockoff(&world, 300);
    let extracted = attack.run(&world.victim, &world.pool, Seed(1)).unwrap();
    let baseline = attack.baseline(Seed(1)).unwrap();
    let found =
        agreement(&world.victim, &extracted.model, &baseline, world.held_out.inputs(), 5, extracted.queries).unwrap();
    let setting = attack.setting(System::Undefended, confidence());
    let fidelity = Fidelity { setting: setting.clone() }.measure(&found).unwrap();
    let gain = FidelityGain { setting }.measure(&found).unwrap();
    assert!(fidelity.interval.lower > fidelity.chance.unwrap(), "{fidelity}");
    assert!(gain.interval.lower > 0.0 && (gain.value - fidelity.value + fidelity.chance.unwrap()).abs() < 1e-12);
    assert_eq!((fidelity.access, fidelity.queries, gain.n), (Some(Access::BlackBox), Some(300), 300));
}

#[test]
fn agreement_by_hand() {
    let agreement =
        Agreement { extracted: vec![true, true, true, false], baseline: vec![true, false, false, false], queries: 7 };
    let setting = knockoff(&world(), 7).setting(System::Defended, confidence());
    let fidelity = Fidelity { setting: setting.clone() }.measure(&agreement).unwrap();
    assert_eq!((fidelity.value, fidelity.chance, fidelity.quantity), (0.75, Some(0.25), Quantity::Fidelity));
    let gain = FidelityGain { setting }.measure(&agreement).unwrap();
    assert_eq!((gain.value, gain.chance, gain.quantity), (0.5, Some(0.0), Quantity::FidelityGain));
    assert_eq!((gain.about, gain.attack.as_str()), (About::Extraction, "knockoff"));
}

#[test]
fn the_curve_runs_from_the_baseline_to_what_was_answered() {
    let world = world();
    let attack = knockoff(&world, 250);
    let guard = Limited::new(&world.victim, 120);
    let answered = attack.ask(&guard, world.pool.inputs(), Seed(1)).unwrap();
    let inputs = world.held_out.inputs();
    let curve = fidelity_curve(&attack, &answered, &[50, 200], &world.victim, inputs, "t", Seed(1)).unwrap();
    let queries: Vec<f64> = curve.points.iter().map(|point| point.0).collect();
    assert_eq!((curve.name.as_str(), queries), ("fidelity", vec![0.0, 50.0, 120.0]));
    let baseline = attack.baseline(Seed(1)).unwrap();
    let at_0 = agreement(&world.victim, &baseline, &baseline, inputs, 5, 0).unwrap();
    let fraction = at_0.extracted.iter().filter(|same| **same).count() as f64 / 300.0;
    assert!((curve.points[0].1 - fraction).abs() < 1e-12 && curve.points[2].1 > fraction);
}

#[test]
fn what_cannot_be_extracted_is_refused() {
    let world = world();
    let nothing = world.owned.select(&[]);
    let poor = Knockoff { owned: &nothing, ..knockoff(&world, 0) };
    assert!(matches!(poor.run(&world.victim, &world.pool, Seed(1)), Err(Error::NoObservations { .. })));
    let attack = knockoff(&world, 10);
    assert!(matches!(
        attack.ask(&world.victim, world.pool.select(&[]).inputs(), Seed(1)),
        Err(Error::NoObservations { .. })
    ));
    assert!(matches!(
        attack.ask(&NotANumber(4), world.pool.inputs(), Seed(1)),
        Err(Error::Classes { expected: 5, found: 4 })
    ));
    let other = Answered { examples: blobs(&[11], 5, 5, 0.1, 1), denied: None };
    assert!(matches!(attack.extract(&other, 5, Seed(1)), Err(Error::Denied(Denied::Shape { .. }))));
    let none = world.held_out.select(&[]);
    let empty = agreement(&world.victim, &world.victim, &world.victim, none.inputs(), 5, 0);
    assert!(matches!(empty, Err(Error::NoObservations { .. })));
}
