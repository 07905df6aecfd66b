//! The numbered guarantees of [`Engine::keep`].

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::Tensor;
use underpin_core::{Audited, Delta, Epsilon, Examples, Inputs, Seed, Shape};
use underpin_privacy::{
    BandedFactor, CorrelatedGaussian, FreshBytes, NoiseSource, Participation, SecretKey, SubsampledGaussian,
};

use super::*;
use crate::paid::tests::{file, paid};
use crate::tape::host;
use crate::{
    Architecture, Augmentation, Averaging, Classifier, Clipping, Cyclic, DeviceKind, Mechanism, Method, Mirror,
    NoAdversary, Optimiser as Rule, Part, Privacy, Schedule, Settings, Sgd, Shuffled, Steps, Tape,
};

pub(crate) fn method() -> Method {
    Method {
        clipping: Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, fraction: 0.1 },
        steps: 12,
        learning_rate: 0.05,
        schedule: Schedule::Cosine { warm_up: 0.2, last: 0.0 },
        averaging: Averaging::Exponential(0.9),
        rows_per_unit: 1,
        physical_batch: 4,
    }
}

/// Every kind of steps, with all that has a state: adaptive threshold, average, Adam's moments, canaries.
pub(crate) fn engine(kind: usize, key: u8) -> Engine {
    let key = SecretKey::new([key; 32]);
    let flat = Method { clipping: Clipping::Flat { norm: 1.0 }, ..method() };
    let (steps, method) = match kind {
        0 => (Steps::Shuffled(Shuffled::new(20, 6, Seed(1)).unwrap()), method()),
        1 => {
            let mechanism = SubsampledGaussian::new(0.3, 1.0, 1.0).unwrap();
            (Steps::Poisson(mechanism.start(26, 12, key.derive("steps", &[])).unwrap()), method())
        }
        _ => {
            let (factor, part) = (BandedFactor::square_root(3).unwrap(), Participation::new(12, 4).unwrap());
            let run = CorrelatedGaussian::new(factor, part, 1.0, 1.0).unwrap();
            (Steps::Correlated(Cyclic::new(run.start(26, key.derive("steps", &[])).unwrap(), Seed(2))), flat)
        }
    };
    let engine = Engine::new(steps, method, AdamConfig::new().init(), vec![DeviceKind::Flex.device()]).unwrap();
    if kind == 0 { engine } else { engine.with_canaries(6, &key).unwrap() }
}

pub(crate) fn net() -> Linear {
    let device = DeviceKind::Flex.device();
    let layer = LinearConfig::new(3, 2).with_bias(false).init(&device.clone().autodiff());
    Linear {
        weight: layer.weight.map(|_| host::tensor(vec![0.1; 6], [3, 2], &device).autodiff().require_grad()),
        bias: None,
    }
}

pub(crate) fn losses(scale: f32) -> impl Fn(&Linear, Part<'_>, &mut Tape) -> Tensor<1> + Sync {
    move |net, part, tape| {
        let values = part.units.iter().flat_map(|unit| [1.0, *unit as f32 / 10.0, scale]).collect();
        let inputs = host::tensor(values, [part.units.len(), 3], part.device);
        tape.linear(net, inputs).powf_scalar(2.0).sum_dim(1).squeeze_dim::<1>(1)
    }
}

pub(crate) fn kept(folder: &Path) -> Checkpoints {
    Checkpoints { path: folder.join("run"), every: 1 }
}

pub(crate) fn values(net: &Linear) -> Vec<f32> {
    Weights::of(net).values
}

