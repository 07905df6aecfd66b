use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use underpin_core::{
    Attack, Delta, Denied, Epsilon, Examples, Inputs, LossGradient, Norm, Perturbed, Quantity, Radius, Seed, Shape,
    Trainer, Value,
};
use underpin_privacy::NoiseSource;

use crate::captured::capture;
use crate::private::adversary_seed;
use crate::{
    Architecture, Augmentation, Averaging, Checkpoints, Classifier, Clipping, Convolution, DeviceKind, Error,
    Mechanism, Mirror, Optimiser, Pool, Privacy, Schedule, Settings, Sgd, Steps,
};

/// Three classes around three corners of the unit square, in images of 4×4 whose halves repeat the two coordinates.
pub(crate) fn corners(rows: usize, seed: u64) -> Examples {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut values = Vec::new();
    let labels: Vec<usize> = (0..rows).map(|row| row % 3).collect();
    for label in &labels {
        let corner = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75]][*label];
        for half in corner {
            values.extend((0..8).map(|_| half + 0.3 * (rng.random::<f32>() - 0.5)));
        }
    }
    Examples::new(Inputs::new(Shape::new([1, 4, 4]).unwrap(), values).unwrap(), labels, 3).unwrap()
}

pub(crate) fn settings(architecture: Architecture) -> Settings {
    let optimiser = Optimiser::Adam { learning_rate: 0.02 };
    Settings {
        architecture,
        epochs: 8,
        batch_size: 16,
        optimiser,
        schedule: Schedule::Constant,
        augmentation: None,
        warm_up: 0.25,
        averaging: Averaging::Last(0.5),
        device: DeviceKind::Flex,
    }
}

pub(crate) fn mlp() -> Settings {
    settings(Architecture::Mlp { hidden: vec![8] })
}

fn cnn() -> Settings {
    settings(Architecture::Cnn { channels: [3, 4], hidden: 8 })
}

/// A norm and pooling after its convolution.
fn pooled() -> Settings {
    let pool = Some(Pool { size: 2, stride: 1 });
    let first = Convolution { channels: 4, kernel: 3, stride: 1, padding: 1, groups: Some(2), pool };
    settings(Architecture::Convolutional { convolutions: vec![first], hidden: vec![] })
}

pub(crate) fn privacy(epsilon: f64) -> Privacy {
    let (target, delta) = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap());
    Privacy::flat(target, delta, 1.0, NoiseSource::dangerous_from_seed([7; 32]))
}

fn accuracy(model: &Classifier, data: &Examples) -> f64 {
    model.accuracy(data).unwrap()
}

/// One step of the fast gradient sign method (Goodfellow et al. 2015).
#[derive(Clone, Debug)]
pub(crate) struct Fgsm(pub(crate) f32);

impl Attack<Classifier> for Fgsm {
    type Outcome = Perturbed;
    type Error = Denied;

    fn run(&self, target: &Classifier, samples: &Examples, _: Seed) -> Result<Perturbed, Denied> {
        let mut inputs = samples.inputs().clone();
        let gradient = target.loss_gradient(&inputs, samples.labels())?;
        for (value, slope) in inputs.values_mut().iter_mut().zip(gradient.values()) {
            *value = (*value + self.0 * if *slope > 0.0 { 1.0 } else { -1.0 }).clamp(0.0, 1.0);
        }
        let radius = Radius::new(f64::from(self.0)).unwrap();
        Ok(Perturbed { inputs, norm: Norm::Linf, radius, queries: 2 * samples.len() as u64 })
    }
}

fn attacked(model: &Classifier, data: &Examples, radius: f32) -> f64 {
    let inputs = Fgsm(radius).run(model, data, Seed(0)).unwrap().inputs;
    accuracy(model, &data.with_inputs(inputs).unwrap())
}

#[test]
fn every_kind_of_training_learns_on_every_device() {
    let (data, test) = (corners(240, 1), corners(90, 2));
    for device in DeviceKind::ALL {
        for settings in [settings(Architecture::Linear), mlp(), cnn(), pooled()] {
            let settings = Settings { device: *device, ..settings };
            for (privacy, adversary) in [
                (None, None),
                (Some(privacy(8.0)), None),
                (None, Some(Fgsm(0.05))),
                (Some(privacy(8.0)), Some(Fgsm(0.05))),
            ] {
                let sgd = Sgd { settings: settings.clone(), privacy, adversary };
                let trained = sgd.train(&data, Seed(3)).unwrap();
                let found = accuracy(&trained.value, &test);
                assert!(found > 0.85, "{sgd:?}: {found}");
            }
        }
    }
}

