//! One forward pass for every use: it records nothing, sums gradients, or clips them example by example.

mod conv;
pub(crate) mod host;
mod linear;
mod op;
mod record;
mod tanh;
mod unfold;

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use self::conv::{Convolution, ConvolutionEntry};
use self::linear::{Affine, AffineEntry};
use self::op::{Slot, apply};
use self::record::ExampleGradients;
pub use self::record::Gradient;
pub(crate) use self::record::Parameter;
pub(crate) use self::tanh::tanh;
use crate::Error;

/// Names a model's layers as its forward pass goes through them.
///
/// The layers' weights stay outside burn's autodiff. A recording tape keeps each layer's input and catches the gradient
/// at its output; from these it forms per-example gradients after one backward pass. A silent tape records nothing, so
/// only the gradient at the input is formed, and only if it is asked for.
///
/// # Limits
///
/// Whatever stands between the layers must treat each example alone; what mixes examples (batch norm) makes
/// per-example gradients meaningless, and the tape cannot see it.
#[derive(Debug)]
pub struct Tape {
    /// A tracked leaf that makes every recorded layer run backward; none on a silent tape.
    anchor: Option<Tensor<1>>,
    layers: usize,
    entries: Vec<Entry>,
    fault: Option<Error>,
}

/// Takes what the backward pass left at one layer.
type Collect = Box<dyn FnOnce() -> Option<Box<dyn ExampleGradients>> + Send>;

struct Entry {
    parameters: Vec<Parameter>,
    collect: Collect,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl Tape {
    /// A tape that records nothing: for prediction and for gradients at the input.
    pub fn silent() -> Self {
        Self { anchor: None, layers: 0, entries: Vec::new(), fault: None }
    }

    /// A tape that records, for a model on `device` (the plain one).
    pub fn recording(device: &Device) -> Self {
        let anchor = Tensor::zeros([1], &device.clone().autodiff()).require_grad();
        Self { anchor: Some(anchor), ..Self::silent() }
    }

    /// Runs a fully connected layer, `[example, ..., input]` to `[example, ..., output]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn linear<const D: usize>(&mut self, layer: &Linear, input: Tensor<D>) -> Tensor<D> {
        self.layers += 1;
        let operation = Affine::<D>::of(layer);
        let Some(anchor) = &self.anchor else { return apply(&operation, input, None) };
        let slot = Slot::empty();
        let output = apply(&operation, input.clone(), Some((anchor, &slot)));
        let entry = AffineEntry::new(layer, input.inner(), slot);
        let parameters = Parameter::of_layer(&layer.weight, layer.bias.as_ref());
        self.keep("linear", parameters, Box::new(move || Some(Box::new(entry.collect()?))));
        output
    }

    /// Runs a convolution, `[example, channel, row, column]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv2d(&mut self, layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
        self.layers += 1;
        let [_, channels, height, width] = input.dims();
        let operation = Convolution::of(layer, [channels, height, width]);
        let Some(anchor) = &self.anchor else { return apply(&operation, input, None) };
        let slot = Slot::empty();
        let output = apply(&operation, input.clone(), Some((anchor, &slot)));
        let entry = ConvolutionEntry::new(layer, &operation, input.inner(), slot);
        let parameters = Parameter::of_layer(&layer.weight, layer.bias.as_ref());
        self.keep("conv2d", parameters, Box::new(move || Some(Box::new(entry.collect()?))));
        output
    }

    fn keep(&mut self, kind: &'static str, parameters: Vec<Parameter>, collect: Collect) {
        let mut seen = self.entries.iter().flat_map(|entry| &entry.parameters);
        if seen.any(|seen| parameters.iter().any(|parameter| parameter.id == seen.id)) && self.fault.is_none() {
            let fault = "shares a parameter with an earlier layer; per-example norms of shared weights are not formed";
            self.fault = Some(Error::Layer { layer: self.layers, kind, fault });
        }
        self.entries.push(Entry { parameters, collect });
    }

    /// Runs the one backward pass, from the losses of the examples, `[example]`.
    ///
    /// Each loss must depend on its own example alone.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] for a layer whose per-example gradients the tape cannot form. On a silent tape too: it has
    /// recorded nothing.
    pub fn backward(self, losses: Tensor<1>) -> Result<Recording, Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.anchor.is_none() || self.entries.is_empty() {
            return Err(Error::Layer { layer: 0, kind: "none", fault: "the tape has recorded no layer" });
        }
        let [examples] = losses.dims();
        let total = losses.sum();
        if examples > 0 && total.is_tracked() {
            total.backward();
        }
        let layers = self.entries.into_iter().map(|entry| (entry.parameters, (entry.collect)())).collect();
        Ok(Recording { examples, layers })
    }
}

