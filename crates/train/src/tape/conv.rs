//! Two-dimensional convolution by unfolding and one matrix product per example, threads over examples.
//!
//! burn's own convolution on CPU is several times slower. The same kernels serve predictions, attacks, plain and
//! private training. What follows the convolution (bias, ReLU, pooling) is done while its output is in cache, so that
//! neither the output nor the gradient at it is ever stored whole.

use std::sync::Arc;

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::host::{self, Matrix, Values, product};
use super::op::Operation;
use super::pool::{Pooling, Room};
use super::unfold::{Geometry, Unfolder};

/// Multiplications below which threads cost more than they save.
const SERIAL: usize = 1 << 22;

/// Multiplications that one task does at least.
const GRAIN: usize = 1 << 20;

/// A convolution with its weights held constant.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    geometry: Geometry,
    /// `[filter, channel of the group, kernel row, kernel column]`.
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
}

impl Convolution {
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

impl Convolution {
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Runs the layer on each example; `keep(filter, plane, room, target)` takes its planes, whose rows are
    /// [`Geometry::pitch`] apart.
    fn run<T: Send>(&self, input: Tensor<4>, targets: Vec<T>, keep: impl Fn(usize, &[f32], &mut Room, &mut T) + Sync) {
        let geometry = self.geometry;
        let (input, weight) = (Values::of(input), Values::of(self.weight.clone()));
        let (input, weight) = (input.as_slice(), weight.as_slice());
        let (filters, window, columns) = (geometry.group_filters(), geometry.window(), geometry.columns());
        geometry.per_example(targets, |example, target: &mut T, scratch| {
            let Scratch { unfolder, unfolded, planes, room } = scratch;
            let input = &input[example * geometry.inputs()..][..geometry.inputs()];
            for group in 0..geometry.groups {
                unfolder.unfold(group, input, unfolded);
                let weight = &weight[group * filters * window..][..filters * window];
                product(planes, Matrix::new(weight, filters, window), Matrix::new(unfolded, window, columns));
                for (filter, plane) in (group * filters..).zip(planes.chunks_exact(columns)) {
                    keep(filter, plane, room, target);
                }
            }
        });
    }

    fn bias(&self) -> Vec<f32> {
        self.bias.clone().map_or_else(|| vec![0.0; self.geometry.filters], host::values)
    }

    /// The gradient at the input of each of `batch` examples.
    fn back(&self, passed: &Passed<'_>, batch: usize, device: &Device) -> Tensor<4> {
        let geometry = self.geometry;
        let weight = Values::of(self.weight.clone());
        let (filters, window, columns) = (geometry.group_filters(), geometry.window(), geometry.columns());
        let weights: Vec<Matrix<'_>> = weight
            .as_slice()
            .chunks_exact(filters * window)
            .map(|own| Matrix::new(own, filters, window).transposed())
            .collect();
        let mut input = vec![0.0; batch * geometry.inputs()];
        geometry.per_example(input.chunks_exact_mut(geometry.inputs()).collect(), |example, input, scratch| {
            let Scratch { unfolder, unfolded, planes, room } = scratch;
            for (group, weight) in weights.iter().enumerate() {
                passed.planes(&geometry, example, group, room, planes);
                product(unfolded, *weight, Matrix::new(planes, filters, columns));
                unfolder.fold(group, unfolded, input);
            }
        });
        host::tensor(input, [batch, geometry.channels, geometry.size[0], geometry.size[1]], device)
    }
}

impl Operation<4, 4> for Convolution {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (geometry, device, [batch, ..]) = (self.geometry, input.device(), input.dims());
        let (bias, [height, width]) = (self.bias(), geometry.output);
        let mut output = vec![0.0; batch * geometry.outputs()];
        let targets = output.chunks_exact_mut(geometry.outputs()).collect();
        self.run(input, targets, |filter, plane, _, target| {
            let target = &mut target[filter * height * width..][..height * width];
            for (row, target) in plane.chunks(geometry.pitch()).zip(target.chunks_exact_mut(width)) {
                target.iter_mut().zip(row).for_each(|(target, value)| *target = value + bias[filter]);
            }
        });
        host::tensor(output, [batch, geometry.filters, height, width], &device)
    }

    fn input_gradient(&self, gradient: Tensor<4>) -> Tensor<4> {
        let (device, [batch, ..]) = (gradient.device(), gradient.dims());
        self.back(&Passed { gradient: Values::of(gradient).as_slice(), pooled: None }, batch, &device)
    }
}

/// A convolution and what pools its output as one, with the output for one batch.
#[derive(Clone, Debug)]
pub(crate) struct PooledConvolution {
    convolution: Convolution,
    pooled: Pooled,
    output: Tensor<4>,
}

/// What was pooled, and which value of each window was the largest.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    pooling: Pooling,
    /// `[example, filter, place]`, as [`Pooling::forward`] leaves it.
    chosen: Arc<Vec<u8>>,
}