#[test]
fn adversarial_training_resists_its_adversary() {
    let (data, test) = (corners(240, 1), corners(90, 2));
    let longer = Settings { epochs: 30, ..mlp() };
    let plain = Sgd::plain(longer.clone()).train(&data, Seed(3)).unwrap().value;
    let hard = Sgd { settings: longer, privacy: None, adversary: Some(Fgsm(0.2)) };
    let hard = hard.train(&data, Seed(3)).unwrap().value;
    let (weak, strong) = (attacked(&plain, &test, 0.2), attacked(&hard, &test, 0.2));
    assert!(strong >= weak && strong > 0.8, "plain {weak}, adversarial {strong}");
    assert_ne!(hard.to_safetensors().unwrap(), plain.to_safetensors().unwrap());
}

/// Guarantee 1 of `Sgd`.
#[test]
fn the_same_seed_gives_the_same_model() {
    let data = corners(120, 1);
    for (privacy, adversary) in [(None, None), (Some(privacy(4.0)), Some(Fgsm(0.1)))] {
        for settings in [mlp(), cnn()] {
            let sgd = Sgd { settings, privacy: privacy.clone(), adversary: adversary.clone() };
            let train = |seed| sgd.train(&data, Seed(seed)).unwrap();
            let (one, again, other) = (train(5), train(5), train(6));
            assert_eq!(one.record, again.record);
            assert_eq!(one.value.to_safetensors().unwrap(), again.value.to_safetensors().unwrap());
            assert_ne!(one.value.to_safetensors().unwrap(), other.value.to_safetensors().unwrap());
        }
    }
}

