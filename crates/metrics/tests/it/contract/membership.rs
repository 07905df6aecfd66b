//! One table of all membership inference attacks, with shared assertions.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::membership::{
    LabelOnlyGap, Lira, MembershipAdvantage, MembershipAuc, MembershipScores, Threshold, Variance,
};

use crate::support::*;

const MEMBERS: usize = 60;
/// Remembers noise: 40 features, 60 rows, labels that mean little.
const OVERFITTING: Descent = Descent { steps: 400, rate: 3.0 };

type Run = Box<dyn Fn(&dyn Predict, &Examples, usize, Seed) -> Result<MembershipScores, Error>>;

/// A membership attack with the facts that its contract depends on.
struct Row {
    name: &'static str,
    run: Run,
    /// Where "member" begins.
    threshold: Threshold,
    /// Most queries for each sample.
    budget: u64,
    /// Whether the outcome depends on the seed.
    randomised: bool,
}

/// LiRA with eight shadow models.
fn lira(name: &'static str, variance: Variance) -> Row {
    let run: Run = Box::new(move |target, pool, members, seed| {
        Lira { trainer: &OVERFITTING, shadows: 8, variance, members }.run(target, pool, seed)
    });
    Row { name, run, threshold: Threshold::CrossFitted, budget: 1, randomised: true }
}

/// Every membership attack.
fn table() -> Vec<Row> {
    vec![
        lira("lira", Variance::Global),
        lira("lira, a variance per example", Variance::PerExample),
        Row {
            name: "label_only_gap",
            run: Box::new(|target, pool, members, seed| LabelOnlyGap { members }.run(target, pool, seed)),
            threshold: Threshold::Fixed(0.5),
            budget: 1,
            randomised: false,
        },
    ]
}

fn pool() -> Examples {
    blobs(&[40], 4, 2 * MEMBERS, 0.5, 3)
}

/// A model that remembers its members.
fn leaky() -> Linear {
    OVERFITTING.train(&pool().select(&(0..MEMBERS).collect::<Vec<_>>()), Seed(0)).unwrap().value
}

fn setting() -> underpin_metrics::Setting {
    LabelOnlyGap { members: MEMBERS }.setting(System::Undefended, Confidence::new(0.999).unwrap())
}

fn auc(scores: &MembershipScores) -> Measurement {
    MembershipAuc { setting: setting() }.measure(scores).unwrap()
}

fn advantage(scores: &MembershipScores, threshold: Threshold) -> Measurement {
    MembershipAdvantage { setting: setting(), threshold }.measure(scores).unwrap()
}

#[test]
fn every_attack_scores_every_sample_once() {
    let target = leaky();
    for Row { name, run, .. } in table() {
        for members in [1, MEMBERS, 2 * MEMBERS - 1] {
            let scores = run(&target, &pool(), members, Seed(7)).unwrap();
            assert_eq!((scores.members.len(), scores.others.len()), (members, 2 * MEMBERS - members), "{name}");
            assert!(scores.members.iter().chain(&scores.others).all(|score| score.is_finite()), "{name}");
        }
    }
}

#[test]
fn every_attack_counts_its_queries_and_keeps_its_budget() {
    let target = leaky();
    for Row { name, run, budget, .. } in table() {
        let counted = Limited::new(&target, u64::MAX / 2);
        let scores = run(&counted, &pool(), MEMBERS, Seed(7)).unwrap();
        assert_eq!(scores.queries, counted.used(), "{name}: what it reports is what was asked");
        assert!(scores.queries <= budget * 2 * MEMBERS as u64, "{name}: {} queries", scores.queries);
        let short = Limited::new(&target, 2 * MEMBERS as u64 - 1);
        let denied = run(&short, &pool(), MEMBERS, Seed(7)).unwrap_err();
        assert!(matches!(denied, Error::Denied(Denied::QuotaExhausted { .. })), "{name}: a sample is not answered");
        assert_eq!(denied.origin(), ErrorOrigin::System, "{name}");
    }
}

