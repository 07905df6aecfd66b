use underpin_core::Delta;

use super::*;
use crate::{Adjacency, Event, SubsampledGaussian, rdp};

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

fn budget(value: f64) -> Budget {
    Budget::new(epsilon(value), Delta::new(1e-6).unwrap()).unwrap()
}

#[test]
fn what_is_spent_stays_within() {
    for value in [0.01, 1.0, 20.0] {
        let budget = budget(value);
        let stated = |rho: f64| {
            let orders = (0..8_000).map(|step| 1.0 + (f64::from(step) / 200.0 - 5.0).exp());
            rdp::least(orders, 1e-6, |order| order * rho)
        };
        assert!(stated(budget.rho()) <= value);
        assert!(stated(budget.rho() * 1.0003) > value, "none is left unused");
        let mut answers = 0;
        while budget.reserve(Cost::Concentrated(budget.rho() / 7.5)).map(|paid| paid.answer(|| ())).is_ok() {
            answers += 1;
        }
        assert_eq!(answers, 7);
    }
}

#[test]
fn what_does_not_fit_spends_nothing() {
    let budget = budget(1.0);
    let refused = budget.reserve(Cost::Pure(epsilon(2.0)));
    assert!(matches!(refused, Err(Error::OverBudget { of: "epsilon", .. })), "{refused:?}");
    let (half, delta) = (epsilon(0.5), Delta::new(1e-7).unwrap());
    let refused = budget.reserve(Cost::Approximate { epsilon: half, delta });
    assert!(matches!(refused, Err(Error::OverBudget { of: "delta", left: 0.0, .. })), "{refused:?}");
    for bad in [f64::NAN, f64::INFINITY, -1e-9] {
        assert!(budget.reserve(Cost::Concentrated(bad)).is_err(), "{bad}");
    }
    assert!(matches!(budget.reserve(Cost::Concentrated(1e300)), Err(Error::OverBudget { of: "Renyi divergence", .. })));
    assert!(budget.reserve(SubsampledGaussian::new(0.1, 0.05, 1.0).unwrap().cost(1 << 50, u64::MAX)).is_err());
    assert_eq!((budget.left(), budget.delta_left(), budget.head().sequence()), (1.0, 0.0, 0));
    let paid = budget.reserve(Cost::Concentrated(budget.rho() / 2.0)).unwrap();
    assert!((0.49..0.51).contains(&budget.left()));
    paid.give_back();
    assert_eq!(budget.left(), 1.0);
    drop(budget.reserve(Cost::Concentrated(budget.rho() / 2.0)).unwrap());
    assert!(budget.left() < 0.51, "dropped unused, it stays spent");
}

#[test]
fn a_cost_under_a_name_is_spent_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.budget");
    let terms = BudgetTerms { unit: "one row".into(), ..BudgetTerms::new(epsilon(1.0), Delta::new(1e-6).unwrap()) };
    let budget = Budget::create(&path, &terms).unwrap();
    let cost = Cost::Pure(epsilon(0.6));
    assert!(!budget.has_paid("counts").unwrap());
    budget.check_fits(&[cost]).unwrap();
    assert!(matches!(budget.check_fits(&[cost, cost]), Err(Error::OverBudget { of: "epsilon", .. })));
    assert_eq!(budget.left(), 1.0, "asking spends nothing");
    budget.pay_once("counts", cost).unwrap();
    budget.pay_once("counts", cost).unwrap();
    drop(budget);
    let budget = Budget::open_as_made(&path, None).unwrap();
    assert_eq!((budget.terms().unit.as_str(), budget.terms().epsilon), ("one row", epsilon(1.0)));
    budget.pay_once("counts", cost).unwrap();
    assert!(budget.has_paid("counts").unwrap());
    assert!((0.39..0.41).contains(&budget.left()), "{}", budget.left());
    assert!(matches!(budget.pay_once("others", cost), Err(Error::OverBudget { .. })));
    assert!(matches!(budget.pay_once("counts", Cost::Pure(epsilon(0.7))), Err(Error::OtherCost { .. })));
    budget.pay_once("others", Cost::Pure(epsilon(0.4))).unwrap();
}

