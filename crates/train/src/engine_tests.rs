//! The numbered guarantees of [`Engine`].

use std::collections::BTreeSet;

use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, RmsPropConfig, SgdConfig};
use underpin_core::{Epsilon, Seed};
use underpin_privacy::{BandedFactor, CorrelatedGaussian, Participation, PrivateSteps, SubsampledGaussian};

use super::*;
use crate::{CorrectedAdam, Cyclic, DeviceKind, Shuffled, Users};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    last: Linear,
}

const INPUTS: usize = 40;

fn net() -> Net {
    let device = DeviceKind::Flex.device();
    let layer = |from: usize, to: usize| {
        let values = (0..from * to).map(|at| ((at * 7 % 13) as f32 - 6.0) / 20.0).collect();
        let layer = LinearConfig::new(from, to).init(&device.clone().autodiff());
        let bias =
            layer.bias.map(|bias| bias.map(|_| host::tensor(vec![0.1; to], [to], &device).autodiff().require_grad()));
        Linear {
            weight: layer.weight.map(|_| host::tensor(values, [from, to], &device).autodiff().require_grad()),
            bias,
        }
    };
    Net { first: layer(INPUTS, 30), last: layer(30, 2) }
}

/// Inputs of a row; rows differ in direction and length.
fn row(row: usize) -> impl Iterator<Item = f32> {
    (0..INPUTS).map(move |at| ((row * 31 + at * 17) % 23) as f32 / 10.0 * (1.0 + row as f32 % 3.0))
}

/// Losses of rows with weights.
fn losses(net: &Net, rows: &[usize], weights: &[f32], device: &Device, tape: &mut Tape) -> Tensor<1> {
    let values = rows.iter().flat_map(|at| row(*at)).collect();
    let hidden = tape.linear(&net.first, host::tensor(values, [rows.len(), INPUTS], device)).tanh();
    let losses = tape.linear(&net.last, hidden).powf_scalar(2.0).sum_dim(1).squeeze_dim::<1>(1);
    losses * host::tensor(weights.to_vec(), [rows.len()], device)
}

#[allow(clippy::needless_pass_by_value, reason = "it stands for a step's closure")]
fn each(net: &Net, part: Part<'_>, tape: &mut Tape) -> Tensor<1> {
    losses(net, part.units, &vec![1.0; part.units.len()], part.device, tape)
}

fn method(clipping: Clipping) -> Method {
    Method {
        clipping,
        steps: 1 << 20,
        learning_rate: 1.0,
        schedule: Schedule::Constant,
        averaging: Averaging::Last(0.0),
        rows_per_unit: 1,
        physical_batch: 16,
    }
}

const FLAT: Clipping = Clipping::Flat { norm: 0.5 };

fn poisson(rate: f64, noise: f64, units: usize, key: u8) -> PrivateSteps {
    SubsampledGaussian::new(rate, noise, 0.5).unwrap().start(units, 1 << 20, SecretKey::new([key; 32])).unwrap()
}

fn engine(steps: PrivateSteps, method: Method) -> Engine {
    on(&[DeviceKind::Flex.device()], steps, method)
}

fn on(devices: &[Device], steps: PrivateSteps, method: Method) -> Engine {
    let devices = devices.to_vec();
    Engine::new(Steps::Poisson(steps), method, SgdConfig::new().init(), devices).unwrap()
}

fn values(net: &Net) -> Vec<f32> {
    Weights::of(net).values
}

fn distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2)).sum::<f64>().sqrt()
}

