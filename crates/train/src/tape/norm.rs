//! Norms that treat each example alone: burn's own, and then scale and offset on the tape.

use burn::module::Param;
use burn::nn::{GroupNorm, InstanceNorm, LayerNorm, RmsNorm};
use burn::tensor::Tensor;

use super::Tape;
use super::host::Values;
use super::instantiated::{Features, Offset};
use super::kept::Kept;
use super::op::Operation;

/// `x γ + β` along one axis, with both held constant.
#[derive(Clone, Debug)]
struct Scale<const D: usize> {
    /// Shapes with size 1 on all other axes.
    gamma: Option<Tensor<D>>,
    beta: Option<Tensor<D>>,
}

impl<const D: usize> Operation<D, D> for Scale<D> {
    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        let scaled = self.gamma.iter().fold(input, |input, gamma| input * gamma.clone());
        self.beta.iter().fold(scaled, |scaled, beta| scaled + beta.clone())
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        self.gamma.iter().fold(gradient, |gradient, gamma| gradient * gamma.clone())
    }
}

/// A norm's parameters, and the axis that they lie along.
#[derive(Clone, Copy)]
struct Affine<'l> {
    kind: &'static str,
    gamma: Option<&'l Param<Tensor<1>>>,
    beta: Option<&'l Param<Tensor<1>>>,
    axis: usize,
}

impl Tape {
    /// Runs a layer norm, `[example, ..., feature]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm, input: Tensor<D>) -> Tensor<D> {
        let mut plain = layer.clone();
        plain.gamma = ones(&layer.gamma);
        plain.beta = None;
        let affine = Affine { kind: "layer_norm", gamma: Some(&layer.gamma), beta: layer.beta.as_ref(), axis: D - 1 };
        self.scale(affine, plain.forward(input))
    }

    /// Runs a norm by root mean square, `[example, ..., feature]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn rms_norm<const D: usize>(&mut self, layer: &RmsNorm, input: Tensor<D>) -> Tensor<D> {
        let plain = RmsNorm { gamma: ones(&layer.gamma), epsilon: layer.epsilon };
        let affine = Affine { kind: "rms_norm", gamma: Some(&layer.gamma), beta: None, axis: D - 1 };
        self.scale(affine, plain.forward(input))
    }

    /// Runs a group norm, `[example, channel, ...]`: what to use instead of batch norm.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn group_norm<const D: usize>(&mut self, layer: &GroupNorm, input: Tensor<D>) -> Tensor<D> {
        let plain = GroupNorm { gamma: None, beta: None, affine: false, ..layer.clone() };
        let affine = Affine { kind: "group_norm", gamma: layer.gamma.as_ref(), beta: layer.beta.as_ref(), axis: 1 };
        self.scale(affine, plain.forward(input))
    }

    /// Runs an instance norm, `[example, channel, ...]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn instance_norm<const D: usize>(&mut self, layer: &InstanceNorm, input: Tensor<D>) -> Tensor<D> {
        let plain = InstanceNorm { gamma: None, beta: None, affine: false, ..layer.clone() };
        let affine = Affine { kind: "instance_norm", gamma: layer.gamma.as_ref(), beta: layer.beta.as_ref(), axis: 1 };
        self.scale(affine, plain.forward(input))
    }

    fn scale<const D: usize>(&mut self, affine: Affine<'_>, input: Tensor<D>) -> Tensor<D> {
        let Affine { kind, gamma, beta, axis } = affine;
        let layer = self.begin(kind);
        let scaled = gamma.and_then(|gamma| self.position(layer, gamma.id));
        let offset = beta.and_then(|beta| self.position(layer, beta.id));
        let parameters: Vec<usize> = scaled.into_iter().chain(offset).collect();
        let dims = input.dims();
        let along = |values: &Param<Tensor<1>>| {
            let shape: [usize; D] = std::array::from_fn(|at| if at == axis { dims[axis] } else { 1 });
            values.val().inner().reshape(shape)
        };
        let operation = Scale { gamma: gamma.map(along), beta: beta.map(along) };
        let (output, slot) = self.run(&operation, input.clone(), &parameters);
        let Some(slot) = slot else { return output };
        let input = scaled.map(|_| input.inner());
        let offset = if offset.is_some() { Offset::Trains } else { Offset::Fixed };
        let outer = dims[1..axis].iter().product();
        let features = Features { outer, count: dims[axis], inner: dims[axis + 1..].iter().product() };
        let collect = move || {
            let Some(gradient) = slot.take() else { return Ok(None) };
            let input = input.map(Values::of);
            Ok(Some(Box::new(features.gradients(input.as_ref(), &Values::of(gradient), offset)) as _))
        };
        self.keep(layer, dims[0], parameters, Kept::Other(Box::new(collect)));
        output
    }
}

/// A scale of 1 for every feature.
fn ones(gamma: &Param<Tensor<1>>) -> Param<Tensor<1>> {
    Param::initialized(gamma.id, gamma.val().inner().ones_like())
}
