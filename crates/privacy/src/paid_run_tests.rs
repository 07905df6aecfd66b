use std::path::Path;

use underpin_core::Epsilon;

use super::*;
use crate::{BandedFactor, BudgetTerms, CorrelatedGaussian, Participation, SecretKey, SubsampledGaussian};

const WIDTH: u64 = 1_000;

fn delta(value: f64) -> Delta {
    Delta::new(value).unwrap()
}

fn steps(key: u8, count: u64) -> PrivateSteps {
    let mechanism = SubsampledGaussian::new(0.02, 1.0, 1.0).unwrap();
    mechanism.start(5_000, count, SecretKey::new([key; 32])).unwrap()
}

fn banded(key: u8) -> CorrelatedSteps {
    let (factor, part) = (BandedFactor::square_root(3).unwrap(), Participation::new(12, 4).unwrap());
    CorrelatedGaussian::new(factor, part, 4.0, 1.0).unwrap().start(26, SecretKey::new([key; 32])).unwrap()
}

fn terms(epsilon: f64) -> BudgetTerms {
    let terms = BudgetTerms::new(Epsilon::new(epsilon).unwrap(), delta(1e-5));
    BudgetTerms { adjacency: Adjacency::ZeroOut, set_aside: Some(delta(5e-6)), ..terms }
}

fn budget(epsilon: f64) -> Arc<Budget> {
    Arc::new(Budget::in_memory(&terms(epsilon)).unwrap())
}

fn file(path: &Path) -> Arc<Budget> {
    let terms = terms(8.0);
    Arc::new(if path.exists() { Budget::open(path, &terms, None) } else { Budget::create(path, &terms) }.unwrap())
}

const ACCOUNTANTS: [fn() -> Accountant; 2] =
    [|| Accountant::Renyi, || Accountant::LossDistribution { delta: delta(1e-6) }];

/// Guarantee 1: the ε charged is that of the accountant, and what is charged is no less than what is spent.
#[test]
fn a_run_that_does_not_fit_is_refused() {
    let spent = steps(1, 200).mechanism().epsilon(200, delta(1e-6)).unwrap().upper;
    let charge = Accountant::LossDistribution { delta: delta(1e-6) };
    assert!(steps(1, 200).pay(&budget(spent * 1.01), charge, WIDTH).is_ok());
    for (epsilon, charge) in [(spent * 0.99, charge), (0.1, Accountant::Renyi)] {
        let budget = budget(epsilon);
        let refused = steps(1, 200).pay(&budget, charge, WIDTH).unwrap_err();
        assert!(matches!(refused, Error::OverBudget { .. }), "{refused}");
        assert_eq!((budget.left(), budget.head().sequence()), (1.0, 0));
    }
    let (by_hand, by_run) = (budget(8.0), budget(8.0));
    by_hand.reserve(steps(1, 200).mechanism().cost(200, WIDTH)).unwrap().commit();
    drop(steps(1, 200).pay(&by_run, Accountant::Renyi, WIDTH).unwrap());
    assert_eq!(by_run.left(), by_hand.left());
    // One Gaussian mechanism, whole: ρ = 1 / 2σ².
    let budget = budget(8.0);
    let run = banded(1).pay(&budget, Accountant::Renyi, WIDTH).unwrap();
    let rho = 1.0 / 32.0 / budget.rho();
    assert!((budget.left() - (1.0 - rho)).abs() < 1e-6, "{} left, {rho} spent", budget.left());
    drop(run);
    let spent = banded(2).mechanism().epsilon(delta(1e-6)).unwrap().upper;
    for (epsilon, fits) in [(spent * 1.01, true), (spent * 0.99, false)] {
        assert_eq!(banded(2).pay(&self::budget(epsilon), charge, WIDTH).is_ok(), fits);
    }
    // The noise's distance from its ideal has to be paid for too.
    for accountant in ACCOUNTANTS {
        assert!(steps(1, 200).pay(&self::budget(8.0), accountant(), u64::MAX).is_err());
        assert!(banded(1).pay(&self::budget(8.0), accountant(), u64::MAX).is_err());
    }
}