/// What is released of a step on all of the units.
fn released(units: usize, method: Method, part: impl Fn(&Net, Part<'_>, &mut Tape) -> Tensor<1> + Sync) -> Vec<f64> {
    let mut engine = engine(poisson(1.0, 1.0, units, 1), method);
    let drawn = engine.draw().unwrap();
    assert_eq!(drawn.units().len(), units);
    let summed = engine.sum(&net(), drawn, part).unwrap();
    summed.gradient.values().iter().copied().chain(summed.count).collect()
}

/// Guarantee 1: with and without the last unit, for each clipping, for units of one row and for users of up to three.
#[test]
fn one_unit_moves_the_sum_by_the_clipping_norm_at_most() {
    let names: Vec<usize> = (0..20).map(|row| row * row % 7).collect();
    let users = Users::new(&names, 3).unwrap();
    for clipping in [
        FLAT,
        Clipping::PerLayer { norm: 0.5 },
        Clipping::Automatic { norm: 0.5, stability: 0.01 },
        Clipping::Adaptive { initial: 0.5, quantile: 0.5, rate: 0.2, fraction: 0.3 },
    ] {
        let by_user = |net: &Net, part: Part<'_>, tape: &mut Tape| {
            let (rows, weights) = users.rows(part.units);
            losses(net, &rows, &weights, part.device, tape)
        };
        let grouped = Method { rows_per_unit: 3, physical_batch: 2, ..method(clipping) };
        let pairs = [
            (released(9, method(clipping), each), released(8, method(clipping), each)),
            (released(users.len(), grouped, by_user), released(users.len() - 1, grouped, by_user)),
        ];
        for (with, without) in pairs {
            let moved = with.iter().zip(&without).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(moved <= 0.5 * (1.0 + 1.0 / 512.0) && moved > 0.4, "{clipping:?}: {moved}");
        }
    }
}

/// Guarantee 2.
#[test]
fn an_empty_batch_is_a_step() {
    let mut engine = engine(poisson(1e-3, 1.0, 8, 1), method(FLAT));
    let before = net();
    let (after, loss) = engine.step(before.clone(), each).unwrap();
    assert_eq!((engine.taken(), loss), (1, None));
    assert!(values(&before).iter().zip(values(&after)).all(|(before, after)| before.to_bits() != after.to_bits()));
    assert!(engine.epsilon(Delta::new(1e-5).unwrap()).unwrap().unwrap().upper > 0.0);
}

/// Guarantees 3 and 4: the same noise however the batch is cut; and, between two keys, of the accounted deviation over
/// the expected size (1,292 weights: six deviations of the spread are 12 %; false alarms below 1e-8).
#[test]
fn noise_is_drawn_once_on_the_total() {
    let after = |physical_batch, key| {
        let mut engine = engine(poisson(1.0, 2.0, 40, key), Method { physical_batch, ..method(FLAT) });
        values(&engine.step(net(), each).unwrap().0)
    };
    let (whole, cut, other) = (after(40, 1), after(3, 1), after(40, 2));
    let spread = distance(&whole, &other) / (2.0 * whole.len() as f64).sqrt();
    assert!((spread / (2.0 * 0.5 / 40.0) - 1.0).abs() < 0.12, "{spread}");
    assert!(distance(&whole, &cut) < 1e-4 * distance(&whole, &other));
}

/// Guarantee 4: 400 like gradients at a rate of 1/10 and little noise; the step is as long as the drawn fraction of 40.
#[test]
fn sums_are_divided_by_the_expected_size() {
    let mut engine = engine(poisson(0.1, 0.05, 400, 3), method(FLAT));
    let alike = |net: &Net, part: Part<'_>, tape: &mut Tape| {
        losses(net, &vec![1; part.units.len()], &vec![1.0; part.units.len()], part.device, tape)
    };
    let before = net();
    let mut sizes = BTreeSet::new();
    for _ in 0..4 {
        let drawn = engine.draw().unwrap();
        let size = drawn.units().len() as f64;
        sizes.insert(drawn.units().len());
        let summed = engine.sum(&before, drawn, alike).unwrap();
        let after = engine.apply(before.clone(), summed).unwrap();
        let length = distance(&values(&before), &values(&after));
        assert!((length / (0.5 * size / 40.0) - 1.0).abs() < 0.01, "{length} for {size}");
    }
    assert!(sizes.len() > 2, "sizes that tell: {sizes:?}");
}

/// Canaries are units of the batch, but the data's step is as long as without them; one key, one noise.
#[test]
fn canaries_do_not_shorten_the_step() {
    let before = net();
    let step = |canaries: u32| {
        let mut engine = engine(poisson(1.0, 0.05, 40 + canaries as usize, 3), method(FLAT));
        if canaries > 0 {
            engine = engine.with_canaries(canaries, &SecretKey::new([1; 32])).unwrap();
        }
        let drawn = engine.draw().unwrap();
        assert_eq!(drawn.units().len(), 40);
        let summed = engine.sum(&before, drawn, each).unwrap();
        values(&engine.apply(before.clone(), summed).unwrap())
    };
    let (alone, among) = (step(0), step(10));
    let (length, gap) = (distance(&values(&before), &alone), distance(&alone, &among));
    assert!(gap < 1e-4 * length && length > 0.05, "{gap} {length}");
}

