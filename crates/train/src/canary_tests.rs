//! The self-audit, on the engine and on engines broken on purpose.

use burn::nn::LinearConfig;
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;
use underpin_core::Seed;
use underpin_privacy::PrivateSteps;

use super::*;
use crate::tape::host;
use crate::{Averaging, Clipping, DeviceKind, Engine, Method, Schedule, Steps};

const UNITS: usize = 100;
const CANARIES: u32 = 2000;
const STEPS: u64 = 200;
const NORM: f64 = 0.5;

/// What every engine here says it is: Poisson sampling at 1/20, noise multiplier 2.
fn stated() -> PrivateSteps {
    let mechanism = SubsampledGaussian::new(0.05, 2.0, NORM).unwrap();
    mechanism.start(UNITS + CANARIES as usize, STEPS, SecretKey::new([5; 32])).unwrap()
}

fn delta() -> Delta {
    Delta::new(1e-5).unwrap()
}

fn stated_epsilon() -> f64 {
    stated().mechanism().epsilon(STEPS, delta()).unwrap().upper
}

fn canaries() -> Canaries {
    Canaries::new(CANARIES, NORM, &SecretKey::new([6; 32])).unwrap()
}

/// The sum of the canaries drawn, clipped as they should be.
fn clipped(canaries: &Canaries, drawn: &[usize]) -> Vec<f32> {
    let sum = canaries.recording(drawn).clipped_sum(NORM, drawn.len());
    sum.values().iter().map(|value| host::rounded(*value)).collect()
}

/// Standard normals, of no cryptographic strength.
fn gaussian(rng: &mut ChaCha12Rng) -> f64 {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 + 1e-300;
    let (u, v) = (uniform(), uniform());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The canaries among units drawn.
fn drawn(units: &[usize]) -> Vec<usize> {
    units.iter().filter(|unit| **unit >= UNITS).map(|unit| unit - UNITS).collect()
}

/// An honest run of the engine itself, on a model of three weights.
#[test]
fn an_honest_engine_is_not_refuted() {
    let device = DeviceKind::Flex.device();
    let method = Method {
        clipping: Clipping::Flat { norm: NORM },
        steps: STEPS,
        learning_rate: 0.1,
        schedule: Schedule::Constant,
        averaging: Averaging::Last(0.0),
        rows_per_unit: 1,
        physical_batch: 64,
    };
    let engine = Engine::new(Steps::Poisson(stated()), method, SgdConfig::new().init(), vec![device.clone()]);
    let mut engine = engine.unwrap().with_canaries(CANARIES, &SecretKey::new([6; 32])).unwrap();
    let mut net = LinearConfig::new(2, 1).init(&device.autodiff());
    for _ in 0..STEPS {
        let step = engine.step(net, |net, part, tape| {
            let inputs = part.units.iter().flat_map(|unit| [*unit as f32 / 50.0, 1.0]).collect();
            let outputs = tape.linear(net, host::tensor(inputs, [part.units.len(), 2], part.device));
            let losses: Tensor<1> = (outputs - 3.0).powf_scalar(2.0).squeeze_dim(1);
            losses
        });
        net = step.unwrap().0;
    }
    let audit = engine.audit(delta(), 0.95).unwrap().unwrap();
    let upper = engine.epsilon(delta()).unwrap().unwrap().upper;
    assert_eq!((audit.guesses.canaries, audit.guesses.made), (CANARIES, 200));
    assert!(audit.epsilon_lower <= upper, "{audit:?} {upper}");
    // Not for want of power: the canaries' guesses are far better than chance.
    assert!(audit.epsilon_lower > 0.1, "{audit:?}");
}

#[test]
fn an_engine_without_noise_is_caught() {
    let (mut steps, mut canaries) = (stated(), canaries());
    for _ in 0..STEPS {
        let batch = steps.draw().unwrap();
        let sum = clipped(&canaries, &drawn(batch.indices()));
        canaries.observe(&sum);
    }
    let audit = canaries.audit(delta(), 0.95).unwrap();
    assert!(audit.epsilon_lower > stated_epsilon(), "{audit:?} {}", stated_epsilon());
}

/// The mean gradient of the batch is clipped, not each example's, and gets the noise of a mean of clipped gradients.
#[test]
fn an_engine_that_clips_the_batch_gradient_is_caught() {
    let (mut steps, mut canaries) = (stated(), canaries());
    for _ in 0..STEPS {
        let batch = steps.draw().unwrap();
        let sum = canaries.recording(&drawn(batch.indices())).sum();
        let most = steps.expected_batch_size() * NORM;
        let norm = sum.values().iter().map(|value| value * value).sum::<f64>().sqrt();
        let factor = (most / norm).min(1.0);
        let mut sum: Vec<f32> = sum.values().iter().map(|value| host::rounded(value * factor)).collect();
        // The mechanism's own check, too, refuses what no clipped gradients add up to; here the batch is large enough.
        let drawn = batch.indices().len() as f64;
        let fits = (drawn / steps.expected_batch_size()).min(1.0);
        for value in &mut sum {
            *value *= host::rounded(fits);
        }
        steps.release(batch, &mut sum).unwrap();
        canaries.observe(&sum);
    }
    let audit = canaries.audit(delta(), 0.95).unwrap();
    assert!(audit.epsilon_lower > stated_epsilon(), "{audit:?} {}", stated_epsilon());
}

/// Batches are shuffled by the public seed, as in plain training, and reported as Poisson samples: who knows the seed
/// knows in which twentieth of the steps to look for a canary.
#[test]
fn an_engine_that_reports_shuffled_batches_as_poisson_is_caught() {
    let mut shuffled =
        crate::Shuffled::new(UNITS + CANARIES as usize, (UNITS + CANARIES as usize) / 20, Seed(1)).unwrap();
    let (mut canaries, mut rng) = (canaries(), ChaCha12Rng::seed_from_u64(9));
    for _ in 0..STEPS {
        let batch = drawn(&shuffled.next());
        let mut released = vec![0.0; CANARIES as usize];
        let sum = clipped(&canaries, &batch);
        for canary in batch {
            released[canary] = sum[canary] + host::rounded(gaussian(&mut rng) * 2.0 * NORM);
        }
        canaries.observe(&released);
    }
    let audit = canaries.audit(delta(), 0.95).unwrap();
    assert!(audit.epsilon_lower > stated_epsilon(), "{audit:?} {}", stated_epsilon());
}
