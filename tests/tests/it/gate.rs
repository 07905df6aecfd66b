//! The gate lets nothing pass that it should not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use underpin::seal::policy;
use underpin::stages::{Assessed, Declared, Provenance};
use underpin::{Error, Model, Protection, Recipe};
use underpin_core::{
    About, Audited, Denied, Disclosure, Examples, Inputs, LossGradient, Outputs, Predict, Record, Seed, Shape, Trainer,
    Unmet,
};
use underpin_privacy::SecretKey;

use crate::support::{job, key, run};

/// Answers the first class whatever it is asked.
struct Constant {
    shape: Shape,
    classes: usize,
}

impl Predict for Constant {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Denied::unless_valid(inputs, &self.shape)?;
        let row = |class| if class == 0 { 1.0 } else { 0.0 };
        let scores = (0..inputs.len()).flat_map(|_| (0..self.classes).map(row)).collect();
        Ok(Outputs::new(self.classes, scores, Disclosure::Scores).expect("a score per class"))
    }
}

impl LossGradient for Constant {
    fn loss_gradient(&self, inputs: &Inputs, _: &[usize]) -> Result<Inputs, Denied> {
        let zeros = vec![0.0; inputs.values().len()];
        Ok(Inputs::new(inputs.shape().clone(), zeros).expect("the shape of the inputs"))
    }
}

impl Model for Constant {
    fn artifact(&self) -> Result<Vec<u8>, Error> {
        Ok(b"constant".to_vec())
    }
}

/// Fits a [`Constant`].
struct Lazy;

impl Trainer for Lazy {
    type Model = Constant;
    type Error = Infallible;

    fn train(&self, data: &Examples, _: Seed) -> Result<Audited<Constant>, Infallible> {
        let value = Constant { shape: data.inputs().shape().clone(), classes: data.classes() };
        Ok(Audited { value, record: Record::default() })
    }
}

#[test]
fn a_constant_predictor_is_refused() {
    let job = job(Path::new("never made"));
    let seed = job.seed;
    let declared = Declared::read(policy::BASELINE.as_bytes()).unwrap();
    let recipe = Recipe { defended: Lazy, undefended: Lazy, adversary: Lazy };
    let trained = declared.collect(&job).unwrap().train(&recipe, seed).unwrap();
    let guarded = trained.harden(SecretKey::new([7; 32])).unwrap();
    let provenance = Provenance {
        seed,
        revision: "a test".into(),
        versions: BTreeMap::new(),
        attempt: None,
        measured_at: 1_800_000_000,
    };
    let Assessed::Refused(refused) = guarded.assess(&recipe, provenance).unwrap() else {
        panic!("a constant predictor was cleared");
    };
    let policy = refused.guarded().declared().policy();
    let unmet: Vec<About> = refused.judged().unmet().map(|(bar, _)| policy.bars()[bar].about).collect();
    assert!(unmet.contains(&About::Utility), "{unmet:?}");
}

#[test]
fn the_undefended_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(&folder.path().join("run"));
    job.protection = Protection::Undefended;
    let finished = run(&job, &key()).unwrap();
    assert!(!finished.is_cleared());
    assert!(!job.out.join("clearance.dsse.json").exists(), "no clearance");
    assert!(!job.out.join("safety.json").exists(), "no safety evaluation");
    assert!(job.out.join("evidence.dsse.json").exists(), "but evidence");
}

#[test]
fn weakened_attacks_meet_no_bar() {
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&job(&folder.path().join("run")), &key()).unwrap();
    let attacked = |bar: &underpin_core::Bar| bar.attack.is_some() && bar.about.threat().is_some();
    let judged = finished.policy.bars().iter().zip(&finished.verdicts).filter(|(bar, _)| attacked(bar));
    let verdicts: Vec<_> = judged.map(|(_, verdict)| verdict.unmet.clone()).collect();
    assert!(verdicts.len() > 5);
    // The label-only gap and the backdoor have no strength that the quick configuration lowers.
    let weaker = |unmet: &Option<Unmet>| matches!(unmet, Some(Unmet::Weaker(_)));
    assert!(verdicts.iter().filter(|unmet| weaker(unmet)).count() > 5, "{verdicts:?}");
    let text: Vec<String> = verdicts.iter().flatten().map(ToString::to_string).collect();
    for setting in
        ["steps 2, asked for: >= 40", "shadows 2, asked for: >= 8", "attacks.inversion.steps 5, asked for: >= 100"]
    {
        assert!(text.iter().any(|text| text.contains(setting)), "{setting}: {text:#?}");
    }
}
