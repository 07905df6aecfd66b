//! The tape against burn's own layers, one example and one backward pass at a time.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::tanh};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::contract::Redraw;
use super::*;
use crate::DeviceKind;

/// Convolutions of all sorts, a linear layer over positions, and one over all.
#[derive(Module, Debug)]
struct Net {
    convolutions: Vec<Conv2d>,
    positions: Linear,
    last: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv = |channels, kernel| Conv2dConfig::new(channels, kernel);
        let configs = [
            conv([2, 4], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 0, 2, 1)).with_stride([2, 1]),
            conv([4, 6], [3, 2]).with_padding(PaddingConfig2d::Same).with_groups(2),
            conv([6, 3], [2, 2]).with_dilation([2, 1]).with_bias(false),
            conv([3, 3], [3, 3]).with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3)).with_stride([3, 2]),
        ];
        let mut net = Self {
            convolutions: configs.iter().map(|config| config.init(device)).collect(),
            positions: LinearConfig::new(4, 6).init(device),
            last: LinearConfig::new(6 * 6, 5).with_bias(false).init(device),
        };
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        for layer in &mut net.convolutions {
            layer.weight = layer.weight.clone().map(|weight| leaf(weight.dims(), &mut rng, device));
            layer.bias = layer.bias.clone().map(|bias| bias.map(|b| leaf(b.dims(), &mut rng, device)));
        }
        for layer in [&mut net.positions, &mut net.last] {
            layer.weight = layer.weight.clone().map(|weight| leaf(weight.dims(), &mut rng, device));
            layer.bias = layer.bias.clone().map(|bias| bias.map(|b| leaf(b.dims(), &mut rng, device)));
        }
        net
    }

    /// Losses `[example]` of inputs `[example, 2, 7, 6]`; through burn's own layers without a tape.
    fn losses(&self, inputs: Tensor<4>, mut tape: Option<&mut Tape>) -> Tensor<1> {
        let mut maps = inputs;
        for layer in &self.convolutions {
            maps = tanh(match &mut tape {
                Some(tape) => tape.conv2d(layer, maps),
                None => layer.forward(maps),
            });
        }
        let [batch, channels, height, width] = maps.dims();
        let rows: Tensor<3> = maps.reshape([batch, channels * height, width]);
        let rows = tanh(match &mut tape {
            Some(tape) => tape.linear(&self.positions, rows),
            None => self.positions.forward(rows),
        });
        let flat: Tensor<2> = rows.flatten(1, 2);
        let logits = match &mut tape {
            Some(tape) => tape.linear(&self.last, flat),
            None => self.last.forward(flat),
        };
        logits.powf_scalar(2.0).sum_dim(1).squeeze_dim(1)
    }

    /// Each example's gradient by a backward pass of its own through burn's layers, and the gradient at its input.
    fn one_by_one(&self, inputs: &Tensor<4>) -> Vec<(Vec<f64>, Vec<f64>)> {
        let one = |example| {
            let input = inputs.clone().narrow(0, example, 1).autodiff().require_grad();
            let grads = self.losses(input.clone(), None).sum().backward();
            let mut gradient = Vec::new();
            for layer in &self.convolutions {
                gradient.extend(doubles(layer.weight.val().grad(&grads).unwrap()));
                gradient.extend(layer.bias.iter().flat_map(|bias| doubles(bias.val().grad(&grads).unwrap())));
            }
            for layer in [&self.positions, &self.last] {
                gradient.extend(doubles(layer.weight.val().grad(&grads).unwrap()));
                gradient.extend(layer.bias.iter().flat_map(|bias| doubles(bias.val().grad(&grads).unwrap())));
            }
            (gradient, doubles(input.grad(&grads).unwrap()))
        };
        (0..inputs.dims()[0]).map(one).collect()
    }
}

pub(super) fn drawn<const D: usize>(shape: [usize; D], rng: &mut ChaCha12Rng, device: &Device) -> Tensor<D> {
    let values = (0..shape.iter().product()).map(|_| rng.random::<f32>() - 0.5).collect();
    host::tensor(values, shape, device)
}

/// Drawn, and tracked if the device is one for autodiff.
fn leaf<const D: usize>(shape: [usize; D], rng: &mut ChaCha12Rng, device: &Device) -> Tensor<D> {
    let values = drawn(shape, rng, device);
    if device.is_autodiff() { values.require_grad() } else { values }
}

