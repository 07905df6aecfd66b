//! Two-dimensional convolution by unfolding and one matrix product per example, threads over examples.
//!
//! burn's own convolution on CPU is several times slower. The same kernels serve predictions, attacks, plain and
//! private training.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host::{self, Matrix, Values, add_product, product, squared_norm};
use super::op::Operation;
use super::record::ExampleGradients;
use super::unfold::Geometry;

/// Examples whose gradients one task sums; fixed, so that sums do not depend on the number of threads.
const TASK: usize = 16;

/// Multiplications below which threads cost more than they save.
const SERIAL: usize = 1 << 22;

/// A convolution with its weights held constant.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    geometry: Geometry,
    /// `[filter, channel of the group, kernel row, kernel column]`.
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
}

impl Convolution {
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The layer as it slides over inputs `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// When the input does not fit the layer, as burn's own forward does.
    pub(crate) fn of(layer: &Conv2d, [channels, height, width]: [usize; 3]) -> Self {
        let weight = layer.weight.val().inner();
        let [filters, group_channels, ..] = weight.dims();
        assert_eq!(channels, group_channels * layer.groups, "channels of the input and of the convolution");
        let (kernel, stride, dilation, size) = (layer.kernel_size, layer.stride, layer.dilation, [height, width]);
        let mut before = [0; 2];
        let mut output = [0; 2];
        for axis in 0..2 {
            let padding = padding(&layer.padding, axis, size[axis], kernel[axis], stride[axis]);
            let span = dilation[axis] * (kernel[axis] - 1) + 1;
            let padded = size[axis] + padding.0 + padding.1;
            assert!(padded >= span, "the convolution's kernel is larger than its padded input");
            before[axis] = padding.0;
            output[axis] = (padded - span) / stride[axis] + 1;
        }
        let groups = layer.groups;
        let geometry = Geometry { channels, size, filters, kernel, stride, before, dilation, groups, output };
        Self { geometry, weight, bias: layer.bias.as_ref().map(|bias| bias.val().inner()) }
    }
}

/// Zeros before and after, along one axis.
fn padding(padding: &PaddingConfig2d, axis: usize, size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    match *padding {
        PaddingConfig2d::Valid => (0, 0),
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)][axis],
        PaddingConfig2d::Same => {
            let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
            (total / 2, total - total / 2)
        }
    }
}

impl Operation<4, 4> for Convolution {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (geometry, device, [batch, ..]) = (self.geometry, input.device(), input.dims());
        let (input, weight) = (Values::of(input), Values::of(self.weight.clone()));
        let (input, weight) = (input.as_slice(), weight.as_slice());
        let bias = self.bias.clone().map(Values::of);
        let bias = bias.as_ref().map(Values::as_slice);
        let mut output = vec![0.0; batch * geometry.outputs()];
        geometry.per_example(&mut output, geometry.outputs(), |example, output, unfolded| {
            let input = &input[example * geometry.inputs()..][..geometry.inputs()];
            for group in 0..geometry.groups {
                geometry.unfold(group, input, unfolded);
                let (weight, output) = group_of(&geometry, group, weight, output);
                product(output, weight, Matrix::new(unfolded, geometry.window(), geometry.positions()));
            }
            for (plane, bias) in output.chunks_exact_mut(geometry.positions()).zip(bias.unwrap_or_default()) {
                for value in plane {
                    *value += bias;
                }
            }
        });
        host::tensor(output, [batch, geometry.filters, geometry.output[0], geometry.output[1]], &device)
    }

    fn input_gradient(&self, gradient: Tensor<4>) -> Tensor<4> {
        let (geometry, device, [batch, ..]) = (self.geometry, gradient.device(), gradient.dims());
        let (gradient, weight) = (Values::of(gradient), Values::of(self.weight.clone()));
        let (gradient, weight) = (gradient.as_slice(), weight.as_slice());
        let (filters, window, positions) = (geometry.group_filters(), geometry.window(), geometry.positions());
        let mut input = vec![0.0; batch * geometry.inputs()];
        geometry.per_example(&mut input, geometry.inputs(), |example, input, unfolded| {
            let gradient = &gradient[example * geometry.outputs()..][..geometry.outputs()];
            for (group, gradient) in gradient.chunks_exact(filters * positions).enumerate() {
                let weight = &weight[group * filters * window..][..filters * window];
                let weight = Matrix::new(weight, filters, window).transposed();
                product(unfolded, weight, Matrix::new(gradient, filters, positions));
                geometry.fold(group, unfolded, input);
            }
        });
        host::tensor(input, [batch, geometry.channels, geometry.size[0], geometry.size[1]], &device)
    }
}

impl Geometry {
    /// Runs `run(example, target, unfolded)` for every `size` values of `targets`; on threads if that is worth it.
    fn per_example(&self, targets: &mut [f32], size: usize, run: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) {
        let scratch = || vec![0.0; self.unfolded()];
        if targets.len() / size * self.weights() * self.positions() < SERIAL {
            let mut scratch = scratch();
            let targets = targets.chunks_exact_mut(size).enumerate();
            targets.for_each(|(example, target)| run(example, target, &mut scratch));
        } else {
            let targets = targets.par_chunks_exact_mut(size).enumerate();
            targets.for_each_init(scratch, |scratch, (example, target)| run(example, target, scratch));
        }
    }
}

/// One group's weights, and its part of one example's output.
fn group_of<'w, 'o>(
    geometry: &Geometry,
    group: usize,
    weight: &'w [f32],
    output: &'o mut [f32],
) -> (Matrix<'w>, &'o mut [f32]) {
    let (filters, window, positions) = (geometry.group_filters(), geometry.window(), geometry.positions());
    let weight = Matrix::new(&weight[group * filters * window..][..filters * window], filters, window);
    (weight, &mut output[group * filters * positions..][..filters * positions])
}

/// Per-example gradients of one convolution.
#[derive(Debug)]
pub(crate) struct ConvolutionGradients {
    geometry: Geometry,
    /// Values of the bias; 0 without one that trains.
    biases: usize,
    /// `[example, ...input]`.
    input: Values,
    /// `[example, ...output]`.
    gradient: Values,
    /// Rows of input and gradient that make one example.
    members: usize,
    /// `[example, weight then bias]`, once the norms were asked for.
    examples: Vec<f32>,
}

impl ConvolutionGradients {
    pub(crate) fn new(geometry: Geometry, biases: usize, input: Values, gradient: Values) -> Self {
        Self { geometry, biases, input, gradient, members: 1, examples: Vec::new() }
    }

    /// Values of one example's gradient.
    fn size(&self) -> usize {
        self.geometry.weights() + self.biases
    }

    /// Adds one example's gradient, times `factor`, to `target`.
    fn add_example(&self, example: usize, factor: f32, scratch: &mut Scratch, target: &mut [f32]) {
        for row in example * self.members..(example + 1) * self.members {
            self.add_row(row, factor, scratch, target);
        }
    }

    fn add_row(&self, example: usize, factor: f32, scratch: &mut Scratch, target: &mut [f32]) {
        let geometry = &self.geometry;
        let (filters, window, positions) = (geometry.group_filters(), geometry.window(), geometry.positions());
        let input = &self.input.as_slice()[example * geometry.inputs()..][..geometry.inputs()];
        let gradient = &self.gradient.as_slice()[example * geometry.outputs()..][..geometry.outputs()];
        scratch.scaled.clear();
        scratch.scaled.extend(gradient.iter().map(|value| value * factor));
        let (weight, bias) = target.split_at_mut(geometry.weights());
        let groups = weight.chunks_exact_mut(filters * window).zip(scratch.scaled.chunks_exact(filters * positions));
        for (group, (weight, gradient)) in groups.enumerate() {
            geometry.unfold(group, input, &mut scratch.unfolded);
            let unfolded = Matrix::new(&scratch.unfolded, window, positions).transposed();
            add_product(weight, Matrix::new(gradient, filters, positions), unfolded);
        }
        for (bias, plane) in bias.iter_mut().zip(scratch.scaled.chunks_exact(positions)) {
            *bias += plane.iter().sum::<f32>();
        }
    }

    fn scratch(&self) -> Scratch {
        Scratch { unfolded: vec![0.0; self.geometry.unfolded()], scaled: Vec::with_capacity(self.geometry.outputs()) }
    }
}

/// What one thread computes in.
struct Scratch {
    unfolded: Vec<f32>,
    scaled: Vec<f32>,
}

impl ExampleGradients for ConvolutionGradients {
    fn grouped(mut self: Box<Self>, rows: usize, _: usize) -> Box<dyn ExampleGradients> {
        self.members *= rows;
        self
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        let size = self.size();
        let mut examples = vec![0.0; norms.len() * size];
        let work = examples.par_chunks_exact_mut(size).zip(norms.par_iter_mut()).enumerate();
        work.for_each_init(
            || self.scratch(),
            |scratch, (example, (target, norm))| {
                self.add_example(example, 1.0, scratch, target);
                *norm += squared_norm(target);
            },
        );
        self.examples = examples;
    }

    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        let (size, size_of_task) = (self.size(), block.clamp(1, TASK));
        let task = |(task, weights): (usize, &[f32])| {
            let mut total = vec![0.0; size];
            let mut scratch = self.scratch();
            for (example, weight) in (task * size_of_task..).zip(weights).filter(|(_, weight)| **weight != 0.0) {
                if self.examples.is_empty() {
                    self.add_example(example, *weight, &mut scratch, &mut total);
                } else {
                    let gradient = &self.examples[example * size..][..size];
                    total.iter_mut().zip(gradient).for_each(|(total, value)| *total += weight * value);
                }
            }
            total
        };
        let totals: Vec<Vec<f32>> = weights.par_chunks(size_of_task).enumerate().map(task).collect();
        for total in totals {
            sum.iter_mut().zip(total).for_each(|(sum, value)| *sum += f64::from(value));
        }
    }
}