impl PooledConvolution {
    pub(crate) fn of(convolution: Convolution, pooling: Pooling, input: Tensor<4>) -> Self {
        let (geometry, device, [batch, ..]) = (convolution.geometry, input.device(), input.dims());
        let (bias, plane, places) = (convolution.bias(), pooling.plane(), pooling.places(geometry.pitch()));
        let mut output = vec![0.0; batch * geometry.filters * plane];
        let mut chosen = vec![0; batch * geometry.filters * places];
        let chosen_of = chosen.chunks_exact_mut(geometry.filters * places);
        let targets = output.chunks_exact_mut(geometry.filters * plane).zip(chosen_of).collect();
        convolution.run(input, targets, |filter, map, room, (output, chosen): &mut (&mut [f32], &mut [u8])| {
            let (output, chosen) = (&mut output[filter * plane..][..plane], &mut chosen[filter * places..][..places]);
            pooling.forward(map, geometry.pitch(), bias[filter], room, output, chosen);
        });
        let [height, width] = pooling.output();
        let output = host::tensor(output, [batch, geometry.filters, height, width], &device);
        Self { convolution, pooled: Pooled { pooling, chosen: Arc::new(chosen) }, output }
    }

    pub(crate) fn pooled(&self) -> Pooled {
        self.pooled.clone()
    }
}

impl Operation<4, 4> for PooledConvolution {
    fn forward(&self, _: Tensor<4>) -> Tensor<4> {
        self.output.clone()
    }

    fn input_gradient(&self, gradient: Tensor<4>) -> Tensor<4> {
        let (device, [batch, ..]) = (gradient.device(), gradient.dims());
        let gradient = Values::of(gradient);
        let passed = Passed { gradient: gradient.as_slice(), pooled: Some(&self.pooled) };
        self.convolution.back(&passed, batch, &device)
    }
}

/// The gradient at the output of a convolution, or at what was pooled of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed<'a> {
    /// `[example, filter, row, column]`.
    pub(crate) gradient: &'a [f32],
    pub(crate) pooled: Option<&'a Pooled>,
}

impl Passed<'_> {
    /// The gradient at the planes of one group of one example, 0 between their rows.
    pub(crate) fn planes(
        &self,
        geometry: &Geometry,
        example: usize,
        group: usize,
        room: &mut Room,
        planes: &mut [f32],
    ) {
        planes.fill(0.0);
        let (filters, pitch) = (geometry.group_filters(), geometry.pitch());
        let size = self.pooled.map_or(geometry.positions(), |pooled| pooled.pooling.plane());
        let first = example * geometry.filters + group * filters;
        let sources = self.gradient[first * size..][..filters * size].chunks_exact(size);
        let sources = sources.zip(planes.chunks_exact_mut(geometry.columns()));
        match self.pooled {
            Some(Pooled { pooling, chosen }) => {
                let places = pooling.places(pitch);
                let chosen = chosen[first * places..][..filters * places].chunks_exact(places);
                for ((source, plane), chosen) in sources.zip(chosen) {
                    pooling.backward(source, chosen, pitch, room, plane);
                }
            }
            None => {
                for (source, plane) in sources {
                    for (source, row) in source.chunks_exact(geometry.output[1]).zip(plane.chunks_mut(pitch)) {
                        row[..source.len()].copy_from_slice(source);
                    }
                }
            }
        }
    }
}

impl Passed<'_> {
    /// The gradient at the output of the convolution itself, `[example, filter, row, column]`.
    pub(crate) fn outputs(&self, geometry: &Geometry, examples: usize) -> Values {
        let Scratch { mut planes, mut room, .. } = Scratch::of(geometry);
        let mut outputs: Vec<f32> = Vec::with_capacity(examples * geometry.outputs());
        for example in 0..examples {
            for group in 0..geometry.groups {
                self.planes(geometry, example, group, &mut room, &mut planes);
                for plane in planes.chunks_exact(geometry.columns()) {
                    let rows = plane.chunks(geometry.pitch());
                    outputs.extend(rows.flat_map(|row| &row[..geometry.output[1]]));
                }
            }
        }
        let values = outputs.len();
        Values::Data(TensorData::new(outputs, [values]))
    }
}

/// What one thread computes in, for one layer.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) unfolder: Unfolder,
    pub(crate) unfolded: Vec<f32>,
    /// One group's planes.
    pub(crate) planes: Vec<f32>,
    pub(crate) room: Room,
}

impl Scratch {
    pub(crate) fn of(geometry: &Geometry) -> Self {
        let planes = vec![0.0; geometry.group_filters() * geometry.columns()];
        let unfolder = Unfolder::of(*geometry);
        Self { unfolder, unfolded: vec![0.0; geometry.unfolded()], planes, room: Room::default() }
    }
}

impl Geometry {
    /// Runs `run(example, target, scratch)` for every target; on threads if that is worth it.
    fn per_example<T: Send>(&self, targets: Vec<T>, run: impl Fn(usize, &mut T, &mut Scratch) + Sync) {
        let work = self.weights() * self.positions();
        if targets.len().saturating_mul(work) < SERIAL {
            let mut scratch = Scratch::of(self);
            targets.into_iter().enumerate().for_each(|(example, mut target)| run(example, &mut target, &mut scratch));
        } else {
            let targets = targets.into_par_iter().enumerate().with_min_len((GRAIN / work).max(1));
            targets.for_each_init(
                || Scratch::of(self),
                |scratch, (example, mut target)| run(example, &mut target, scratch),
            );
        }
    }
}
