//! The layers that a tape knows: fully connected ones, convolutions and lookup tables.

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
use burn::nn::{Embedding, Linear, PaddingConfig1d, PaddingConfig2d};
use burn::tensor::{Int, Tensor, module};

use super::Tape;
use super::conv::Convolution;
use super::correlate::{Correlation, Transposed, Windows};
use super::factors::Factored;
use super::host::Values;
use super::instantiated::{Features, Offset};
use super::kept::{Convolved, Kept};
use super::linear::Affine;
use super::lookup::LookupGradients;
use super::op::{Identity, Slot};
use super::uses::{Side, Uses};

impl Tape {
    /// Runs a fully connected layer, `[example, ..., input]` to `[example, ..., output]`.
    ///
    /// A layer with burn's LoRA adapter runs as `x W + b + s (x A) B`; only `A` and `B` are recorded while `W` is frozen.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn linear<const D: usize>(&mut self, layer: &Linear, input: Tensor<D>) -> Tensor<D> {
        self.affine("linear", Side::Left, &layer.weight, layer.bias.as_ref(), input)
    }

    /// Runs an embedding backwards, as an output layer with tied weights: `[example, ..., width]` to
    /// `[example, ..., row]`, every row of the table times the input.
    ///
    /// # Panics
    ///
    /// When the last axis of the input is not the table's width.
    pub fn unembedding<const D: usize>(&mut self, layer: &Embedding, input: Tensor<D>) -> Tensor<D> {
        self.affine("unembedding", Side::Right, &layer.weight, None, input)
    }

    fn affine<const D: usize>(
        &mut self,
        kind: &'static str,
        side: Side,
        weight: &Param<Tensor<2>>,
        bias: Option<&Param<Tensor<1>>>,
        input: Tensor<D>,
    ) -> Tensor<D> {
        let Some(adapter) = weight.adapter() else {
            return self.dense(kind, side, weight, bias, input);
        };
        let (first, second) = match side {
            Side::Left => (&adapter.a, &adapter.b),
            Side::Right => (&adapter.b, &adapter.a),
        };
        let inner = self.dense(kind, side, first, None, input.clone());
        let update = self.dense(kind, side, second, None, inner).mul_scalar(adapter.scale);
        self.dense(kind, side, weight, bias, input) + update
    }

    /// As [`Tape::affine`], without any adapter.
    fn dense<const D: usize>(
        &mut self,
        kind: &'static str,
        side: Side,
        weight: &Param<Tensor<2>>,
        bias: Option<&Param<Tensor<1>>>,
        input: Tensor<D>,
    ) -> Tensor<D> {
        let layer = self.begin(kind);
        let trained = self.position(layer, weight.id);
        let biased = bias.and_then(|bias| self.position(layer, bias.id));
        let parameters: Vec<usize> = trained.into_iter().chain(biased).collect();
        let sizes = weight.base().dims();
        let matrix = match side {
            Side::Left => weight.base(),
            Side::Right => weight.base().transpose(),
        };
        let operation = Affine::<D>::new(matrix, bias.map(Param::val));
        let (output, slot) = self.run(&operation, input.clone(), &parameters);
        let Some(slot) = slot else { return output };
        let examples = input.dims()[0];
        if trained.is_none() {
            let dims = output.dims();
            let outer = dims[1..D - 1].iter().product();
            self.keep_bias(layer, parameters, Features { outer, count: dims[D - 1], inner: 1 }, examples, slot);
            return output;
        }
        let biases = if biased.is_some() { sizes[1] } else { 0 };
        let input = input.inner();
        let uses = self.entries.iter_mut().find_map(|entry| match &mut entry.kept {
            Kept::Uses(uses) if entry.parameters == parameters && uses.side() == side && entry.examples == examples => {
                Some(uses)
            }
            _ => None,
        });
        if let Some(uses) = uses {
            uses.push(input, slot);
        } else {
            let mut uses = Uses::of(side, sizes, biases);
            uses.push(input, slot);
            self.keep(layer, examples, parameters, Kept::Uses(uses));
        }
        output
    }

    /// Keeps a layer of which only the bias trains.
    fn keep_bias<const D: usize>(
        &mut self,
        layer: (usize, &'static str),
        parameters: Vec<usize>,
        features: Features,
        examples: usize,
        slot: Slot<D>,
    ) {
        let collect = move || {
            let Some(gradient) = slot.take() else { return Ok(None) };
            Ok(Some(Box::new(features.gradients(None, &Values::of(gradient), Offset::Trains)) as _))
        };
        self.keep(layer, examples, parameters, Kept::Other(Box::new(collect)));
    }

    /// Runs a convolution, `[example, channel, position]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv1d(&mut self, layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
        let padding = match layer.padding {
            PaddingConfig1d::Same => PaddingConfig2d::Same,
            PaddingConfig1d::Valid => PaddingConfig2d::Valid,
            PaddingConfig1d::Explicit(left, right) => PaddingConfig2d::Explicit(0, left, 0, right),
        };
        let plane = Conv2d {
            weight: Param::initialized(layer.weight.id, layer.weight.val().inner().unsqueeze_dim(2)),
            bias: layer.bias.clone(),
            stride: [1, layer.stride],
            kernel_size: [1, layer.kernel_size],
            dilation: [1, layer.dilation],
            groups: layer.groups,
            padding,
        };
        self.plane("conv1d", &plane, input.unsqueeze_dim(2)).squeeze_dim(2)
    }

    /// Runs a convolution, `[example, channel, row, column]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv2d(&mut self, layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
        self.plane("conv2d", layer, input)
    }

    fn plane(&mut self, kind: &'static str, conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
        let layer = self.begin(kind);
        let trained = self.position(layer, conv.weight.id);
        let biased = conv.bias.as_ref().and_then(|bias| self.position(layer, bias.id));
        let parameters: Vec<usize> = trained.into_iter().chain(biased).collect();
        let [examples, channels, height, width] = input.dims();
        let operation = Convolution::of(conv, [channels, height, width]);
        let (output, slot) = self.run(&operation, input.clone(), &parameters);
        let Some(slot) = slot else { return output };
        let geometry = operation.geometry();
        if trained.is_none() {
            let features = Features { outer: 1, count: geometry.filters, inner: geometry.positions() };
            self.keep_bias(layer, parameters, features, examples, slot);
            return output;
        }
        let bias = if biased.is_some() { geometry.filters } else { 0 };
        let kept = Convolved { geometry, bias, input: input.inner(), slot, pooled: None };
        self.keep(layer, examples, parameters, Kept::Convolution(Box::new(kept)));
        output
    }

    /// Runs a convolution, `[example, channel, depth, row, column]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv3d(&mut self, layer: &Conv3d, input: Tensor<5>) -> Tensor<5> {
        let operation = Correlation::conv3d(layer, input.dims());
        self.correlation("conv3d", &layer.weight, layer.bias.as_ref(), &operation, input)
    }

    /// Runs a transposed convolution, `[example, channel, position]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv_transpose1d(&mut self, layer: &ConvTranspose1d, input: Tensor<3>) -> Tensor<3> {
        let (weight, bias) = (&layer.weight, layer.bias.as_ref());
        let values = (weight.val(), bias.map(Param::val));
        let operation = Correlation::transposed(&Transposed::from(layer), values, input.dims());
        self.correlation("conv_transpose1d", weight, bias, &operation, input)
    }

    /// Runs a transposed convolution, `[example, channel, row, column]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv_transpose2d(&mut self, layer: &ConvTranspose2d, input: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (&layer.weight, layer.bias.as_ref());
        let values = (weight.val(), bias.map(Param::val));
        let operation = Correlation::transposed(&Transposed::from(layer), values, input.dims());
        self.correlation("conv_transpose2d", weight, bias, &operation, input)
    }

    /// Runs a transposed convolution, `[example, channel, depth, row, column]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv_transpose3d(&mut self, layer: &ConvTranspose3d, input: Tensor<5>) -> Tensor<5> {
        let (weight, bias) = (&layer.weight, layer.bias.as_ref());
        let values = (weight.val(), bias.map(Param::val));
        let operation = Correlation::transposed(&Transposed::from(layer), values, input.dims());
        self.correlation("conv_transpose3d", weight, bias, &operation, input)
    }

    fn correlation<const D: usize>(
        &mut self,
        kind: &'static str,
        weight: &Param<Tensor<D>>,
        bias: Option<&Param<Tensor<1>>>,
        operation: &Correlation<D>,
        input: Tensor<D>,
    ) -> Tensor<D> {
        let layer = self.begin(kind);
        let trained = self.position(layer, weight.id);
        let biased = bias.and_then(|bias| self.position(layer, bias.id));
        let parameters: Vec<usize> = trained.into_iter().chain(biased).collect();
        let (output, slot) = self.run(operation, input.clone(), &parameters);
        let Some(slot) = slot else { return output };
        let dims = output.dims();
        if trained.is_none() {
            let features = Features { outer: 1, count: dims[1], inner: dims[2..].iter().product() };
            self.keep_bias(layer, parameters, features, dims[0], slot);
            return output;
        }
        let (window, direction) = (operation.window, operation.direction);
        let bias = if biased.is_some() { dims[1] } else { 0 };
        let (input, norms) = (input.inner(), self.norms);
        let collect = move || {
            let Some(gradient) = slot.take() else { return Ok(None) };
            let windows = Windows { window, direction, bias, input: Values::of(input), gradient: Values::of(gradient) };
            Ok(Some(Box::new(Factored::new(windows, norms, dims[0])) as _))
        };
        self.keep(layer, dims[0], parameters, Kept::Other(Box::new(collect)));
        output
    }

    /// Looks rows up in a table, `[example, position]` to `[example, position, width]`.
    ///
    /// One example's gradient is kept for the rows that it looked up alone, never as a table. A table with burn's LoRA
    /// adapter runs as `W[x] + s A[x] B`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on rows that the table does not have.
    pub fn embedding(&mut self, layer: &Embedding, tokens: Tensor<2, Int>) -> Tensor<3> {
        let tokens = tokens.inner();
        let Some(adapter) = layer.weight.adapter() else {
            return self.lookup(&layer.weight, tokens);
        };
        let rows = self.lookup(&adapter.a, tokens.clone());
        let update = self.dense("embedding", Side::Left, &adapter.b, None, rows).mul_scalar(adapter.scale);
        self.lookup(&layer.weight, tokens) + update
    }

    fn lookup(&mut self, table: &Param<Tensor<2>>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let layer = self.begin("embedding");
        let parameters: Vec<usize> = self.position(layer, table.id).into_iter().collect();
        let weight = table.base().inner();
        let (sizes, [examples, positions]) = (weight.dims(), tokens.dims());
        let rows = module::embedding(weight, tokens.clone());
        let (output, slot) = self.run(&Identity, rows, &parameters);
        let Some(slot) = slot else { return output };
        let collect = move || {
            let Some(gradient) = slot.take() else { return Ok(None) };
            let tokens = tokens.into_data();
            // OK because the forward pass has looked every token up.
            let tokens = tokens.iter::<i64>().map(|token| usize::try_from(token).unwrap_or(usize::MAX)).collect();
            Ok(Some(Box::new(LookupGradients::new(sizes, positions, tokens, gradient)) as _))
        };
        self.keep(layer, examples, parameters, Kept::Other(Box::new(collect)));
        output
    }
}
