//! Errors of a tape.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use tracing::Level;

use super::*;
use crate::captured::capture;
use crate::{DeviceKind, Error};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: Option<BatchNorm>,
    last: Linear,
}

fn device() -> Device {
    DeviceKind::Flex.device()
}

fn net(device: &Device) -> Net {
    let linear = || LinearConfig::new(3, 3).init(device);
    Net { first: linear(), norm: None, last: linear() }
}

fn losses(output: Tensor<2>) -> Tensor<1> {
    output.powf_scalar(2.0).sum_dim(1).squeeze_dim(1)
}

#[test]
fn batch_norm_is_refused_at_construction() {
    for device in [device(), device().autodiff()] {
        let norm = BatchNormConfig::new(3).init(&device);
        let mixing = Net { norm: Some(norm), ..net(&device) };
        let error = Tape::recording(&mixing).unwrap_err().to_string();
        assert!(error.starts_with("norm: BatchNorm mixes") && error.contains("GroupNorm"), "{error}");
        // Frozen, it applies its running statistics to each example alone.
        let frozen = Net { norm: mixing.norm.clone().map(Module::freeze), ..mixing };
        assert!(Tape::recording(&frozen).is_ok());
    }
}

#[test]
fn a_parameter_that_the_tape_has_not_seen_is_refused() {
    let net = net(&device());
    let mut tape = Tape::recording(&net).unwrap();
    let output = tape.linear(&net.first, Tensor::ones([2, 3], &device()));
    let error = tape.backward(losses(net.last.forward(output))).unwrap_err().to_string();
    assert_eq!(
        error,
        "the tape has not seen last.weight, last.bias: run their layers through the tape, or freeze them"
    );
}

#[test]
fn a_layer_outside_the_tape_is_refused() {
    let net = net(&device().autodiff());
    let mut tape = Tape::recording(&net).unwrap();
    let output = tape.linear(&net.first, Tensor::ones([2, 3], &device()));
    let output = tape.linear(&net.last, output);
    let error = tape.backward(losses(net.first.forward(output))).unwrap_err().to_string();
    assert!(error.starts_with("first.weight, first.bias took part in the loss outside the tape"), "{error}");
}

#[test]
fn a_first_axis_that_is_not_the_example_is_refused() {
    let net = net(&device());
    let mut tape = Tape::recording(&net).unwrap();
    let output = tape.linear(&net.first, Tensor::<2>::ones([6, 3], &device()));
    let output: Tensor<3> = tape.linear(&net.last, output).reshape([2, 3, 3]);
    let error = tape.backward(losses(output.flatten(1, 2))).unwrap_err();
    assert!(matches!(error, Error::Examples { layer: 1, kind: "linear", found: 6, losses: 2 }), "{error}");
}

#[test]
fn a_layer_of_another_model_is_refused() {
    let (net, other) = (net(&device()), net(&device()));
    let mut tape = Tape::recording(&net).unwrap();
    let output = tape.linear(&net.first, Tensor::<2>::ones([2, 3], &device()));
    let output = tape.linear(&net.last, output);
    let output = tape.linear(&other.first, output);
    let error = tape.backward(losses(output)).unwrap_err();
    assert!(matches!(error, Error::Layer { layer: 3, kind: "linear", .. }), "{error}");
}

#[test]
fn a_parameter_in_two_fields_is_refused() {
    let layer = LinearConfig::new(3, 3).init(&device());
    let error = Tape::recording(&[layer.clone(), layer]).unwrap_err().to_string();
    assert!(error.starts_with("1.weight: is a second copy"), "{error}");
}

#[test]
fn a_tape_with_nothing_to_record_is_refused() {
    let error = Tape::recording(&net(&device()).no_grad()).unwrap_err().to_string();
    assert!(error.contains("no parameter of the model trains"), "{error}");
    assert!(Tape::silent().backward(Tensor::ones([1], &device())).is_err());
}

/// A layer and, after it, something that the fallback must refuse.
#[derive(Module, Debug)]
struct Odd {
    weight: Param<Tensor<1>>,
    dropout: burn::nn::Dropout,
}

impl Odd {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.dropout.forward(input * self.weight.val().unsqueeze())
    }

    fn centred(&self, input: Tensor<2>) -> Tensor<2> {
        let scaled = input * self.weight.val().unsqueeze();
        scaled.clone() - scaled.mean_dim(0)
    }
}

#[test]
fn the_fallback_refuses_what_mixes_examples_or_is_random() {
    let weight = Param::from_tensor(Tensor::ones([3], &device()));
    let odd = Odd { weight, dropout: DropoutConfig::new(0.5).init() };
    let input = Tensor::from_data([[1.0, 2.0, 3.0], [5.0, 1.0, 0.5], [2.0, 8.0, 4.0]], &device()).autodiff();
    for forward in [Odd::forward, Odd::centred] {
        let mut tape = Tape::recording(&odd).unwrap();
        let output = tape.fallback(&odd, forward, input.clone());
        let error = tape.backward(losses(output)).unwrap_err();
        assert!(matches!(error, Error::Layer { layer: 1, kind: "fallback", .. }), "{error}");
    }
}

#[test]
fn the_fallback_says_so_once() {
    #[derive(Module, Debug)]
    struct Slow {
        layer: Linear,
    }
    let slow = Slow { layer: LinearConfig::new(3, 3).init(&device()) };
    let ((), captured) = capture(|| {
        for _ in 0..3 {
            let mut tape = Tape::recording(&slow).unwrap();
            let _ = tape.fallback(
                &slow,
                |slow: &Slow, x: Tensor<2>| slow.layer.forward(x),
                Tensor::ones([2, 3], &device()),
            );
        }
    });
    assert_eq!(captured.iter().filter(|event| event.level == Level::WARN).count(), 1);
}

#[test]
fn no_example_has_a_gradient_of_zeros() {
    let net = net(&device());
    let none = Gradient::none(&net).unwrap();
    let mut tape = Tape::recording(&net).unwrap();
    let output = tape.linear(&net.first, Tensor::<2>::ones([2, 3], &device()));
    let output = tape.linear(&net.last, output);
    let mut sum = tape.backward(losses(output)).unwrap().sum();
    assert_eq!(none.values(), vec![0.0; 24]);
    assert!(sum.add(&none).is_ok());
}
