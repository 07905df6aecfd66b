//! LiRA and the gap attack on models that overfit, and on models that do not.

use underpin_core::*;
use underpin_metrics::Error;
use underpin_metrics::membership::{
    LabelOnlyGap, Lira, MembershipAdvantage, MembershipAuc, MembershipScores, Threshold, TprAtFpr, Variance,
};

use crate::support::*;

const MEMBERS: usize = 60;
/// Remembers noise: 40 features, 60 rows, labels that mean little.
const OVERFITTING: Descent = Descent { steps: 400, rate: 3.0 };

fn pool() -> Examples {
    blobs(&[40], 4, 2 * MEMBERS, 0.5, 3)
}

fn members() -> Examples {
    pool().select(&(0..MEMBERS).collect::<Vec<_>>())
}

fn lira(trainer: &Descent, shadows: usize) -> Lira<'_, Descent> {
    Lira { trainer, shadows, variance: Variance::Global, members: MEMBERS }
}

#[test]
fn lira_tells_the_members_of_a_model_that_overfits() {
    let target = OVERFITTING.train(&members(), Seed(0)).unwrap().value;
    let attack = lira(&OVERFITTING, 16);
    let scores = attack.run(&target, &pool(), Seed(1)).unwrap();
    assert_eq!((scores.members.len(), scores.others.len(), scores.queries), (MEMBERS, MEMBERS, 120));
    assert_eq!(scores, attack.run(&target, &pool(), Seed(1)).unwrap(), "repeats under a seed, threads or not");
    let setting = attack.setting(System::Undefended, confidence());
    let auc = MembershipAuc { setting: setting.clone() }.measure(&scores).unwrap();
    let tpr = TprAtFpr { setting: setting.clone(), fpr: 0.1 }.measure(&scores).unwrap();
    let lira = MembershipAdvantage { setting, threshold: Threshold::CrossFitted }.measure(&scores).unwrap();
    assert!(auc.interval.lower > 0.8, "{auc}");
    assert!(tpr.value > 0.5, "{tpr}");
    let attack = LabelOnlyGap { members: MEMBERS };
    let setting = attack.setting(System::Undefended, confidence());
    let scores = attack.run(&target, &pool(), Seed(1)).unwrap();
    let gap = MembershipAdvantage { setting, threshold: Threshold::Fixed(0.5) }.measure(&scores).unwrap();
    assert!(gap.interval.lower > 0.0 && lira.value > gap.value, "{gap} {lira}");
    assert_eq!((gap.access, auc.access), (Some(Access::BlackBox), Some(Access::GrayBox)));
}

#[test]
fn lira_is_at_chance_on_a_model_that_saw_no_member() {
    let strangers = blobs(&[40], 4, MEMBERS, 0.5, 77);
    let target = OVERFITTING.train(&strangers, Seed(0)).unwrap().value;
    let attack = lira(&OVERFITTING, 16);
    let scores = attack.run(&target, &pool(), Seed(1)).unwrap();
    // 99.9 % interval: one false alarm in a thousand seeds.
    let setting = attack.setting(System::Undefended, Confidence::new(0.999).unwrap());
    let auc = MembershipAuc { setting }.measure(&scores).unwrap();
    assert!(auc.interval.lower <= 0.5 && auc.interval.upper >= 0.5, "{auc}");
}

#[test]
fn every_sample_is_in_half_of_the_shadow_models() {
    let trainer = Descent { steps: 1, rate: 1.0 };
    for (count, classes) in [(21, 3), (20, 4)] {
        let pool = blobs(&[3], classes, count, 0.1, 1);
        let attack = Lira { members: 10, ..lira(&trainer, 6) };
        let shadows = attack.shadows(&pool, Seed(1)).unwrap();
        assert_eq!(shadows.models().len(), 6);
        for sample in 0..count {
            assert_eq!(shadows.models().iter().filter(|shadow| shadow.included[sample]).count(), 3);
        }
        for shadow in shadows.models() {
            let size = shadow.included.iter().filter(|included| **included).count();
            assert!(size.abs_diff(count - size) <= classes, "about half: {size}");
        }
        let halves: std::collections::HashSet<_> = shadows.models().iter().map(|s| s.included.clone()).collect();
        assert_eq!(halves.len(), 6, "no half twice");
    }
}

#[test]
fn scores_do_not_depend_on_the_split() {
    let target = OVERFITTING.train(&members(), Seed(0)).unwrap().value;
    let joined = |scores: MembershipScores| [scores.members, scores.others].concat();
    let shadows = lira(&OVERFITTING, 4).shadows(&pool(), Seed(1)).unwrap();
    let reference = shadows.reference(Variance::Global, Predict::predict).unwrap();
    let at = |members| joined(reference.score(&target, members).unwrap());
    assert_eq!(at(1), at(MEMBERS));
    let gap = |members| joined(LabelOnlyGap { members }.run(&target, &pool(), Seed(1)).unwrap());
    assert_eq!(gap(1), gap(MEMBERS));
}

#[test]
fn shadows_are_trained_once_and_score_targets_behind_guards() {
    let target = OVERFITTING.train(&members(), Seed(0)).unwrap().value;
    let shadows = lira(&OVERFITTING, 16).shadows(&pool(), Seed(1)).unwrap();
    let open = shadows.reference(Variance::Global, Predict::predict).unwrap();
    let labels = shadows.reference(Variance::Global, |model, inputs| LabelOnly(model).predict(inputs)).unwrap();
    let auc = |scores: MembershipScores| {
        let setting = lira(&OVERFITTING, 16).setting(System::Defended, confidence());
        MembershipAuc { setting }.measure(&scores).unwrap().value
    };
    let through = |guarded: f64, open: f64| assert!(guarded > 0.55 && guarded < open, "{guarded} {open}");
    through(auc(labels.score(&LabelOnly(&target), MEMBERS).unwrap()), auc(open.score(&target, MEMBERS).unwrap()));
}

#[test]
fn what_cannot_be_attacked_is_refused() {
    let target = fitted(&pool());
    let run = |attack: Lira<'_, Descent>| attack.run(&target, &pool(), Seed(1)).unwrap_err();
    let trainer = Descent { steps: 1, rate: 1.0 };
    for shadows in [0, 1, 3] {
        assert!(matches!(run(lira(&trainer, shadows)), Error::OutOfRange(ref out) if out.name == "shadows"));
    }
    for members in [0, 120, 121] {
        assert!(matches!(run(Lira { members, ..lira(&trainer, 2) }), Error::NoObservations { .. }));
        let gap = LabelOnlyGap { members }.run(&target, &pool(), Seed(1));
        assert!(matches!(gap, Err(Error::NoObservations { .. })));
    }
    let nan = lira(&trainer, 2).run(&NotANumber(4), &pool(), Seed(1));
    assert!(matches!(nan, Err(Error::NotANumber { .. })));
    let guard = Limited::new(&target, 119);
    assert!(matches!(lira(&trainer, 2).run(&guard, &pool(), Seed(1)), Err(Error::Denied(_))));
    let single = blobs(&[40], 4, 1, 0.1, 1);
    let alone = Lira { members: 1, ..lira(&trainer, 2) }.shadows(&single, Seed(1)).map(|_| ());
    assert!(matches!(alone, Err(Error::Training { model: "shadow model", .. })), "one half is empty");
}
