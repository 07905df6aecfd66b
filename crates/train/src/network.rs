//! The networks of [`Architecture`](crate::Architecture) as a plain burn module of plain burn layers.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Seed, Shape};

use crate::Tape;
use crate::architecture::Layer;
use crate::tape::{host, tanh};

/// Convolutions, then fully connected layers.
#[derive(Module, Debug)]
pub(crate) struct Network {
    convolutions: Vec<Conv2d>,
    linears: Vec<Linear>,
}

impl Network {
    /// Builds the layers with the given values, in the order of [`Network::values`].
    ///
    /// # Panics
    ///
    /// When there are not as many values as parameters.
    pub(crate) fn with_values(layers: &[Layer], values: &[f32], device: &Device) -> Self {
        let mut network = Self { convolutions: Vec::new(), linears: Vec::new() };
        let mut rest = values;
        let mut take = |size: usize| {
            let (own, after) = rest.split_at(size);
            rest = after;
            own.to_vec()
        };
        for layer in layers {
            let (shape, _) = layer.weight();
            let weight = take(shape.iter().product());
            let bias = Some(parameter(take(layer.bias()), [layer.bias()], device));
            match (*layer, shape.as_slice()) {
                (Layer::Convolution { channels, stride }, &[a, b, c, d]) => {
                    let config = Conv2dConfig::new(channels, [3, 3]).with_stride([stride, stride]);
                    let config = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
                    let weight = parameter(weight, [a, b, c, d], device);
                    network.convolutions.push(Conv2d { weight, bias, ..config.init(device) });
                }
                (Layer::Linear { inputs, outputs }, _) => {
                    network.linears.push(Linear { weight: parameter(weight, [inputs, outputs], device), bias });
                }
                (Layer::Convolution { .. }, _) => unreachable!("invariant: a convolution's weight has rank 4"),
            }
        }
        network
    }

    /// Builds the layers with values drawn from the seed: uniform in `±1/sqrt(inputs of one output)`, as burn and
    /// PyTorch draw them by default; the logits' layer starts at 0, so that every class starts equally likely.
    pub(crate) fn initial(layers: &[Layer], device: &Device, seed: Seed) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed.derive("weights").0);
        let mut values = Vec::new();
        for (position, layer) in layers.iter().enumerate() {
            let (shape, fan_in) = layer.weight();
            let bound = if position + 1 == layers.len() { 0.0 } else { 1.0 / (fan_in as f32).sqrt() };
            let size = shape.iter().product::<usize>() + layer.bias();
            values.extend((0..size).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound));
        }
        Self::with_values(layers, &values, device)
    }

    /// All parameters' values: each layer's weight, then its bias.
    pub(crate) fn values(&self) -> Vec<f32> {
        let convolutions = self.convolutions.iter().map(|layer| (host::values(layer.weight.val()), &layer.bias));
        let linears = self.linears.iter().map(|layer| (host::values(layer.weight.val()), &layer.bias));
        let both = convolutions.chain(linears);
        both.flat_map(|(weight, bias)| weight.into_iter().chain(bias.iter().flat_map(|bias| host::values(bias.val()))))
            .collect()
    }

    /// Activations before the last layer, `[example, feature]`, from inputs `[example, value]`.
    pub(crate) fn features(&self, inputs: Tensor<2>, shape: &Shape, tape: &mut Tape) -> Tensor<2> {
        let mut hidden = match shape.image() {
            Some([channels, height, width]) if !self.convolutions.is_empty() => {
                let [batch, _] = inputs.dims();
                let mut maps = inputs.reshape([batch, channels, height, width]);
                for layer in &self.convolutions {
                    maps = tanh(tape.conv2d(layer, maps));
                }
                maps.flatten(1, 3)
            }
            _ => inputs,
        };
        for layer in &self.linears[..self.linears.len() - 1] {
            hidden = tanh(tape.linear(layer, hidden));
        }
        hidden
    }

    /// Logits `[example, class]`, from inputs `[example, value]`.
    pub(crate) fn forward(&self, inputs: Tensor<2>, shape: &Shape, tape: &mut Tape) -> Tensor<2> {
        let features = self.features(inputs, shape, tape);
        tape.linear(self.linears.last().expect("invariant: a network has a last layer"), features)
    }
}

/// A parameter on the autodiff device: burn's optimisers ask for one, though the tape never tracks it.
fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(host::tensor(values, shape, device).autodiff())
}