/// Guarantees 2 and 5.
#[test]
fn a_run_is_paid_for_once() {
    for accountant in ACCOUNTANTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("budget");
        let mut left = None;
        for life in 0..4 {
            let budget = file(&path);
            let first = steps(1, 100).pay(&budget, accountant(), WIDTH).unwrap();
            assert_eq!(first.was_begun(), life > 0);
            assert!(steps(1, 100).is_paid_by(&budget).unwrap() && !steps(2, 100).is_paid_by(&budget).unwrap());
            assert!(matches!(steps(1, 100).pay(&budget, accountant(), WIDTH), Err(Error::RunInUse { .. })));
            drop(first);
            drop(steps(1, 100).pay(&budget, accountant(), WIDTH).unwrap());
            assert!(left.is_none_or(|left: f64| left == budget.left()));
            left = Some(budget.left());
            let more = steps(1, 101).pay(&budget, accountant(), WIDTH).unwrap_err();
            assert!(matches!(more, Error::OtherCost { .. }), "{more}");
        }
        let budget = file(&path);
        let before = budget.left();
        let begun = |budget: &Budget| {
            let events = budget.trail().unwrap().map(|entry| entry.unwrap().event);
            events.filter(|event| matches!(event, BudgetEvent::Begun { .. })).count()
        };
        assert_eq!(begun(&budget), 1);
        // Another key is another run.
        assert!(!steps(2, 100).pay(&budget, accountant(), WIDTH).unwrap().was_begun());
        assert!(budget.left() < before && begun(&budget) == 2);
    }
}

/// Guarantee 3.
#[test]
fn no_step_passes_what_was_paid_for() {
    let run = steps(1, 100).pay(&budget(8.0), Accountant::Renyi, WIDTH).unwrap();
    assert!(run.check(1, WIDTH).is_ok() && run.check(100, 0).is_ok());
    assert_eq!(run.check(101, 1).unwrap_err(), Error::StepsExhausted { max_steps: 100 });
    assert!(matches!(run.check(1, WIDTH + 1), Err(Error::OutOfRange(_))));
}

/// Guarantee 4.
#[test]
fn a_run_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budget");
    let mark = |steps, digest| RunMark { steps, digest: [digest; 32] };
    let budget = file(&path);
    let other = steps(2, 100).pay(&budget, Accountant::Renyi, WIDTH).unwrap();
    let mut run = steps(1, 100).pay(&budget, Accountant::Renyi, WIDTH).unwrap();
    assert_eq!(run.reached(), None);
    run.mark(mark(1, 1)).unwrap();
    run.mark(mark(5, 5)).unwrap();
    let entries = budget.head();
    run.mark(mark(5, 5)).unwrap();
    assert_eq!(budget.head(), entries, "nothing new");
    drop((run, other));
    drop(budget);
    let budget = file(&path);
    budget.check_contains(&entries).unwrap();
    let mut run = steps(1, 100).pay(&budget, Accountant::Renyi, WIDTH).unwrap();
    assert_eq!(run.reached(), Some(mark(5, 5)));
    for back in [mark(5, 6), mark(4, 4)] {
        assert!(matches!(run.mark(back), Err(Error::RunBehind { reached: 5, .. })));
    }
    run.mark(mark(6, 6)).unwrap();
    assert_eq!(steps(2, 100).pay(&budget, Accountant::Renyi, WIDTH).unwrap().reached(), None);
    // Budgets of the same terms begin alike: only what follows distinguishes them.
    let elsewhere = self::budget(8.0);
    drop(steps(3, 100).pay(&elsewhere, Accountant::Renyi, WIDTH).unwrap());
    for (budget, known) in [(&elsewhere, entries), (&budget, elsewhere.head())] {
        assert!(matches!(budget.check_contains(&known), Err(Error::BudgetRolledBack { .. })));
    }
}

/// Guarantee 6.
#[test]
fn a_budget_of_another_relation_does_not_pay() {
    for adjacency in [Adjacency::AddOrRemove, Adjacency::Replace] {
        let budget = Arc::new(Budget::in_memory(&BudgetTerms { adjacency, ..terms(8.0) }).unwrap());
        for accountant in ACCOUNTANTS {
            let refused = steps(1, 100).pay(&budget, accountant(), WIDTH).unwrap_err();
            assert!(matches!(refused, Error::OtherRelation { .. }), "{refused}");
            assert!(matches!(banded(1).pay(&budget, accountant(), WIDTH), Err(Error::OtherRelation { .. })));
        }
    }
}