pub(super) fn doubles<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    host::values(tensor).into_iter().map(f64::from).collect()
}

pub(super) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

fn inputs(examples: usize, device: &Device) -> Tensor<4> {
    drawn([examples, 2, 7, 6], &mut ChaCha12Rng::seed_from_u64(4), device)
}

fn record(net: &Net, inputs: Tensor<4>) -> Recording {
    let mut tape = Tape::recording(net).unwrap();
    let losses = net.losses(inputs, Some(&mut tape));
    tape.backward(losses).unwrap()
}

#[test]
fn per_example_gradients_are_those_of_one_by_one_backward_passes() {
    for kind in DeviceKind::ALL {
        let device = kind.device();
        let (net, inputs) = (Net::new(&device.clone().autodiff()), inputs(7, &device));
        let expected = net.one_by_one(&inputs);
        let mut recording = record(&net, inputs.clone());
        let sum = |clip: f64| {
            let mut sum = vec![0.0; expected[0].0.len()];
            for (gradient, _) in &expected {
                let factor = (clip / norm(gradient)).min(1.0);
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += factor * value);
            }
            sum
        };
        for (found, (gradient, _)) in recording.norms().iter().zip(&expected) {
            assert!((found / norm(gradient) - 1.0).abs() < 1e-5, "{kind}: {found} is not {}", norm(gradient));
        }
        let mut norms: Vec<f64> = expected.iter().map(|(gradient, _)| norm(gradient)).collect();
        norms.sort_by(f64::total_cmp);
        for clip in [norms[0] / 10.0, norms[3], norms[6] * 2.0] {
            let (found, expected) = (recording.clipped_sum(clip, 7), sum(clip));
            assert!(distance(found.values(), &expected) < 1e-5 * norm(&expected), "{kind}: clipping norm {clip}");
        }
        let plain = record(&net, inputs).sum();
        assert!(distance(plain.values(), &sum(f64::INFINITY)) < 1e-5 * norm(plain.values()), "{kind}");
    }
}

