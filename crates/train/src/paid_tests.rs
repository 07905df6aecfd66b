//! The numbered guarantees of [`Engine::pay`].

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use underpin_core::{Delta, Epsilon, Seed, Trainer};
use underpin_privacy::{
    Accountant, Adjacency, Budget, BudgetEvent, BudgetTerms, Cost, NoiseSource, SecretKey, SubsampledGaussian,
};

use super::*;
use crate::resume::tests::{data, end_as_if_not_killed, engine, kept, losses, method, net, sgd, values};
use crate::{Checkpoints, Classifier, DeviceKind, Method, NoAdversary, Sgd, Shuffled, Steps};

fn terms() -> BudgetTerms {
    let (epsilon, delta) = (Epsilon::new(8.0).unwrap(), Delta::new(1e-4).unwrap());
    let set_aside = Some(Delta::new(5e-5).unwrap());
    BudgetTerms { adjacency: Adjacency::ZeroOut, set_aside, unit: "one row".into(), ..BudgetTerms::new(epsilon, delta) }
}

fn memory() -> Arc<Budget> {
    Arc::new(Budget::in_memory(&terms()).unwrap())
}

pub(crate) fn file(path: &Path) -> Arc<Budget> {
    Arc::new(if path.exists() { Budget::open(path, &terms(), None) } else { Budget::create(path, &terms()) }.unwrap())
}

fn payment(budget: Arc<Budget>) -> Payment {
    Payment { budget, accountant: Accountant::LossDistribution { delta: Delta::new(1e-5).unwrap() } }
}

/// The same training, paid for.
pub(crate) fn paid(mut sgd: Sgd<NoAdversary>, budget: Arc<Budget>) -> Sgd<NoAdversary> {
    sgd.privacy.as_mut().unwrap().payment = Some(payment(budget));
    sgd
}

fn model(trained: &Classifier) -> Vec<u8> {
    trained.to_safetensors().unwrap()
}

/// Guarantee 1; and the next run pays again.
#[test]
fn a_spent_budget_refuses_before_anything_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let budget = memory();
    paid(sgd(), Arc::clone(&budget)).train(&data(), Seed(3)).unwrap();
    let spent = 1.0 - budget.left();
    assert!((5.5 / 8.0..=6.0 / 8.0).contains(&spent), "{spent}");
    let head = budget.head();
    let refused = paid(sgd(), Arc::clone(&budget)).train_kept(&data(), Seed(4), &kept(folder.path())).unwrap_err();
    assert!(matches!(refused, Error::Privacy(underpin_privacy::Error::OverBudget { .. })), "{refused}");
    assert_eq!(budget.head(), head, "nothing was charged");
    assert!(fs::read(folder.path().join("run.steps")).unwrap().is_empty(), "nothing was begun");
    assert!(!folder.path().join("run").exists());
    for kind in [1, 2] {
        let budget = memory();
        budget.reserve(Cost::Pure(Epsilon::new(7.9).unwrap())).unwrap().commit();
        let refused = engine(kind, 1).pay(&net(), &payment(budget)).unwrap_err();
        assert!(matches!(refused, Error::Privacy(underpin_privacy::Error::OverBudget { .. })), "{refused}");
    }
    let shuffled = Steps::Shuffled(Shuffled::new(20, 6, Seed(1)).unwrap());
    let plain = Engine::new(shuffled, method(), AdamConfig::new().init(), vec![DeviceKind::Flex.device()]).unwrap();
    assert!(matches!(plain.pay(&net(), &payment(memory())), Err(Error::Unpaid { .. })));
}

