//! A convolution with what follows it in one pass, against the same layers one after the other.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, activation::relu};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::{Recording, Tape, host};
use crate::DeviceKind;

fn drawn<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    super::tests::drawn(shape, &mut ChaCha12Rng::seed_from_u64(seed), device)
}

/// Convolutions that pad, stride and group, with what pools their output.
fn cases(device: &Device) -> Vec<(Conv2d, MaxPool2d)> {
    let conv = |groups| Conv2dConfig::new([4, 6], [3, 2]).with_groups(groups);
    let padded = conv(1).with_stride([2, 1]).with_padding(PaddingConfig2d::Explicit(1, 1, 0, 2));
    let pool = |kernel: [usize; 2]| MaxPool2dConfig::new(kernel);
    let cases = [
        (padded.clone(), pool([2, 2]).with_strides([1, 1])),
        (padded.with_bias(false), pool([2, 3]).with_strides([2, 3])),
        (conv(2), pool([1, 2]).with_strides([3, 1])),
        (conv(2).with_dilation([1, 2]), pool([2, 2]).with_strides([2, 2]).with_padding(PaddingConfig2d::Same)),
        (conv(1), pool([3, 3]).with_strides([2, 2]).with_ceil_mode(true)),
        (conv(1), pool([1, 1]).with_strides([1, 1])),
    ];
    let init = |(conv, pool): &(Conv2dConfig, MaxPool2dConfig)| {
        let mut conv = conv.init(device);
        conv.weight = conv.weight.clone().map(|weight| drawn(weight.dims(), 1, device));
        conv.bias = conv.bias.clone().map(|bias| bias.map(|bias| drawn(bias.dims(), 2, device)));
        (conv, pool.init())
    };
    cases.iter().map(init).collect()
}

/// Outputs, gradient at the input, and the recording.
fn run(
    conv: &Conv2d,
    inputs: &Tensor<4>,
    device: &Device,
    forward: impl Fn(Tensor<4>, &mut Tape) -> Tensor<4>,
) -> (Vec<f32>, Vec<f32>, Recording) {
    let losses = |output: Tensor<4>| {
        let slope = drawn(output.dims(), 5, device);
        // Its gradient is not 0 where the output is: what ReLU stops must be stopped.
        let flat: Tensor<2> = ((output + 1.0) * slope).powf_scalar(2.0).flatten(1, 3);
        flat.sum_dim(1).squeeze_dim::<1>(1)
    };
    let tracked = inputs.clone().autodiff().require_grad();
    let output = forward(tracked.clone(), &mut Tape::silent());
    let values = host::values(output.clone());
    let gradient = tracked.grad(&losses(output).sum().backward()).unwrap();
    let mut tape = Tape::recording(conv).unwrap();
    let output = forward(inputs.clone(), &mut tape);
    assert_eq!(host::values(output.clone()), values, "recording or not");
    (values, host::values(gradient), tape.backward(losses(output)).unwrap())
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(size > 0.0 && off <= 1e-5 * size, "{what}: off by {off} of {size}");
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn one_pass_is_what_it_stands_for() {
    for kind in DeviceKind::ALL {
        let device = kind.device();
        let inputs = drawn([5, 4, 9, 8], 3, &device);
        for (position, (conv, pool)) in cases(&device).iter().enumerate() {
            let together = |input, tape: &mut Tape| tape.conv2d_relu_max_pool2d(conv, pool, input);
            let apart = |input, tape: &mut Tape| pool.forward(relu(tape.conv2d(conv, input)));
            let (found, expected) = (run(conv, &inputs, &device, together), run(conv, &inputs, &device, apart));
            let case = format!("{kind}, case {position}");
            assert_close(&doubles(&found.0), &doubles(&expected.0), &format!("{case}: output"));
            assert_close(&doubles(&found.1), &doubles(&expected.1), &format!("{case}: gradient at the input"));
            let (mut found, mut expected) = (found.2, expected.2);
            let norms = expected.norms();
            assert_close(&found.norms(), &norms, &format!("{case}: norms"));
            let clip = norms[2];
            let sums = (found.clipped_sum(clip, 5), expected.clipped_sum(clip, 5));
            assert_close(sums.0.values(), sums.1.values(), &format!("{case}: clipped sum"));
            assert_close(found.sum().values(), expected.sum().values(), &format!("{case}: sum"));
            let rectified = |input, tape: &mut Tape| tape.conv2d_relu(conv, input);
            let plain = |input, tape: &mut Tape| relu(tape.conv2d(conv, input));
            let (found, expected) = (run(conv, &inputs, &device, rectified), run(conv, &inputs, &device, plain));
            assert_close(&doubles(&found.0), &doubles(&expected.0), &format!("{case}: ReLU's output"));
            assert_close(found.2.sum().values(), expected.2.sum().values(), &format!("{case}: ReLU's sum"));
            let largest = |input, tape: &mut Tape| tape.conv2d_max_pool2d(conv, pool, input);
            let plain = |input, tape: &mut Tape| pool.forward(tape.conv2d(conv, input));
            let (found, expected) = (run(conv, &inputs, &device, largest), run(conv, &inputs, &device, plain));
            assert_close(&doubles(&found.0), &doubles(&expected.0), &format!("{case}: pooled output"));
            assert_close(&doubles(&found.1), &doubles(&expected.1), &format!("{case}: gradient at the input, no ReLU"));
            assert_close(found.2.sum().values(), expected.2.sum().values(), &format!("{case}: pooled sum"));
        }
    }
}

#[test]
fn nan_is_neither_pooled_away_nor_spread() {
    let device = DeviceKind::Flex.device();
    let (conv, pool) = &cases(&device)[0];
    let mut values = host::values(drawn([2, 4, 9, 8], 3, &device));
    values[0] = f32::NAN;
    let inputs = host::tensor(values, [2, 4, 9, 8], &device);
    let mut tape = Tape::recording(conv).unwrap();
    let output = tape.conv2d_relu_max_pool2d(conv, pool, inputs);
    let values = host::values(output.clone());
    let (first, second) = values.split_at(values.len() / 2);
    assert!(first.iter().any(|value| value.is_nan()) && second.iter().all(|value| value.is_finite()));
    let flat: Tensor<2> = output.powf_scalar(2.0).flatten(1, 3);
    let mut recording = tape.backward(flat.sum_dim(1).squeeze_dim(1)).unwrap();
    assert!(recording.norms()[0].is_nan() && recording.norms()[1] > 0.0);
    assert!(recording.clipped_sum(1.0, 2).values().iter().all(|value| value.is_finite()), "the first takes no part");
}