/// Guarantee 1, in one process: a run that is dropped after any step, saved or not, ends as one that was not.
#[test]
fn a_run_taken_up_again_ends_as_if_it_had_not_been() {
    for kind in 0..3 {
        let (mut whole, mut expected) = (engine(kind, 1), net());
        for _ in 0..12 {
            expected = whole.step(expected, losses(1.0)).unwrap().0;
        }
        let expected_scores = whole.canaries.as_ref().map(|canaries| canaries.scores.clone());
        let folder = tempfile::tempdir().unwrap();
        let mut round = 0;
        // Saved after every third step, dropped after every fourth or fifth.
        let (mut resumed, model) = loop {
            let (mut run, mut model, _) = engine(kind, 1).keep(net(), &kept(folder.path())).unwrap();
            assert!(run.taken() > 0 || round == 0);
            let until = (run.taken() + 4 + round % 2).min(12);
            while run.taken() < until {
                model = run.step(model, losses(1.0)).unwrap().0;
                if run.taken().is_multiple_of(3) {
                    run.save(&model, &kept(folder.path()), "note").unwrap();
                }
            }
            if until == 12 {
                break (run, model);
            }
            round += 1;
        };
        assert!(round >= 2);
        assert_eq!(values(&model), values(&expected), "{kind}");
        assert_eq!(values(&resumed.averaged(model).unwrap()), values(&whole.averaged(expected).unwrap()), "{kind}");
        assert_eq!(resumed.clipper.threshold().to_bits(), whole.clipper.threshold().to_bits());
        assert_eq!(resumed.canaries.as_ref().map(|canaries| canaries.scores.clone()), expected_scores);
        let delta = Delta::new(1e-5).unwrap();
        assert_eq!(resumed.epsilon(delta).unwrap(), whole.epsilon(delta).unwrap());
        assert!(resumed.draw().is_err() && whole.draw().is_err());
    }
}

/// Guarantee 2.
#[test]
fn another_sum_is_never_released_under_the_same_noise() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, model, note) = engine(1, 1).keep(net(), &kept(folder.path())).unwrap();
    assert_eq!(note, None);
    let (model, _) = first.step(model, losses(1.0)).unwrap();
    drop(first);
    let (mut again, fresh, _) = engine(1, 1).keep(net(), &kept(folder.path())).unwrap();
    let refused = again.step(fresh, losses(2.0)).unwrap_err();
    assert!(matches!(refused, Error::Replay { step: 1 }), "{refused}");
    drop(again);
    let (mut same, fresh, _) = engine(1, 1).keep(net(), &kept(folder.path())).unwrap();
    assert_eq!(values(&same.step(fresh, losses(1.0)).unwrap().0), values(&model));
}

/// Guarantee 3.
#[test]
fn a_step_begun_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let delta = Delta::new(1e-5).unwrap();
    for kind in [1, 2] {
        let checkpoints = Checkpoints { path: folder.path().join(kind.to_string()), every: 9 };
        let (mut first, mut model, _) = engine(kind, 1).keep(net(), &checkpoints).unwrap();
        for _ in 0..3 {
            model = first.step(model, losses(1.0)).unwrap().0;
        }
        let spent = first.epsilon(delta).unwrap();
        drop(first);
        let (again, _, _) = engine(kind, 1).keep(net(), &checkpoints).unwrap();
        assert_eq!(again.taken(), 0, "never saved");
        assert_eq!(again.epsilon(delta).unwrap(), spent);
        assert!(spent.unwrap().upper > 0.1);
    }
}

#[test]
fn what_is_no_checkpoint_of_this_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = kept(folder.path());
    let (mut first, model, _) = engine(1, 1).keep(net(), &checkpoints).unwrap();
    let (model, _) = first.step(model, losses(1.0)).unwrap();
    first.save(&model, &checkpoints, "").unwrap();
    assert!(matches!(engine(1, 1).keep(net(), &checkpoints), Err(Error::Checkpoint { .. })), "it is in use");
    assert!(first.keep(net(), &checkpoints).is_err(), "it has begun");
    let refused = |engine: Engine| engine.keep(net(), &checkpoints).map(drop).unwrap_err().to_string();
    assert!(refused(engine(1, 2)).contains("another run"), "{}", refused(engine(1, 2)));
    assert!(refused(engine(2, 1)).contains("it is of the run"));
    assert!(refused(engine(0, 1)).contains("it is of the run"));
    let device = DeviceKind::Flex.device();
    let wide = LinearConfig::new(4, 2).with_bias(false).init(&device.autodiff());
    assert!(engine(1, 1).keep(wide, &checkpoints).is_err());
    std::fs::write(folder.path().join("run.steps"), []).unwrap();
    assert!(refused(engine(1, 1)).contains("its list of steps 0"));
    assert!(engine(1, 1).keep(net(), &Checkpoints { every: 0, ..checkpoints }).is_err());
}