/// Guarantee 1 of `Privacy`.
#[test]
fn epsilon_never_exceeds_the_target() {
    for target in [0.5, 3.0, 8.0] {
        let data = corners(150, 1);
        let sgd = Sgd::<Fgsm> { settings: mlp(), privacy: Some(privacy(target)), adversary: None };
        let record = sgd.train(&data, Seed(5)).unwrap().record;
        let [spent] = record.measurements.as_slice() else { panic!("one measurement") };
        assert_eq!((spent.quantity, spent.n), (Quantity::Epsilon, 150));
        assert!(spent.interval.upper <= target && spent.interval.upper > 0.95 * target, "{spent}");
        let [series] = record.series.as_slice() else { panic!("only the series that gives nothing away") };
        assert_eq!((series.name.as_str(), series.points.len()), ("epsilon", 20));
        assert!(series.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(record.parameters["training.steps"], Value::Count(80));
        assert_eq!(record.parameters["training.sampling_rate"], Value::Number(16.0 / 150.0));
    }
}

/// Guarantee 1 of `Privacy`: after one step on all rows, the weights of two keys differ by two draws of the noise.
///
/// The spread of 51 differences lies within half of its mean with probability above 1 - 1e-5.
#[test]
fn the_accounted_noise_reaches_the_weights() {
    let data = corners(90, 1);
    let optimiser = Optimiser::Sgd { learning_rate: 1.0, momentum: 0.0 };
    let once = Settings {
        epochs: 1,
        batch_size: 90,
        optimiser,
        averaging: Averaging::Last(0.0),
        ..settings(Architecture::Linear)
    };
    let train = |key: u8| {
        let privacy = Privacy {
            noise: NoiseSource::dangerous_from_seed([key; 32]),
            clipping: Clipping::Flat { norm: 0.5 },
            ..privacy(2.0)
        };
        let sgd = Sgd::<Fgsm> { settings: once.clone(), privacy: Some(privacy), adversary: None };
        let trained = sgd.train(&data, Seed(5)).unwrap();
        let Value::Number(noise) = trained.record.parameters["training.noise_multiplier"] else { panic!("a number") };
        (trained.value.network.values(), noise * 0.5 / 90.0)
    };
    let ((one, deviation), (other, _)) = (train(1), train(2));
    let squares: f32 = one.iter().zip(&other).map(|(one, other)| (one - other).powi(2)).sum();
    let ratio = f64::from(squares / one.len() as f32 / 2.0).sqrt() / deviation;
    assert!((0.5..1.5).contains(&ratio), "{ratio}");
}

/// Guarantee 2 of `Privacy`: the adversary's secret seed stands for all that is drawn under the run's key.
#[test]
fn runs_that_differ_share_no_noise() {
    let data = corners(30, 1);
    let mut labels = data.labels().to_vec();
    labels.swap(0, 1);
    let mut inputs = data.inputs().clone();
    inputs.values_mut()[7] += 1e-6;
    let relabelled = data.with_labels(labels).unwrap();
    let moved = data.with_inputs(inputs).unwrap();
    let other_key = Privacy { noise: NoiseSource::dangerous_from_seed([8; 32]), ..privacy(3.0) };
    let other_clip = Privacy { clipping: Clipping::Flat { norm: 2.0 }, ..privacy(3.0) };
    let runs = [
        privacy(3.0).start(&data, &mlp(), Seed(1), None),
        privacy(3.0).start(&data, &mlp(), Seed(2), None),
        privacy(3.0).start(&relabelled, &mlp(), Seed(1), None),
        privacy(3.0).start(&moved, &mlp(), Seed(1), None),
        privacy(3.0).start(&data, &Settings { epochs: 9, ..mlp() }, Seed(1), None),
        privacy(2.0).start(&data, &mlp(), Seed(1), None),
        other_key.start(&data, &mlp(), Seed(1), None),
        other_clip.start(&data, &mlp(), Seed(1), None),
    ];
    let seeds: Vec<_> = runs.into_iter().map(|run| adversary_seed(&run.unwrap().adversary, 1).unwrap()).collect();
    for (at, seed) in seeds.iter().enumerate() {
        assert!(!seeds[..at].contains(seed), "{at}");
    }
    let again = privacy(3.0).start(&data, &mlp(), Seed(1), None).unwrap();
    assert_eq!(adversary_seed(&again.adversary, 1).unwrap(), seeds[0]);
    assert_ne!(adversary_seed(&again.adversary, 2).unwrap(), seeds[0]);
}

/// With one row expected per batch, more than a third of the batches are empty.
#[test]
fn empty_batches_are_steps() {
    let sgd = Sgd::<Fgsm> {
        settings: Settings { batch_size: 1, epochs: 2, ..mlp() },
        privacy: Some(privacy(8.0)),
        adversary: Some(Fgsm(0.1)),
    };
    let record = sgd.train(&corners(60, 1), Seed(5)).unwrap().record;
    assert!((record.series[0].points.last().unwrap().0 - 120.0).abs() < 0.5);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let data = corners(60, 1);
    let train = |settings: Settings, data: &Examples| Sgd::plain(settings).train(data, Seed(1)).unwrap_err();
    assert!(matches!(
        train(Settings { batch_size: 61, ..mlp() }, &data),
        Error::TooFewRows { rows: 60, batch_size: 61 }
    ));
    assert!(matches!(train(mlp(), &data.select(&[])), Error::TooFewRows { rows: 0, .. }));
    let ones = data.with_labels(vec![1; 60]).unwrap();
    assert!(matches!(train(mlp(), &ones), Error::OneClass { rows: 60, class: 1 }));
    for settings in [
        Settings { batch_size: 0, ..mlp() },
        Settings { epochs: 0, ..mlp() },
        Settings { warm_up: 1.5, ..mlp() },
        Settings { averaging: Averaging::Last(f64::NAN), ..mlp() },
        Settings { optimiser: Optimiser::Adam { learning_rate: f64::NAN }, ..mlp() },
        Settings { optimiser: Optimiser::Sgd { learning_rate: 0.1, momentum: 1.0 }, ..mlp() },
    ] {
        assert!(matches!(train(settings.clone(), &data), Error::OutOfRange(_)), "{settings:?}");
    }
    let mut inputs = data.inputs().clone();
    inputs.values_mut()[17] = f32::NAN;
    let spoilt = data.with_inputs(inputs).unwrap();
    assert!(matches!(train(mlp(), &spoilt), Error::Inputs(Denied::NotFinite { example: 1, position: 1, .. })));
    let fast = Settings { optimiser: Optimiser::Sgd { learning_rate: 1e38, momentum: 0.0 }, ..mlp() };
    assert!(matches!(train(fast, &data), Error::Diverged { .. }));
    let impossible = Privacy { delta: Delta::new(1e-300).unwrap(), ..privacy(1e-9) };
    let private = Sgd::<Fgsm> { settings: mlp(), privacy: Some(impossible), adversary: None };
    assert!(matches!(private.train(&data, Seed(1)), Err(Error::Privacy(_))));
}

/// Hands back what no batch can be made of.
#[derive(Clone, Copy, Debug)]
enum Broken {
    TooFew,
    NotFinite,
    Failing,
}

impl Attack<Classifier> for Broken {
    type Outcome = Perturbed;
    type Error = Denied;

    fn run(&self, _: &Classifier, samples: &Examples, _: Seed) -> Result<Perturbed, Denied> {
        let mut inputs = samples.inputs().clone();
        match self {
            Self::TooFew => inputs = inputs.select(&[0]),
            Self::NotFinite => inputs.values_mut()[0] = f32::NAN,
            Self::Failing => return Err(Denied::Unavailable { reason: "test".into() }),
        }
        Ok(Perturbed { inputs, norm: Norm::Linf, radius: Radius::new(0.1).unwrap(), queries: 0 })
    }
}

#[test]
fn a_broken_adversary_stops_training() {
    let train = |adversary| {
        let sgd = Sgd { settings: mlp(), privacy: None, adversary: Some(adversary) };
        sgd.train(&corners(60, 1), Seed(1)).unwrap_err()
    };
    assert!(matches!(train(Broken::TooFew), Error::Perturbed { step: 1, .. }));
    assert!(matches!(train(Broken::NotFinite), Error::Perturbed { step: 1, .. }));
    assert!(matches!(train(Broken::Failing), Error::Adversary { step: 1, .. }));
}

/// A batch that goes through in parts adds up to the same.
#[test]
fn models_train_in_parallel_as_alone() {
    use rayon::prelude::*;

    let data = corners(90, 1);
    let train = |seed| Sgd::plain(cnn()).train(&data, Seed(seed)).unwrap().value.to_safetensors().unwrap();
    let together: Vec<_> = (0_u64..8).into_par_iter().map(train).collect();
    assert_eq!(together, (0..8).map(train).collect::<Vec<_>>());
}

/// Every way to bound gradients, to make noise, to step, to average and to augment, privately.
#[test]
fn every_private_method_learns() {
    let (data, test) = (corners(240, 1), corners(90, 2));
    let longer = Settings { epochs: 16, ..mlp() };
    let adaptive = Clipping::Adaptive { initial: 0.1, quantile: 0.5, rate: 0.2, fraction: 0.1 };
    let corrected = Optimiser::CorrectedAdam { learning_rate: 0.02, floor: 1e-5 };
    let versions = Augmentation { copies: 3, shift: 0, mirror: Mirror::Sideways };
    for (at, (settings, privacy)) in [
        (longer.clone(), Privacy { clipping: Clipping::PerLayer { norm: 1.0 }, ..privacy(8.0) }),
        (longer.clone(), Privacy { clipping: Clipping::Automatic { norm: 1.0, stability: 0.01 }, ..privacy(8.0) }),
        (longer.clone(), Privacy { clipping: adaptive, ..privacy(8.0) }),
        (longer.clone(), Privacy { mechanism: Mechanism::Banded { bands: 15 }, ..privacy(8.0) }),
        (longer.clone(), Privacy { canaries: 30, ..privacy(8.0) }),
        (Settings { optimiser: corrected, ..longer.clone() }, privacy(8.0)),
        (Settings { schedule: Schedule::Cosine { warm_up: 0.1, last: 0.1 }, ..longer.clone() }, privacy(8.0)),
        (Settings { averaging: Averaging::Exponential(0.95), ..longer.clone() }, privacy(8.0)),
        (Settings { augmentation: Some(versions), ..longer.clone() }, privacy(8.0)),
    ]
    .into_iter()
    .enumerate()
    {
        let sgd = Sgd::<Fgsm> { settings, privacy: Some(privacy), adversary: None };
        let trained = sgd.train(&data, Seed(3)).unwrap();
        let found = accuracy(&trained.value, &test);
        assert!(found > 0.85, "{sgd:?}: {found}");
        let [spent] = trained.record.measurements.as_slice() else { panic!("one measurement") };
        assert!(spent.interval.upper <= 8.0 && spent.interval.upper > 7.6, "{spent}");
        let [clipping, mechanism] =
            ["clipping", "mechanism"].map(|name| &trained.record.parameters[&format!("training.{name}")]);
        assert_eq!(*clipping, (*["per_layer", "automatic", "adaptive"].get(at).unwrap_or(&"flat")).into());
        assert_eq!(*mechanism, if at == 3 { "banded_matrix_factorisation" } else { "subsampled_gaussian" }.into());
        assert_eq!(spent.parameters["mechanism"], *mechanism);
    }
}

/// Guarantee 4 of `Privacy`.
#[test]
fn a_run_with_canaries_reports_both_bounds() {
    let data = corners(150, 1);
    let private = |canaries| Sgd::<Fgsm> {
        settings: mlp(),
        privacy: Some(Privacy { canaries, ..privacy(8.0) }),
        adversary: None,
    };
    let record = private(300).train(&data, Seed(5)).unwrap().record;
    let number = |name: &str| match &record.parameters[&format!("training.audit.{name}")] {
        Value::Number(value) => *value,
        Value::Count(value) => *value as f64,
        other => panic!("{other:?}"),
    };
    let upper = record.measurements[0].interval.upper;
    assert!(number("epsilon_lower") >= 0.0 && number("epsilon_lower") <= upper && upper <= 8.0);
    assert_eq!((number("canaries"), number("guesses"), number("confidence")), (300.0, 30.0, 0.95));
    // Of fair coins, 23 or more of 30 come up right in 0.3 % of runs.
    assert!(number("right") >= 23.0, "{}", number("right"));
    assert!(matches!(private(5).train(&data, Seed(5)), Err(Error::OutOfRange(ref out)) if out.name == "canaries"));
}

/// What becomes of the data's gradients: the same noise for each of them, the same expected division, whatever the number
/// of canaries.
#[test]
fn canaries_leave_the_data_their_step() {
    let data = corners(150, 1);
    let sgd = Sgd::plain(mlp());
    let model = Classifier::initial(mlp().architecture, data.inputs().shape(), 3, DeviceKind::Flex, Seed(1)).unwrap();
    let deviation = |canaries| {
        let sgd = Sgd { privacy: Some(Privacy { canaries, ..privacy(3.0) }), ..sgd.clone() };
        let (engine, _) = sgd.engine(&data, Seed(5), &model, None).unwrap();
        let Steps::Poisson(run) = engine.steps() else { panic!("{engine:?}") };
        let mechanism = *run.mechanism();
        (mechanism.sampling_rate(), mechanism.noise_multiplier(), engine.steps().noise_deviation(150).unwrap())
    };
    let ((rate, multiplier, one), (same_rate, same_multiplier, other)) = (deviation(0), deviation(1000));
    assert_eq!((rate, multiplier), (same_rate, same_multiplier));
    assert!((one / other - 1.0).abs() < 1e-12, "{one} {other}");
}

/// Progress events report loss, accuracy and ε; the weights, the record and ε are those of a training nobody watches.
#[test]
fn a_watched_training_reports_its_accuracy_and_is_the_same() {
    let (data, test) = (corners(240, 1), corners(90, 2));
    // So much noise that the averaged weights classify other rows correctly than the last ones.
    let sgd = Sgd { privacy: Some(privacy(0.5)), ..Sgd::plain(Settings { epochs: 100, ..mlp() }) };
    let alone = sgd.train(&data, Seed(5)).unwrap();
    let (watched, captured) = capture(|| sgd.train_watched(&data, Seed(5), &test).unwrap());
    assert_eq!(watched.record, alone.record);
    assert_eq!(watched.value.network.values(), alone.value.network.values());
    let progress = || captured.iter().filter(|event| event.target == "progress");
    let series = |name: &str| progress().map(|event| event.numbers[name]).collect::<Vec<f64>>();
    // 1,500 steps of 16 rows: 1,500 * 16 / 20 / 20 of the 90 held-out rows are looked at each time.
    assert_eq!(series("step"), (1..=20).map(|point| f64::from(point) * 75.0).collect::<Vec<_>>());
    let seen = test.select(&(0..60).collect::<Vec<_>>());
    let last = |name| *series(name).last().unwrap();
    assert_eq!(last("accuracy").to_bits(), watched.value.accuracy(&seen).unwrap().to_bits());
    assert!(series("accuracy").iter().all(|fraction| (fraction * 60.0 - (fraction * 60.0).round()).abs() < 1e-9));
    assert!(series("loss").iter().all(|loss| loss.is_finite()));
    assert!(series("epsilon").is_sorted());
    assert_eq!(last("epsilon").to_bits(), watched.record.measurements[0].value.to_bits());
    let none = test.select(&[]);
    assert!(matches!(sgd.train_watched(&data, Seed(5), &none), Err(Error::OutOfRange(_))));
    let flat = Inputs::new(Shape::new([2]).unwrap(), vec![0.0; 180]).unwrap();
    let other = test.with_inputs(flat).unwrap();
    assert!(matches!(sgd.train_watched(&data, Seed(5), &other), Err(Error::Inputs(_))));
}

/// Two versions of every row alike are the row itself: the same private model as without them.
#[test]
fn augmentation_averages_within_a_unit() {
    let data = corners(60, 1);
    let inputs = data.inputs().clone();
    // Mirrored, these images are themselves.
    assert!(inputs.values().len() == 60 * 16);
    let plain = |augmentation| {
        let settings = Settings { augmentation, ..mlp() };
        Sgd::plain(settings).train(&data, Seed(5)).unwrap().value.network.values()
    };
    let same = Augmentation { copies: 2, shift: 0, mirror: Mirror::Never };
    let moved = Augmentation { copies: 2, shift: 2, mirror: Mirror::Never };
    let gap = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap(&plain(None), &plain(Some(same))) < 1e-3);
    assert!(gap(&plain(None), &plain(Some(moved))) > 1e-2);
    let table = Sgd::plain(Settings { augmentation: Some(Augmentation { shift: 4, ..same }), ..mlp() });
    assert!(matches!(table.train(&data, Seed(5)), Err(Error::OutOfRange(_))));
}