/// Guarantee 5 of `Privacy`.
#[test]
fn what_pays_does_not_change_the_model() {
    // The same noise each time, so that the models can be compared.
    let sgd = || {
        let mut sgd = sgd();
        sgd.privacy.as_mut().unwrap().noise = NoiseSource::dangerous_from_seed([7; 32]);
        sgd
    };
    let expected = model(&sgd().train(&data(), Seed(3)).unwrap().value);
    let trained = paid(sgd(), memory()).train(&data(), Seed(3)).unwrap();
    assert!(model(&trained.value) == expected);
    assert_eq!(trained.record.parameters["training.budget.unit"], "one row".into());
    let mut by_divergence = paid(sgd(), memory());
    by_divergence.privacy.as_mut().unwrap().payment.as_mut().unwrap().accountant = Accountant::Renyi;
    assert!(model(&by_divergence.train(&data(), Seed(3)).unwrap().value) == expected);
}

/// Guarantee 2.
#[test]
fn a_killed_run_is_charged_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("budget")).unwrap();
    let at_once = memory();
    end_as_if_not_killed(folder.path(), &paid(sgd(), Arc::clone(&at_once)));
    let budget = file(&folder.path().join("budget/file"));
    assert_eq!(budget.left().to_bits(), at_once.left().to_bits());
    let events: Vec<BudgetEvent> = budget.trail().unwrap().map(|entry| entry.unwrap().event).collect();
    let charges =
        events.iter().filter(|act| matches!(act, BudgetEvent::Begun { .. } | BudgetEvent::Reserved { .. })).count();
    assert_eq!(charges, 1);
    assert!(
        matches!(events.last(), Some(BudgetEvent::Reached { mark: RunMark { steps: 50, .. }, .. })),
        "{:?}",
        events.last()
    );
    // Every fourth step, the first and the last; a kill may leave a mark out of step.
    assert!((14..=24).contains(&events.len()), "{}", events.len());
}

/// A run of kind `kind`, paid from the budget at `path`, taken up and brought to `until` steps, saved at `saved`.
fn advance(kind: usize, folder: &Path, path: &Path, until: u64, saved: u64) -> Result<Vec<f32>, Error> {
    let (run, model, _) = engine(kind, 1).keep(net(), &kept(folder))?;
    let mut run = run.pay(&model, &payment(file(path)))?;
    let mut model = model;
    while run.taken() < until {
        model = run.step(model, losses(1.0))?.0;
        if run.taken() == saved {
            run.save(&model, &kept(folder), "")?;
        }
    }
    Ok(values(&model))
}

/// Guarantee 3.
#[test]
fn a_budget_rolled_back_or_swapped_is_refused() {
    for kind in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let [path, before, early, other] = ["budget", "before", "early", "other"].map(|name| folder.join(name));
        drop(file(&path));
        fs::copy(&path, &before).unwrap();
        drop(file(&other));
        advance(kind, folder, &path, 2, 0).unwrap();
        fs::copy(&path, &early).unwrap();
        for copy in [&before, &other] {
            let refused = advance(kind, folder, copy, 9, 9).unwrap_err().to_string();
            assert!(refused.contains("2 steps have begun, and this budget has not paid"), "{refused}");
        }
        advance(kind, folder, &path, 5, 4).unwrap();
        for copy in [&before, &early, &other] {
            let head = file(copy).head();
            let refused = advance(kind, folder, copy, 9, 9).unwrap_err();
            assert!(matches!(refused, Error::Privacy(underpin_privacy::Error::BudgetRolledBack { .. })), "{refused}");
            assert_eq!(file(copy).head(), head, "nothing was charged");
        }
        let (mut unpaid, model, _) = engine(kind, 1).keep(net(), &kept(folder)).unwrap();
        assert!(matches!(unpaid.draw(), Err(Error::Unpaid { .. })));
        // Saved again, it still knows its budget.
        unpaid.save(&model, &kept(folder), "").unwrap();
        drop(unpaid);
        assert!(advance(kind, folder, &early, 9, 9).is_err());
        let ended = advance(kind, folder, &path, 12, 9).unwrap();
        let (mut whole, mut expected) = (engine(kind, 1), net());
        for _ in 0..12 {
            expected = whole.step(expected, losses(1.0)).unwrap().0;
        }
        assert_eq!(ended, values(&expected), "{kind}");
    }
}

