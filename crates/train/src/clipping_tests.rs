//! The sensitivity of every kind of clipping, and where adaptive clipping goes.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::tape::host;
use crate::{DeviceKind, Tape};

const ALL: [Clipping; 5] = [
    Clipping::Flat { norm: 0.7 },
    Clipping::PerLayer { norm: 0.7 },
    Clipping::Automatic { norm: 0.7, stability: 0.01 },
    Clipping::Adaptive { initial: 0.7, quantile: 0.5, rate: 0.2, fraction: 0.05 },
    Clipping::Adaptive { initial: 0.7, quantile: 0.5, rate: 0.2, fraction: 0.9 },
];

/// Two linear layers, and inputs of the given lengths.
fn recording(lengths: &[f32], seed: u64) -> Recording {
    let device = DeviceKind::Flex.device();
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let layer = |from, to, rng: &mut ChaCha12Rng| {
        let values = (0..from * to).map(|_| rng.random::<f32>() - 0.5).collect();
        let layer: Linear = LinearConfig::new(from, to).init(&device);
        let bias = layer.bias.map(|bias| bias.map(|_| host::tensor(vec![0.1; to], [to], &device)));
        Linear { weight: layer.weight.map(|_| host::tensor(values, [from, to], &device)), bias }
    };
    let (first, second) = (layer(3, 4, &mut rng), layer(4, 2, &mut rng));
    let values = lengths.iter().flat_map(|length| [*length, -length, 0.5 * length]).collect();
    let mut tape = Tape::recording(&(first.clone(), second.clone())).unwrap();
    let hidden = tape.linear(&first, host::tensor(values, [lengths.len(), 3], &device));
    let losses: Tensor<2> = tape.linear(&second, hidden).powf_scalar(2.0).sum_dim(1);
    tape.backward(losses.squeeze_dim(1)).unwrap()
}

fn length(sum: &ClippedSum) -> f64 {
    let count = sum.count.unwrap_or(0.0);
    (sum.gradient.values().iter().map(|value| value * value).sum::<f64>() + count * count).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Guarantees 1 to 4 of `Clipping`, at any threshold that adaptive clipping may have reached.
    #[test]
    fn no_clipping_adds_more_than_its_norm(seed in any::<u64>(), exponent in -8_f32..8.0, moved in -5_f64..5.0) {
        for rule in ALL {
            let mut clipper = rule.start().unwrap();
            clipper.threshold *= 10_f64.powf(moved);
            let sum = clipper.sum(&mut recording(&[10_f32.powf(exponent)], seed), 1);
            prop_assert!(length(&sum) <= rule.norm(), "{rule:?}: {}", length(&sum));
        }
    }
}

#[test]
fn long_gradients_fill_the_norm() {
    for rule in ALL {
        let sum = rule.start().unwrap().sum(&mut recording(&[1e4], 3), 1);
        assert!(length(&sum) > 0.999 * rule.norm(), "{rule:?}: {}", length(&sum));
    }
}

#[test]
fn what_is_not_finite_takes_no_part() {
    for rule in ALL {
        let clipper = rule.start().unwrap();
        let (with, without) = (
            clipper.sum(&mut recording(&[2.0, f32::INFINITY, 1.0, f32::NAN], 3), 4),
            clipper.sum(&mut recording(&[2.0, 1.0], 3), 2),
        );
        let gap = with.gradient.values().iter().zip(without.gradient.values()).map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f64::max) < 1e-6, "{rule:?}");
        // Two gradients that are not finite are not below the threshold.
        let Clipping::Adaptive { fraction, initial, .. } = rule else { continue };
        assert!((with.count.unwrap() - without.count.unwrap() + 2.0 * fraction * initial).abs() < 1e-12);
    }
}

#[test]
fn layers_are_clipped_apart() {
    let clipper = Clipping::PerLayer { norm: 2.0 }.start().unwrap();
    let sum = clipper.sum(&mut recording(&[1e4], 3), 1);
    let (first, second) = sum.gradient.values().split_at(4 * 3 + 4);
    for layer in [first, second] {
        let norm = layer.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((norm / 2f64.sqrt() - 1.0).abs() < 1e-5, "{norm}");
    }
}

/// Without noise, the threshold settles where a quarter of the gradients is below it.
#[test]
fn the_threshold_finds_its_quantile() {
    let lengths: Vec<f32> = (0..100).map(|row| 0.1 + row as f32 / 50.0).collect();
    let rule = Clipping::Adaptive { initial: 50.0, quantile: 0.25, rate: 0.2, fraction: 0.1 };
    let mut clipper = rule.start().unwrap();
    for _ in 0..200 {
        let count = clipper.sum(&mut recording(&lengths, 3), 100).count.unwrap();
        clipper.follow(count / 100.0);
    }
    let below = recording(&lengths, 3).norms().iter().filter(|norm| **norm <= clipper.threshold()).count();
    assert!((23..=27).contains(&below), "{below}");
}

#[test]
fn values_out_of_range_are_refused() {
    let adaptive = Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, fraction: 0.05 };
    let Clipping::Adaptive { initial, quantile, rate, fraction } = adaptive else { unreachable!() };
    for rule in [
        Clipping::Flat { norm: 0.0 },
        Clipping::PerLayer { norm: f64::NAN },
        Clipping::Automatic { norm: f64::INFINITY, stability: 0.01 },
        Clipping::Automatic { norm: 1.0, stability: 0.0 },
        Clipping::Adaptive { initial: -1.0, quantile, rate, fraction },
        Clipping::Adaptive { initial, quantile: 1.1, rate, fraction },
        Clipping::Adaptive { initial, quantile, rate: 0.0, fraction },
        Clipping::Adaptive { initial, quantile, rate, fraction: 1.0 },
    ] {
        assert!(matches!(rule.start(), Err(Error::OutOfRange(_))), "{rule:?}");
    }
}