/// The most examples that are summed in single precision.
const BLOCK: usize = 64;

/// A layer's parameters and its gradients; none if its output did not reach the loss.
type Layer = (Vec<Parameter>, Option<Box<dyn ExampleGradients>>);

/// Per-example gradients of every layer on a tape.
pub struct Recording {
    examples: usize,
    layers: Vec<Layer>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("examples", &self.examples).finish_non_exhaustive()
    }
}

impl Recording {
    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The L2 norm of each example's gradient over all parameters, `[example]`.
    pub fn norms(&mut self) -> Vec<f64> {
        let mut norms = vec![0.0; self.examples];
        for layer in self.layers.iter_mut().filter_map(|(_, layer)| layer.as_mut()) {
            layer.add_squared_norms(&mut norms);
        }
        norms.into_iter().map(f64::sqrt).collect()
    }

    /// The sum of the examples' gradients.
    pub fn sum(&self) -> Gradient {
        self.weighted_sum(&vec![1.0; self.examples], BLOCK)
    }

    /// The sum of the examples' gradients, each scaled down to a norm of at most `clipping_norm` (flat clipping).
    ///
    /// An example whose gradient is not finite takes no part. `batch` is the number of examples of the whole logical
    /// batch, of which this recording may be a part: it decides how few examples are summed in single precision.
    ///
    /// # Guarantees
    ///
    /// 1. Each example adds a vector of norm at most `clipping_norm` (`no_example_adds_more_than_the_clipping_norm`).
    /// 2. The sum over a batch of at most [`Recording::MOST`] examples is off by at most `clipping_norm / 512` in L2,
    ///    conversion to single precision included: blocks of `b` examples contribute `(b + 3) * 2^-24` of
    ///    `clipping_norm` for each example (`sums_are_exact_enough`).
    ///
    /// # Source
    ///
    /// Abadi et al., CCS 2016, algorithm 1; formed by book-keeping, Bu, Wang, Zha and Karypis 2022.
    #[allow(clippy::cast_possible_truncation, reason = "the factor is rounded down first")]
    pub fn clipped_sum(&mut self, clipping_norm: f64, batch: usize) -> Gradient {
        let factor = |norm: f64| match norm {
            norm if !norm.is_finite() => 0.0,
            norm if norm <= clipping_norm => 1.0,
            norm => (clipping_norm / norm * (1.0 - 1.0 / 4_194_304.0)) as f32,
        };
        let factors: Vec<f32> = self.norms().into_iter().map(factor).collect();
        self.weighted_sum(&factors, (30_000 / batch.max(1)).saturating_sub(4).clamp(1, BLOCK))
    }

    /// The most examples of a batch whose clipped sum is exact enough for the noise of `underpin-privacy`.
    pub const MOST: usize = 6_000;

    fn weighted_sum(&self, weights: &[f32], block: usize) -> Gradient {
        let parameters = self.layers.iter().flat_map(|(parameters, _)| parameters).cloned().collect();
        let mut gradient = Gradient::zero(parameters);
        let mut rest = gradient.values_mut();
        for (parameters, layer) in &self.layers {
            let (own, after) = rest.split_at_mut(parameters.iter().map(Parameter::size).sum());
            rest = after;
            if let Some(layer) = layer {
                layer.add_weighted(weights, block, own);
            }
        }
        gradient
    }
}

#[cfg(test)]
mod tests;