#[test]
fn a_silent_tape_gives_the_gradient_at_the_input() {
    for kind in DeviceKind::ALL {
        let device = kind.device();
        let (net, inputs) = (Net::new(&device), inputs(3, &device));
        let expected: Vec<f64> =
            Net::new(&device.clone().autodiff()).one_by_one(&inputs).into_iter().flat_map(|(_, input)| input).collect();
        let tracked = inputs.clone().autodiff().require_grad();
        let losses = net.losses(tracked.clone(), Some(&mut Tape::silent()));
        let plain = net.losses(inputs, Some(&mut Tape::silent()));
        assert!(!plain.is_autodiff(), "{kind}: nothing is tracked unless asked for");
        assert!(distance(&doubles(plain), &doubles(losses.clone())) == 0.0, "{kind}");
        let found = doubles(tracked.grad(&losses.sum().backward()).unwrap());
        assert!(distance(&found, &expected) < 1e-5 * norm(&expected), "{kind}");
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn backends_agree() {
    let sum = |kind: DeviceKind| {
        let device = kind.device();
        record(&Net::new(&device), inputs(5, &device)).clipped_sum(0.5, 5)
    };
    let (flex, ndarray) = (sum(DeviceKind::Flex), sum(DeviceKind::Ndarray));
    assert!(distance(flex.values(), ndarray.values()) < 1e-5 * norm(flex.values()));
}

#[test]
fn an_example_that_is_not_finite_takes_no_part() {
    for kind in DeviceKind::ALL {
        let device = kind.device();
        let layer = LinearConfig::new(2, 2).init(&device);
        let sum = |rows: &[[f32; 2]]| {
            let mut tape = Tape::recording(&layer).unwrap();
            let values = rows.iter().flatten().copied().collect();
            let output = tape.linear(&layer, host::tensor(values, [rows.len(), 2], &device));
            tape.backward(output.powf_scalar(2.0).sum_dim(1).squeeze_dim(1)).unwrap().clipped_sum(1.0, rows.len())
        };
        let (with, without) = (sum(&[[1.0, 2.0], [f32::INFINITY, 0.0], [3.0, 1.0]]), sum(&[[1.0, 2.0], [3.0, 1.0]]));
        assert!(distance(with.values(), without.values()) < 1e-6, "{kind}");
    }
}

/// Groups of three: norms and clipped sums are those of the added-up gradients of one-by-one backward passes.
#[test]
fn rows_of_a_group_are_one_example() {
    for kind in DeviceKind::ALL {
        let device = kind.device();
        let (net, inputs) = (Net::new(&device.clone().autodiff()), inputs(6, &device));
        let add = |mut total: Vec<f64>, (gradient, _): &(Vec<f64>, Vec<f64>)| {
            total.iter_mut().zip(gradient).for_each(|(total, value)| *total += value);
            total
        };
        let single = net.one_by_one(&inputs);
        let groups: Vec<Vec<f64>> =
            single.chunks(3).map(|rows| rows.iter().fold(vec![0.0; rows[0].0.len()], add)).collect();
        let mut recording = record(&net, inputs.clone()).grouped(3).unwrap();
        assert_eq!(recording.examples(), 2);
        let norms = recording.norms();
        for (found, group) in norms.iter().zip(&groups) {
            assert!((found / norm(group) - 1.0).abs() < 1e-5, "{kind}: {found} is not {}", norm(group));
        }
        let clip = norms[0].min(norms[1]) / 3.0;
        let (found, mut expected) = (recording.clipped_sum(clip, 2), vec![0.0; groups[0].len()]);
        for group in &groups {
            expected.iter_mut().zip(group).for_each(|(sum, value)| *sum += value * clip / norm(group));
        }
        assert!(distance(found.values(), &expected) < 1e-5 * norm(&expected), "{kind}");
        assert!(record(&net, inputs).grouped(4).is_err());
    }
}

/// A layer without a form of its own for groups gives the same, group by group.
#[test]
fn any_layer_can_be_grouped() {
    struct Rows(Vec<[f32; 2]>);
    impl ExampleGradients for Rows {
        fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
            Box::new(Grouped::new(self, rows, size))
        }

        fn add_squared_norms(&mut self, _: &mut [f64]) {
            unreachable!("only sums are asked of the members")
        }

        fn add_weighted(&self, weights: &[f32], _: usize, sum: &mut [f64]) {
            for (row, weight) in self.0.iter().zip(weights) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(value * weight));
            }
        }
    }
    let rows = || Box::new(Rows(vec![[1.0, 0.0], [2.0, 4.0], [0.0, 1.0], [0.0, -1.0]]));
    let mut grouped = rows().grouped(2, 2);
    let mut sum = [0.0; 2];
    grouped.add_weighted(&[1.0, 2.0], 64, &mut sum);
    assert_eq!(sum.as_slice(), [3.0, 4.0]);
    let mut norms = [0.0; 2];
    grouped.add_squared_norms(&mut norms);
    assert_eq!(norms.as_slice(), [25.0, 0.0]);
    grouped.add_weighted(&[2.0, 1.0], 64, &mut sum);
    assert_eq!(sum.as_slice(), [9.0, 12.0]);
}

#[test]
fn a_layer_that_does_not_reach_the_loss_has_no_gradient() {
    let device = DeviceKind::Flex.device();
    let layers = [LinearConfig::new(2, 2).init(&device), LinearConfig::new(2, 1).init(&device)];
    let mut tape = Tape::recording(&layers).unwrap();
    let input = Tensor::<2>::ones([3, 2], &device);
    let _ = tape.linear(&layers[0], input.clone());
    let output = tape.linear(&layers[1], input);
    let sum = tape.backward(output.squeeze_dim(1)).unwrap().sum();
    assert_eq!(sum.values(), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 3.0, 3.0]);
}

/// A convolution and a linear layer on random data; per-example gradients of very different norms.
fn mixed(examples: usize, seed: u64, scale: f32) -> (Recording, Vec<Recording>) {
    let device = DeviceKind::Flex.device();
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let conv = Conv2dConfig::new([1, 3], [3, 3]).init(&device);
    let linear = LinearConfig::new(3 * 2 * 2, 3).init(&device);
    let input: Tensor<4> = drawn([examples, 1, 4, 4], &mut rng, &device) * scale;
    let run = |input: Tensor<4>| {
        let mut tape = Tape::recording(&(conv.clone(), linear.clone())).unwrap();
        let maps: Tensor<2> = tape.conv2d(&conv, input).flatten(1, 3);
        let losses = tape.linear(&linear, maps).powf_scalar(2.0).sum_dim(1).squeeze_dim(1);
        tape.backward(losses).unwrap()
    };
    let single = (0..examples).map(|example| run(input.clone().narrow(0, example, 1))).collect();
    (run(input), single)
}