/// Guarantee 5.
#[test]
fn no_step_passes_the_budget() {
    let (target, delta) = (Epsilon::new(2.0).unwrap(), Delta::new(1e-5).unwrap());
    let mechanism = SubsampledGaussian::new(0.2, 2.0, 0.5).unwrap();
    let most = mechanism.most_steps(target, delta).unwrap();
    assert!((3..60).contains(&most) && mechanism.epsilon(most + 1, delta).unwrap().upper > 2.0, "{most}");
    let mut engine = engine(mechanism.start(20, most, SecretKey::new([1; 32])).unwrap(), method(FLAT));
    let mut net = net();
    for _ in 0..most {
        net = engine.step(net, each).unwrap().0;
    }
    let refused = engine.draw().unwrap_err();
    assert!(matches!(refused, Error::Privacy(underpin_privacy::Error::StepsExhausted { .. })), "{refused}");
    assert!(engine.epsilon(delta).unwrap().unwrap().upper <= 2.0 + 1e-3);
    assert_eq!(engine.taken(), most);
    let few = Method { steps: 2, ..method(FLAT) };
    let mut short = on(&[DeviceKind::Flex.device()], poisson(0.2, 2.0, 20, 1), few);
    for _ in 0..2 {
        short.draw().map(drop).unwrap();
    }
    assert!(short.draw().is_err());
}

/// Bits of the model after three steps on `devices`, and of each step's sum; the model starts on the first device.
fn three_steps<M: Module>(
    devices: &[Device],
    model: M,
    losses: impl Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync,
) -> (Vec<u32>, Vec<u64>) {
    let mut engine = on(devices, poisson(0.5, 1.0, 60, 5), Method { physical_batch: 4, ..method(FLAT) });
    let (mut model, mut sums) = (model.fork(&devices[0].clone().autodiff()), Vec::new());
    for _ in 0..3 {
        let drawn = engine.draw().unwrap();
        let summed = engine.sum(&model, drawn, &losses).unwrap();
        sums.extend(summed.gradient.values().iter().map(|value| value.to_bits()));
        model = engine.apply(model, summed).unwrap();
    }
    (Weights::of(&model).values.into_iter().map(f32::to_bits).collect(), sums)
}

/// Guarantee 6.
#[test]
fn devices_share_one_batch() {
    let after = |kinds: &[DeviceKind]| {
        let devices: Vec<Device> = kinds.iter().map(|kind| kind.device()).collect();
        three_steps(&devices, net(), each)
    };
    let one = after(&[DeviceKind::Flex]);
    assert_eq!(one, after(&[DeviceKind::Flex, DeviceKind::Flex]));
    assert_eq!(one, after(&[DeviceKind::Flex; 5]));
    #[cfg(feature = "ndarray")]
    let of_bits = |bits: Vec<u32>| -> Vec<f32> { bits.into_iter().map(f32::from_bits).collect() };
    #[cfg(feature = "ndarray")]
    assert!(distance(&of_bits(one.0), &of_bits(after(&[DeviceKind::Flex, DeviceKind::Ndarray]).0)) < 1e-4);
}

#[test]
fn any_optimiser_takes_the_noisy_average() {
    let momentum = MomentumConfig::new().with_momentum(0.9);
    for optimiser in [
        SgdConfig::new().with_momentum(Some(momentum)).init(),
        AdamConfig::new().init(),
        RmsPropConfig::new().init(),
        ModuleOptimizer::from(CorrectedAdam::new(0.01, 1e-6).unwrap()),
    ] {
        let method = Method { learning_rate: 0.01, ..method(FLAT) };
        let (steps, device) = (poisson(1.0, 0.3, 40, 1), DeviceKind::Flex.device());
        let mut engine = Engine::new(Steps::Poisson(steps), method, optimiser, vec![device]).unwrap();
        let mut net = net();
        let mut seen = Vec::new();
        for _ in 0..60 {
            let (next, loss) = engine.step(net, each).unwrap();
            net = next;
            seen.extend(loss);
        }
        assert!(seen[59] < 0.5 * seen[0], "{seen:?}");
    }
}