/// Guarantee 4.
#[test]
fn a_list_of_steps_rolled_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [path, steps, run] = ["budget", "run.steps", "run"].map(|name| folder.join(name));
    advance(1, folder, &path, 1, 0).unwrap();
    let first = fs::read(&steps).unwrap();
    advance(1, folder, &path, 4, 0).unwrap();
    let whole = fs::read(&steps).unwrap();
    let mut other = whole.clone();
    other[50] ^= 1;
    let refused = |list: &[u8]| {
        fs::write(&steps, list).unwrap();
        let refused = advance(1, folder, &path, 9, 9).unwrap_err().to_string();
        assert!(refused.contains("is not the one of which its budget knows 4"), "{refused}");
    };
    for list in [&[], first.as_slice(), &whole[..3 * 40], &other] {
        refused(list);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(matches!(advance(1, elsewhere.path(), &path, 9, 9), Err(Error::Checkpoint { .. })));
    let again = engine(1, 1).pay(&net(), &payment(file(&path))).unwrap_err();
    assert!(matches!(again, Error::Unpaid { .. }), "{again}");
    assert!(!run.exists());
    fs::write(&steps, &whole).unwrap();
    advance(1, folder, &path, 9, 9).unwrap();
    // Nor is a run taken up that was not kept.
    let budget = memory();
    drop(engine(1, 1).pay(&net(), &payment(Arc::clone(&budget))).unwrap());
    let (anew, model, _) = engine(1, 1).keep(net(), &kept(elsewhere.path())).unwrap();
    assert!(matches!(anew.pay(&model, &payment(budget)), Err(Error::Checkpoint { .. })));
    // A run that went on unpaid is not paid for afterwards.
    let unpaid = tempfile::tempdir().unwrap();
    let (mut begun, model, _) = engine(1, 7).keep(net(), &kept(unpaid.path())).unwrap();
    let model = begun.step(model, losses(1.0)).unwrap().0;
    assert!(matches!(begun.pay(&model, &payment(memory())), Err(Error::Unpaid { .. })));
    let mut drawn = engine(1, 8);
    let _ = drawn.draw().unwrap();
    assert!(matches!(drawn.pay(&net(), &payment(memory())), Err(Error::Unpaid { .. })));
}

/// Guarantee 5.
#[test]
fn a_step_beyond_what_was_paid_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = SubsampledGaussian::new(0.3, 1.0, 1.0).unwrap().start(26, 3, SecretKey::new([5; 32])).unwrap();
    let device = DeviceKind::Flex.device();
    let method = Method { steps: 9, ..method() };
    let run = Engine::new(Steps::Poisson(run), method, AdamConfig::new().init(), vec![device.clone()]).unwrap();
    let (run, mut model, _) = run.keep(net(), &Checkpoints { every: 2, ..kept(folder.path()) }).unwrap();
    let budget = memory();
    let mut run = run.pay(&model, &payment(Arc::clone(&budget))).unwrap();
    let begun = || fs::metadata(folder.path().join("run.steps")).unwrap().len() / 40;
    for _ in 0..2 {
        model = run.step(model, losses(1.0)).unwrap().0;
    }
    let wide = LinearConfig::new(3, 3).with_bias(false).init(&device.autodiff());
    let refused = run.step(wide, losses(1.0)).unwrap_err();
    assert!(
        matches!(refused, Error::Privacy(underpin_privacy::Error::OutOfRange(ref out)) if (out.value - 10.0).abs() < 1e-9),
        "{refused}"
    );
    assert_eq!((begun(), run.taken()), (2, 3), "drawn, and not begun");
    let head = budget.head();
    let refused = run.draw().unwrap_err();
    let exhausted = underpin_privacy::Error::StepsExhausted { max_steps: 3 };
    assert!(matches!(&refused, Error::Privacy(found) if *found == exhausted), "{refused}");
    assert_eq!((begun(), budget.head()), (2, head));
    assert!(matches!(run.pay(&model, &payment(budget)), Err(Error::Unpaid { .. })));
}