/// A table and a layer over positions, each used twice.
#[derive(Module, Debug)]
struct Sequences {
    table: Embedding,
    inner: Linear,
}

/// As [`mixed`], on sequences, with parameters at several places; `cancelling` makes the positions' parts cancel.
fn sequences(examples: usize, seed: u64, method: NormMethod, cancelling: f32) -> (Recording, Vec<Recording>) {
    let device = DeviceKind::Flex.device();
    let (table, inner) = (EmbeddingConfig::new(7, 5).init(&device), LinearConfig::new(5, 5).init(&device));
    let model = Redraw::of(Sequences { table, inner });
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let tokens: Vec<i64> = (0..examples * 6).map(|_| rng.random_range(0..7)).collect();
    let tokens: Tensor<2, Int> = Tensor::from_data(TensorData::new(tokens, [examples, 6]), &device);
    let signs = drawn([1, 6, 7], &mut rng, &device) * cancelling + 1.0;
    let run = |tokens: Tensor<2, Int>| {
        let mut tape = Tape::recording(&model).unwrap().with_norms(method);
        let rows = tape.embedding(&model.table, tokens);
        let once = tape.linear(&model.inner, rows).tanh();
        let rows = tape.linear(&model.inner, once);
        let logits = tape.unembedding(&model.table, rows) * signs.clone();
        tape.backward(logits.sum_dim(2).sum_dim(1).flatten(0, 2)).unwrap()
    };
    let single = (0..examples).map(|example| run(tokens.clone().narrow(0, example, 1))).collect();
    (run(tokens), single)
}

fn methods() -> impl Strategy<Value = NormMethod> {
    prop_oneof![Just(NormMethod::Ghost), Just(NormMethod::Instantiated)]
}

/// How far a sum over many examples is from the sum of the sums over each alone.
fn inexactness((mut together, alone): (Recording, Vec<Recording>), clip: f64) -> f64 {
    let sum = together.clipped_sum(clip, alone.len());
    let mut exact = vec![0.0; sum.values().len()];
    for mut recording in alone {
        let own = recording.clipped_sum(clip, 1);
        exact.iter_mut().zip(own.values()).for_each(|(total, value)| *total += value);
    }
    distance(sum.values(), &exact)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Guarantee 1 of `Recording::clipped_sum`.
    #[test]
    fn no_example_adds_more_than_the_clipping_norm(seed in any::<u64>(), clip in 1e-3_f64..10.0, scale in 0.1_f32..50.0) {
        for mut recording in mixed(4, seed, scale).1 {
            prop_assert!(norm(recording.clipped_sum(clip, 1).values()) <= clip);
        }
    }

    /// Guarantee 2 of `Recording::clipped_sum`, with the norms at their largest.
    #[test]
    fn sums_are_exact_enough(seed in any::<u64>(), clip in 1e-3_f64..1e-1, scale in 1.0_f32..50.0) {
        prop_assert!(inexactness(mixed(90, seed, scale), clip) <= clip / 512.0);
    }

    /// Guarantee 1 of `Recording::clipped_sum` on sequences, where norms come from inner products.
    #[test]
    fn no_sequence_adds_more_than_the_clipping_norm(
        seed in any::<u64>(), clip in 1e-3_f64..10.0, method in methods(), cancelling in 0.0_f32..100.0,
    ) {
        for mut recording in sequences(4, seed, method, cancelling).1 {
            prop_assert!(norm(recording.clipped_sum(clip, 1).values()) <= clip);
        }
    }

    /// Guarantee 2 of `Recording::clipped_sum` on sequences.
    #[test]
    fn sums_of_sequences_are_exact_enough(
        seed in any::<u64>(), clip in 1e-3_f64..1e-1, method in methods(), cancelling in 0.0_f32..100.0,
    ) {
        prop_assert!(inexactness(sequences(40, seed, method, cancelling), clip) <= clip / 512.0);
    }
}