#[test]
fn corrected_adam_needs_noise_of_one_deviation() {
    let corrected = Optimiser::CorrectedAdam { learning_rate: 0.02, floor: 1e-5 };
    let settings = Settings { optimiser: corrected, ..mlp() };
    let adaptive = Clipping::Adaptive { initial: 0.1, quantile: 0.5, rate: 0.2, fraction: 0.1 };
    for privacy in [
        None,
        Some(Privacy { clipping: adaptive, ..privacy(3.0) }),
        Some(Privacy { mechanism: Mechanism::Banded { bands: 2 }, ..privacy(3.0) }),
    ] {
        let sgd = Sgd::<Fgsm> { settings: settings.clone(), privacy, adversary: None };
        assert!(matches!(sgd.train(&corners(60, 1), Seed(5)), Err(Error::NoisyOptimiser)));
    }
}

/// Plain training, too, is kept and taken up again.
#[test]
fn kept_training_is_the_same_training() {
    let data = corners(60, 1);
    let folder = tempfile::tempdir().unwrap();
    let kept = Checkpoints { path: folder.path().join("run"), every: 7 };
    for privacy in [None, Some(privacy(4.0))] {
        let sgd = Sgd { settings: mlp(), privacy, adversary: Some(Fgsm(0.05)) };
        let expected = sgd.train(&data, Seed(5)).unwrap();
        let kept = Checkpoints { path: kept.path.with_extension(sgd.privacy.is_some().to_string()), ..kept.clone() };
        for _ in 0..2 {
            let found = sgd.train_kept(&data, Seed(5), &kept).unwrap();
            assert_eq!(found.value.network.values(), expected.value.network.values());
            assert_eq!(found.record, expected.record);
        }
        let moved = data.select(&(0..60).rev().collect::<Vec<_>>());
        for (data, seed) in [(&data, 6), (&moved, 5)] {
            assert!(matches!(sgd.train_kept(data, Seed(seed), &kept), Err(Error::Checkpoint { .. })));
        }
    }
}