#[test]
fn a_step_that_is_not_applied_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine(1, 1);
    let drawn = engine.draw().unwrap();
    let save = |engine: &Engine, model: &Linear| engine.save(model, &kept(folder.path()), "");
    assert!(save(&engine, &net()).unwrap_err().to_string().contains("step 1 is drawn and not applied"));
    let model = net();
    let summed = engine.sum(&model, drawn, losses(1.0)).unwrap();
    let model = engine.apply(model, summed).unwrap();
    save(&engine, &model).unwrap();
}

pub(crate) fn data() -> Examples {
    let values = (0..120 * 16).map(|at| f32::midpoint((at * 37 % 101) as f32 / 101.0, (at / 16 % 2) as f32)).collect();
    let inputs = Inputs::new(Shape::new([1, 4, 4]).unwrap(), values).unwrap();
    Examples::new(inputs, (0..120).map(|row| row % 2).collect(), 2).unwrap()
}

/// Training with a state of every kind.
pub(crate) fn sgd() -> Sgd<NoAdversary> {
    let (target, delta) = (Epsilon::new(6.0).unwrap(), Delta::new(1e-5).unwrap());
    let settings = Settings {
        architecture: Architecture::Mlp { hidden: vec![6] },
        epochs: 10,
        batch_size: 24,
        optimiser: Rule::Adam { learning_rate: 0.02 },
        schedule: Schedule::Linear { warm_up: 0.1, last: 0.1 },
        augmentation: Some(Augmentation { copies: 2, shift: 1, mirror: Mirror::Sideways }),
        warm_up: 0.0,
        averaging: Averaging::Last(0.5),
        device: DeviceKind::Flex,
    };
    let privacy = Privacy {
        clipping: Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, fraction: 0.1 },
        mechanism: Mechanism::Poisson,
        canaries: 12,
        ..Privacy::flat(target, delta, 1.0, NoiseSource::fresh(SecretKey::new([7; 32])))
    };
    Sgd { settings, privacy: Some(privacy), adversary: None }
}

/// Where the process of the next tests trains; unset in all others.
const FOLDER: &str = "UNDERPIN_TEST_KILLED_RUN";

/// The process that is killed. A budget pays where there is to be one.
#[test]
fn train_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let checkpoints = Checkpoints { path: folder.join("run"), every: 4 };
    let budget = folder.join("budget");
    let sgd = if budget.is_dir() { paid(sgd(), file(&budget.join("file"))) } else { sgd() };
    let Audited { value, record } = sgd.train_kept(&data(), Seed(3), &checkpoints).unwrap();
    std::fs::write(folder.join("record"), serde_json::to_vec(&record).unwrap()).unwrap();
    std::fs::write(folder.join("model"), value.to_safetensors().unwrap()).unwrap();
}

/// Killed (SIGKILL) after every few steps begun, wherever it then is: the same weights, the same record as `sgd` leaves at
/// once with the same fresh bytes, every step begun exactly once.
pub(crate) fn end_as_if_not_killed(folder: &Path, sgd: &Sgd<NoAdversary>) {
    // The fresh bytes that the run would draw first: drawn before, so that a run that is not killed can have the same.
    let whole = tempfile::tempdir().unwrap();
    drop(FreshBytes::kept(&folder.join("run.fresh")).unwrap());
    std::fs::copy(folder.join("run.fresh"), whole.path().join("run.fresh")).unwrap();
    let checkpoints = Checkpoints { path: whole.path().join("run"), every: 4 };
    let expected: Audited<Classifier> = sgd.train_kept(&data(), Seed(3), &checkpoints).unwrap();
    let (journal, model) = (folder.join("run.steps"), folder.join("model"));
    let begun = || std::fs::metadata(&journal).map_or(0, |file| file.len() / 40);
    let mut kills = 0;
    while !model.exists() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["resume::tests::train_until_killed", "--exact"])
            .env(FOLDER, folder)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let until = begun() + 3 + kills % 5;
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun() >= until {
                break None;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
    }
    assert!(kills >= 5, "{kills}");
    assert_eq!(begun(), 50, "every step is begun, and none twice");
    assert_eq!(std::fs::read(&model).unwrap(), expected.value.to_safetensors().unwrap());
    let record = std::fs::read(folder.join("record")).unwrap();
    assert_eq!(record, serde_json::to_vec(&expected.record).unwrap());
}

/// Guarantee 1.
#[test]
fn a_killed_run_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    end_as_if_not_killed(folder.path(), &sgd());
}
