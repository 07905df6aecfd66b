//! The networks of [`Architecture`](crate::Architecture) as a plain burn module of plain burn layers.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Seed, Shape};

use crate::architecture::Layer;
use crate::tape::{host, tanh};
use crate::{Pool, Tape};

/// Convolutions, then fully connected layers.
#[derive(Module, Debug)]
pub(crate) struct Network {
    convolutions: Vec<Conv2d>,
    /// What follows each convolution.
    norms: Vec<Option<GroupNorm>>,
    pools: Vec<Option<MaxPool2d>>,
    linears: Vec<Linear>,
}

impl Network {
    /// Builds the layers with the given values, in the order of [`Network::values`].
    ///
    /// # Panics
    ///
    /// When there are not as many values as parameters.
    pub(crate) fn with_values(layers: &[Layer], values: &[f32], device: &Device) -> Self {
        let mut network = Self { convolutions: vec![], norms: vec![], pools: vec![], linears: vec![] };
        let mut rest = values;
        let mut take = |size: usize| {
            let (own, after) = rest.split_at(size);
            rest = after;
            own.to_vec()
        };
        for layer in layers {
            let weight = take(layer.weight().iter().product());
            let bias = Some(parameter(take(layer.bias()), [layer.bias()], device));
            match *layer {
                Layer::Convolution { from, to } => {
                    let config = Conv2dConfig::new([from, to.channels], [to.kernel; 2]).with_stride([to.stride; 2]);
                    let padding = PaddingConfig2d::Explicit(to.padding, to.padding, to.padding, to.padding);
                    let weight = parameter(weight, [to.channels, from, to.kernel, to.kernel], device);
                    network.convolutions.push(Conv2d { weight, bias, ..config.with_padding(padding).init(device) });
                    network.norms.push(None);
                    let pool = |Pool { size, stride }| MaxPool2dConfig::new([size; 2]).with_strides([stride; 2]).init();
                    network.pools.push(to.pool.map(pool));
                }
                Layer::Norm { channels, groups } => {
                    let gamma = Some(parameter(weight, [channels], device));
                    let config = GroupNormConfig::new(groups, channels);
                    let norm = GroupNorm { gamma, beta: bias, ..config.init(device) };
                    network.norms.pop();
                    network.norms.push(Some(norm));
                }
                Layer::Linear { inputs, outputs } => {
                    network.linears.push(Linear { weight: parameter(weight, [inputs, outputs], device), bias });
                }
            }
        }
        network
    }

    /// Builds the layers with values drawn from the seed: uniform in `±1/sqrt(inputs of one output)`, as burn and
    /// PyTorch draw them by default; norms start with scale 1 and offset 0; the logits' layer starts at 0, so that every
    /// class starts equally likely.
    pub(crate) fn initial(layers: &[Layer], device: &Device, seed: Seed) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed.derive("weights").0);
        let mut values = Vec::new();
        for (position, layer) in layers.iter().enumerate() {
            if let Layer::Norm { channels, .. } = layer {
                values.extend([1.0, 0.0].into_iter().flat_map(|value| std::iter::repeat_n(value, *channels)));
                continue;
            }
            let bound = if position + 1 == layers.len() { 0.0 } else { 1.0 / (layer.fan_in() as f32).sqrt() };
            let size = layer.weight().iter().product::<usize>() + layer.bias();
            values.extend((0..size).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound));
        }
        Self::with_values(layers, &values, device)
    }

    /// All parameters' values: each layer's weight, then its bias, as [`Layer`]s follow one another.
    pub(crate) fn values(&self) -> Vec<f32> {
        let mut all = Vec::new();
        let offset = |bias: &Option<Param<Tensor<1>>>| bias.iter().flat_map(|bias| host::values(bias.val())).collect();
        for (layer, norm) in self.convolutions.iter().zip(&self.norms) {
            all.push(host::values(layer.weight.val()));
            all.push(offset(&layer.bias));
            all.extend(norm.iter().flat_map(|norm| [offset(&norm.gamma), offset(&norm.beta)]));
        }
        for layer in &self.linears {
            all.push(host::values(layer.weight.val()));
            all.push(offset(&layer.bias));
        }
        all.concat()
    }

    /// Activations before the last layer, `[example, feature]`, from inputs `[example, value]`.
    pub(crate) fn features(&self, inputs: Tensor<2>, shape: &Shape, tape: &mut Tape) -> Tensor<2> {
        let mut hidden = match shape.image() {
            Some([channels, height, width]) if !self.convolutions.is_empty() => {
                let [batch, _] = inputs.dims();
                let mut maps = inputs.reshape([batch, channels, height, width]);
                for at in 0..self.convolutions.len() {
                    maps = self.convolved(at, maps, tape);
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

    /// Convolution `at` and what follows it. As `tanh` rises, the largest of several values has the largest `tanh`: pooling
    /// first gives what pooling last does, from fewer values.
    fn convolved(&self, at: usize, maps: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let layer = &self.convolutions[at];
        tanh(match (&self.norms[at], &self.pools[at]) {
            (None, Some(pool)) => tape.conv2d_max_pool2d(layer, pool, maps),
            (norm, pool) => {
                let maps = tape.conv2d(layer, maps);
                let maps = norm.iter().fold(maps, |maps, norm| tape.group_norm(norm, maps));
                pool.iter().fold(maps, |maps, pool| pool.forward(maps))
            }
        })
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

#[cfg(test)]
mod tests {
    use burn::tensor::activation;

    use super::*;
    use crate::{Architecture, Convolution, DeviceKind};

    /// The published order: convolution, norm, `tanh`, and only then pooling; all by burn's own layers.
    #[test]
    fn convolutions_are_those_of_the_published_order() {
        let pool = Some(Pool { size: 2, stride: 1 });
        let first = Convolution { channels: 4, kernel: 4, stride: 2, padding: 1, groups: Some(2), pool };
        let second = Convolution { channels: 3, kernel: 2, stride: 1, padding: 0, groups: None, pool };
        let architecture = Architecture::Convolutional { convolutions: vec![first, second], hidden: vec![5] };
        let shape = Shape::new([2, 11, 10]).unwrap();
        let layers = architecture.layers(&shape, 3).unwrap();
        for device in DeviceKind::ALL.iter().map(|kind| kind.device()) {
            let size: usize = layers.iter().map(|layer| layer.weight().iter().product::<usize>() + layer.bias()).sum();
            let values: Vec<f32> = (0..size).map(|at| ((at * 37 % 101) as f32 / 101.0 - 0.4) * 0.7).collect();
            let network = Network::with_values(&layers, &values, &device);
            assert_eq!(network.values(), values);
            let inputs = (0..3 * 220).map(|at| (at * 29 % 97) as f32 / 97.0).collect();
            let inputs = host::tensor(inputs, [3, 220], &device);
            let mut maps = inputs.clone().reshape([3, 2, 11, 10]);
            for (at, layer) in network.convolutions.iter().enumerate() {
                maps = layer.forward(maps);
                maps = network.norms[at].iter().fold(maps, |maps, norm| norm.forward(maps));
                maps = network.pools[at].as_ref().unwrap().forward(activation::tanh(maps));
            }
            let hidden = activation::tanh(network.linears[0].forward(maps.flatten::<2>(1, 3)));
            let expected = host::values(network.linears[1].forward(hidden));
            let found = host::values(network.forward(inputs, &shape, &mut Tape::silent()));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        }
    }
}