/// The threshold starts a hundred times too high and comes down to where half of the gradients are below it.
#[test]
fn an_adaptive_threshold_follows_released_counts() {
    let clipping = Clipping::Adaptive { initial: 0.5, quantile: 0.5, rate: 0.3, fraction: 0.3 };
    let mut engine = engine(poisson(0.5, 0.5, 60, 1), Method { learning_rate: 1e-6, ..method(clipping) });
    let mut net = net();
    for _ in 0..60 {
        net = engine.step(net, each).unwrap().0;
    }
    let mut plain = Engine::new(
        Steps::Shuffled(Shuffled::new(60, 60, Seed(1)).unwrap()),
        method(FLAT),
        SgdConfig::new().init(),
        vec![DeviceKind::Flex.device()],
    )
    .unwrap();
    let drawn = plain.draw().unwrap();
    let part = Part { units: drawn.units(), places: 0..60, device: &DeviceKind::Flex.device() };
    let norms = plain.record(&net, part, &each).unwrap().0.norms();
    let below = norms.iter().filter(|norm| **norm <= engine.clipper().threshold()).count();
    assert!((20..=40).contains(&below), "{below} of 60 below {}", engine.clipper().threshold());
    assert!(engine.clipper().threshold() > 1.0, "far from where it started");
}

/// Steps under correlated noise go through the same engine; every unit once in five steps.
#[test]
fn correlated_noise_trains() {
    let (factor, part) = (BandedFactor::square_root(5).unwrap(), Participation::new(20, 5).unwrap());
    let mechanism = CorrelatedGaussian::new(factor, part, 0.5, 0.5).unwrap();
    let run = mechanism.start(40, SecretKey::new([1; 32])).unwrap();
    let method = Method { learning_rate: 0.1, ..method(FLAT) };
    let steps = Steps::Correlated(Cyclic::new(run, Seed(3)));
    let mut engine = Engine::new(steps, method, SgdConfig::new().init(), vec![DeviceKind::Flex.device()]).unwrap();
    let (mut net, mut seen, mut drawn) = (net(), Vec::new(), Vec::new());
    for _ in 0..20 {
        let batch = engine.draw().unwrap();
        drawn.push(batch.units().to_vec());
        let summed = engine.sum(&net, batch, each).unwrap();
        seen.extend(summed.loss());
        net = engine.apply(net, summed).unwrap();
    }
    assert!(seen[19] < 0.8 * seen[0], "{seen:?}");
    let mut epoch = drawn[..5].concat();
    epoch.sort_unstable();
    assert_eq!(epoch, (0..40).collect::<Vec<_>>());
    assert_eq!(drawn[..5], drawn[5..10]);
    assert!(engine.draw().is_err());
}

#[test]
fn what_cannot_run_is_refused() {
    let device = || vec![DeviceKind::Flex.device()];
    let make = |method, devices| {
        let steps = Steps::Poisson(poisson(0.5, 1.0, 20, 1));
        Engine::new(steps, method, SgdConfig::new().init(), devices)
    };
    let good = method(FLAT);
    for bad in [
        Method { learning_rate: 0.0, ..good },
        Method { steps: 0, ..good },
        Method { rows_per_unit: 0, ..good },
        Method { physical_batch: 0, ..good },
        Method { clipping: Clipping::Flat { norm: 0.6 }, ..good },
        Method { averaging: Averaging::Exponential(1.0), ..good },
    ] {
        assert!(matches!(make(bad, device()), Err(Error::OutOfRange(_))), "{bad:?}");
    }
    assert!(matches!(make(good, Vec::new()), Err(Error::OutOfRange(ref out)) if out.name == "devices"));
    let (factor, part) = (BandedFactor::square_root(2).unwrap(), Participation::new(4, 2).unwrap());
    let run = CorrelatedGaussian::new(factor, part, 1.0, 0.5).unwrap().start(8, SecretKey::new([1; 32])).unwrap();
    let adaptive = method(Clipping::Adaptive { initial: 0.5, quantile: 0.5, rate: 0.2, fraction: 0.1 });
    let steps = Steps::Correlated(Cyclic::new(run, Seed(1)));
    assert!(Engine::new(steps, adaptive, SgdConfig::new().init(), device()).is_err());
    let engine = make(Method { rows_per_unit: 2, ..good }, device()).unwrap();
    assert!(engine.with_canaries(20, &SecretKey::new([1; 32])).is_err());
    let mut engine = make(Method { rows_per_unit: 2, ..good }, device()).unwrap();
    assert!(matches!(engine.step(net(), each), Err(Error::Losses { .. })));
}

#[cfg(feature = "remote")]
#[path = "remote_tests.rs"]
mod remote;