#[test]
fn every_attack_repeats_under_a_seed_and_differs_under_another() {
    let target = leaky();
    for Row { name, run, randomised, .. } in table() {
        let at = |seed| run(&target, &pool(), MEMBERS, Seed(seed)).unwrap();
        assert_eq!(at(7), at(7), "{name}: bit by bit");
        assert_eq!(at(7) != at(8), randomised, "{name}");
    }
}

#[test]
fn every_attack_scores_without_knowing_the_members() {
    let target = leaky();
    let joined = |scores: MembershipScores| [scores.members, scores.others].concat();
    for Row { name, run, .. } in table() {
        let at = |members| joined(run(&target, &pool(), members, Seed(7)).unwrap());
        assert_eq!(at(1), at(MEMBERS), "{name}");
    }
}

/// 99.9 % intervals: one false alarm in a thousand seeds for each attack and target.
#[test]
fn every_attack_is_at_chance_on_a_constant_model_and_on_one_that_saw_no_member() {
    let strangers = OVERFITTING.train(&blobs(&[40], 4, MEMBERS, 0.5, 77), Seed(0)).unwrap().value;
    let constant = Constant { classes: 4, class: 1 };
    for Row { name, run, threshold, .. } in table() {
        for (which, target) in [("constant", &constant as &dyn Predict), ("of strangers", &strangers)] {
            let scores = run(target, &pool(), MEMBERS, Seed(7)).unwrap();
            let area = auc(&scores).interval;
            assert!(area.lower <= 0.5 && area.upper >= 0.5, "{name} {which}: {area:?}");
            let gained = advantage(&scores, threshold).interval;
            assert!(gained.lower <= 0.0 && gained.upper >= 0.0, "{name} {which}: {gained:?}");
        }
        // The label of a constant model is right for members and others alike: each class is a quarter of both.
        let scores = run(&constant, &pool(), MEMBERS, Seed(7)).unwrap();
        if matches!(threshold, Threshold::Fixed(_)) {
            assert!(advantage(&scores, threshold).value.abs() < 1e-12, "{name}: no gain at all");
        }
    }
}

#[test]
fn every_attack_finds_the_members_of_a_model_that_remembers_them() {
    let target = leaky();
    for Row { name, run, threshold, .. } in table() {
        let scores = run(&target, &pool(), MEMBERS, Seed(7)).unwrap();
        assert!(auc(&scores).interval.lower > 0.5, "{name}: {}", auc(&scores));
        let gained = advantage(&scores, threshold);
        assert!(gained.interval.lower > 0.0, "{name}: {gained}");
    }
}

#[test]
fn every_attack_errs_on_bad_settings_and_samples() {
    let target = leaky();
    for Row { name, run, .. } in table() {
        for members in [0, 2 * MEMBERS, 2 * MEMBERS + 1] {
            let error = run(&target, &pool(), members, Seed(1)).unwrap_err();
            assert!(matches!(error, Error::NoObservations { .. }), "{name} {members}: {error}");
        }
        let error = run(&target, &pool().select(&[]), 1, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::NoObservations { .. }), "{name}: {error}");
        let mut inputs = pool().inputs().clone();
        inputs.values_mut()[41] = 1.5;
        let error = run(&target, &pool().with_inputs(inputs).unwrap(), MEMBERS, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::Feature { example: 1, position: 1, .. }), "{name}: {error}");
        let error = run(&NotANumber(3), &pool(), MEMBERS, Seed(1)).unwrap_err();
        assert!(matches!(error, Error::Classes { expected: 4, found: 3 }), "{name}: {error}");
    }
    for shadows in [0, 1, 7] {
        let attack = Lira { trainer: &OVERFITTING, shadows, variance: Variance::Global, members: MEMBERS };
        let error = attack.run(&target, &pool(), Seed(1)).unwrap_err();
        assert!(matches!(&error, Error::OutOfRange(range) if range.name == "shadows"), "{error}");
        assert_eq!(error.origin(), ErrorOrigin::Caller);
    }
}