#[test]
fn threads_share_one_budget() {
    let budget = budget(1.0);
    let cost = Cost::Concentrated(budget.rho() / 1000.5);
    let answers: u32 = std::thread::scope(|scope| {
        let count = || (0..1000).filter(|_| budget.reserve(cost).map(Reservation::commit).is_ok()).count() as u32;
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(answers, 1000);
    assert_eq!(budget.trail().unwrap().map(Result::unwrap).count(), 2001, "the terms, each cost, each answer");
}

/// One answer may cost all of ε; after an answer that has no ε, only the divergence counts.
#[test]
fn costs_of_both_kinds_share_one_budget() {
    let budget = budget(1.0);
    let paid = budget.reserve(Cost::Pure(epsilon(1.0))).unwrap();
    assert!(budget.reserve(Cost::Pure(epsilon(1e-9))).is_err());
    paid.give_back();
    let gaussian = budget.reserve(Cost::Concentrated(budget.rho() / 2.0)).unwrap();
    assert!(budget.reserve(Cost::Pure(epsilon(0.5))).is_err());
    budget.reserve(Cost::Pure(epsilon(0.125))).unwrap().answer(|| ());
    gaussian.give_back();
    budget.reserve(Cost::Pure(epsilon(0.875))).unwrap().commit();
}

#[test]
fn approximate_costs_spend_the_delta_set_aside() {
    let delta = |value| Delta::new(value).unwrap();
    let mechanism = SubsampledGaussian::new(0.01, 1.1, 1.0).unwrap();
    let by_divergence = mechanism.cost(500, 1000);
    let terms = BudgetTerms { set_aside: Some(delta(4e-6)), ..BudgetTerms::new(epsilon(4.0), delta(1e-5)) };
    let terms = terms.suited_to(&[by_divergence]).unwrap();
    let budget = Budget::in_memory(&terms).unwrap();
    let run = Event::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.1 }.repeated(500);
    let cost = run.cost(delta(2e-6), Adjacency::AddOrRemove).unwrap();
    assert!(matches!(cost, Cost::Approximate { epsilon, .. } if epsilon.value() > 1.0), "{cost:?}");
    budget.reserve(cost).unwrap().commit();
    assert!((budget.delta_left() - 0.5).abs() < 1e-9);
    assert!((0.6..0.75).contains(&budget.left()), "one minus ε over the whole: {}", budget.left());
    // The same run by its divergence; then a third that has an ε, by the divergence of it.
    budget.reserve(by_divergence).unwrap().commit();
    assert!((0.01..0.4).contains(&budget.left()), "{}", budget.left());
    assert!((budget.delta_left() - 0.5).abs() < 1e-9);
    let small = Cost::Approximate { epsilon: epsilon(1e-3), delta: delta(2.1e-6) };
    assert!(matches!(budget.reserve(small), Err(Error::OverBudget { of: "delta", .. })));
    for aside in [1e-5, 0.5] {
        assert!(Budget::in_memory(&BudgetTerms { set_aside: Some(delta(aside)), ..terms.clone() }).is_err());
    }
}

#[test]
fn the_record_says_what_was_asked() {
    let terms = BudgetTerms { unit: "one row".into(), ..BudgetTerms::new(epsilon(1.0), Delta::new(1e-6).unwrap()) };
    let budget = Budget::in_memory(&terms).unwrap();
    let cost = Cost::Pure(epsilon(0.01));
    let first = budget.reserve_for("mean age", cost).unwrap();
    let second = budget.reserve_for("count", cost).unwrap();
    assert_eq!((first.sequence(), second.sequence()), (1, 2));
    second.answer(|| ());
    first.give_back();
    let events: Vec<BudgetEvent> = budget.trail().unwrap().map(|entry| entry.unwrap().event).collect();
    let terms = BudgetTerms { order: Some(budget.filter.order()), ..terms };
    let reserved = |label: &str| BudgetEvent::Reserved { label: label.into(), cost };
    let [answered, given_back] = [BudgetEvent::Answered { reservation: 2 }, BudgetEvent::GivenBack { reservation: 1 }];
    assert_eq!(events, [BudgetEvent::Opened { terms }, reserved("mean age"), reserved("count"), answered, given_back]);
    let long = "é".repeat(129);
    assert_eq!(budget.reserve_for(&long, cost).unwrap_err(), Error::TextTooLong { bytes: 258, at_most: 256 });
    assert!(budget.reserve_for(&long[..256], cost).is_ok());
}

#[test]
fn sampled_steps_are_refused_under_another_relation() {
    let whole = BudgetTerms::new(epsilon(1.0), Delta::new(1e-6).unwrap());
    let cost = SubsampledGaussian::new(0.1, 10.0, 1.0).unwrap().cost(1, 1);
    for (adjacency, fits) in [(Adjacency::AddOrRemove, true), (Adjacency::ZeroOut, true), (Adjacency::Replace, false)] {
        let budget = Budget::in_memory(&BudgetTerms { adjacency, ..whole.clone() }).unwrap();
        assert_eq!(budget.reserve(cost).is_ok(), fits, "{adjacency:?}");
    }
}

#[test]
fn a_panicking_answer_stays_spent() {
    let budget = budget(1.0);
    let answer = std::panic::AssertUnwindSafe(|| {
        budget.reserve(Cost::Pure(epsilon(0.6))).unwrap().answer(|| panic!("while the answer is worked out"))
    });
    assert!(std::panic::catch_unwind(answer).is_err());
    assert!(budget.reserve(Cost::Pure(epsilon(0.6))).is_err());
    assert!(budget.reserve(Cost::Pure(epsilon(0.4))).is_ok());
}

/// Fails by a panic, like a store with a defect.
struct Broken;

impl EntryStore for Broken {
    fn append(&mut self, _: u64, _: &[Vec<u8>]) -> Result<(), Error> {
        panic!("while writing")
    }
}

#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    let Budget { ref terms, .. } = budget(1.0);
    let mut memory = MemoryStore::default();
    memory.append(0, &[genesis(terms)]).unwrap();
    let budget = Budget::over(terms, None, Kept::Memory(memory), Box::new(Broken)).unwrap();
    let cost = Cost::Pure(epsilon(0.01));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| budget.reserve(cost).map(drop))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "one panics");
    for refused in outcomes.into_iter().flatten() {
        assert!(matches!(refused, Err(Error::BudgetFile { .. })), "{refused:?}");
    }
    assert!(budget.reserve(cost).is_err() && budget.trail().is_err());
}

/// Steps pay for the noise's distance out of its own part of δ.
#[test]
fn noise_pays_for_its_distance() {
    let budget = budget(1.0);
    let mechanism = SubsampledGaussian::new(1e-3, 1000.0, 1.0).unwrap();
    // (1 + e) 2^-104 each, of a millionth of a millionth.
    let most = (1e-6 / (1.0 + std::f64::consts::E) * 2f64.powi(104 - 20)) as u64;
    let refused = budget.reserve(mechanism.cost(1, most + most / 1000)).unwrap_err();
    assert!(matches!(refused, Error::OverBudget { of: "delta for the noise's distance", .. }), "{refused:?}");
    budget.reserve(mechanism.cost(1, most - most / 1000)).unwrap().commit();
    assert!(budget.reserve(mechanism.cost(1, most / 100)).is_err());
    assert!(budget.reserve(mechanism.cost(1, 0)).is_ok());
}
