//! Convolutions along one to three axes, and transposed ones, which are their adjoints.

use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::factors::{Factors, Grouping};
use super::host::{self, Matrix, Values, product};
use super::op::Operation;
use super::sizes::Sizes;
use super::window::{Window, lifted};

/// Which side of the window the layer's input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// A convolution: the input is the wide side.
    Convolution,
    /// A transposed convolution: the input is the narrow side.
    Transposed,
}

/// A convolution along `D - 2` axes, or a transposed one, with its weights held constant.
#[derive(Clone, Debug)]
pub(crate) struct Correlation<const D: usize> {
    pub(crate) window: Window,
    pub(crate) direction: Direction,
    /// `[filter, channel of the group, ...kernel]`.
    weight: Tensor<D>,
    bias: Option<Tensor<1>>,
}

impl Correlation<5> {
    /// The layer as it slides over inputs `[example, channel, depth, row, column]`.
    ///
    /// # Panics
    ///
    /// When the input does not fit the layer, as burn's own forward does.
    pub(crate) fn conv3d(layer: &Conv3d, [_, channels, size @ ..]: [usize; 5]) -> Self {
        let weight = layer.weight.val().inner();
        let [filters, group_channels, kernel @ ..] = weight.dims();
        assert_eq!(channels, group_channels * layer.groups, "channels of the input and of the convolution");
        let (stride, dilation, groups) = (layer.stride, layer.dilation, layer.groups);
        let before = std::array::from_fn(|axis| match layer.padding {
            PaddingConfig3d::Valid => 0,
            PaddingConfig3d::Explicit(depth, row, column) => [depth, row, column][axis],
            // Equal on both sides: burn refuses even kernels.
            PaddingConfig3d::Same => {
                ((size[axis].div_ceil(stride[axis]) - 1) * stride[axis] + kernel[axis]).saturating_sub(size[axis]) / 2
            }
        });
        let output = std::array::from_fn(|axis: usize| {
            let span = dilation[axis] * (kernel[axis] - 1) + 1;
            let padded: usize = size[axis] + 2 * before[axis];
            assert!(padded >= span, "the convolution's kernel is larger than its padded input");
            (padded - span) / stride[axis] + 1
        });
        let window = Window { channels, size, filters, groups, kernel, stride, before, dilation, output };
        let bias = layer.bias.as_ref().map(|bias| bias.val().inner());
        Self { window, direction: Direction::Convolution, weight, bias }
    }
}

/// A transposed convolution of burn's along `N` axes.
pub(crate) struct Transposed<const N: usize> {
    pub(crate) stride: [usize; N],
    pub(crate) padding: [usize; N],
    pub(crate) padding_out: [usize; N],
    pub(crate) dilation: [usize; N],
    pub(crate) groups: usize,
}

impl From<&ConvTranspose1d> for Transposed<1> {
    fn from(layer: &ConvTranspose1d) -> Self {
        let (stride, padding, padding_out) = ([layer.stride], [layer.padding], [layer.padding_out]);
        Self { stride, padding, padding_out, dilation: [layer.dilation], groups: layer.groups }
    }
}

impl From<&ConvTranspose2d> for Transposed<2> {
    fn from(layer: &ConvTranspose2d) -> Self {
        let ConvTranspose2d { stride, padding, padding_out, dilation, groups, .. } = *layer;
        Self { stride, padding, padding_out, dilation, groups }
    }
}

impl From<&ConvTranspose3d> for Transposed<3> {
    fn from(layer: &ConvTranspose3d) -> Self {
        let ConvTranspose3d { stride, padding, padding_out, dilation, groups, .. } = *layer;
        Self { stride, padding, padding_out, dilation, groups }
    }
}

impl<const D: usize> Correlation<D> {
    /// The layer as it runs on inputs `[example, channel, ...]`.
    ///
    /// # Panics
    ///
    /// When the input does not fit the layer, as burn's own forward does.
    pub(crate) fn transposed<const N: usize>(
        layer: &Transposed<N>,
        (weight, bias): (Tensor<D>, Option<Tensor<1>>),
        input: [usize; D],
    ) -> Self {
        let dims = weight.dims();
        assert_eq!(input[1], dims[0], "channels of the input and of the transposed convolution");
        let [kernel, output] = [dims, input].map(|dims| std::array::from_fn::<usize, N, _>(|axis| dims[axis + 2]));
        let size: [usize; N] = std::array::from_fn(|axis| {
            let span = layer.dilation[axis] * (kernel[axis] - 1) + 1 + layer.padding_out[axis];
            let (padded, padding) = ((output[axis] - 1) * layer.stride[axis] + span, 2 * layer.padding[axis]);
            assert!(padded > padding, "the transposed convolution pads away all of its output");
            padded - padding
        });
        let window = Window {
            channels: dims[1] * layer.groups,
            size: lifted(size, 1),
            filters: dims[0],
            groups: layer.groups,
            kernel: lifted(kernel, 1),
            stride: lifted(layer.stride, 1),
            before: lifted(layer.padding, 0),
            dilation: lifted(layer.dilation, 1),
            output: lifted(output, 1),
        };
        Self { window, direction: Direction::Transposed, weight: weight.inner(), bias: bias.map(Tensor::inner) }
    }

    /// From the wide to the narrow side: `[example, filter, ...]`.
    fn correlate(&self, wide: Tensor<D>) -> Vec<f32> {
        let (window, batch) = (self.window, wide.dims()[0]);
        let (wide, weight) = (Values::of(wide), Values::of(self.weight.clone()));
        let (group, weights, positions) = (window.group(), window.weights(), window.positions());
        let mut narrow = vec![0.0; batch * window.narrow()];
        let examples = narrow.par_chunks_exact_mut(window.narrow()).enumerate();
        examples.for_each_init(
            || vec![0.0; weights * positions],
            |unfolded, (example, narrow)| {
                let wide = &wide.as_slice()[example * window.wide()..][..window.wide()];
                let filters = weight.as_slice().chunks_exact(group * weights);
                for (at, (narrow, weight)) in narrow.chunks_exact_mut(group * positions).zip(filters).enumerate() {
                    window.unfold(at, wide, unfolded);
                    product(narrow, Matrix::new(weight, group, weights), Matrix::new(unfolded, weights, positions));
                }
            },
        );
        narrow
    }

    /// From the narrow to the wide side: `[example, channel, ...]`.
    fn adjoint(&self, narrow: Tensor<D>) -> Vec<f32> {
        let (window, batch) = (self.window, narrow.dims()[0]);
        let (narrow, weight) = (Values::of(narrow), Values::of(self.weight.clone()));
        let (group, weights, positions) = (window.group(), window.weights(), window.positions());
        let mut wide = vec![0.0; batch * window.wide()];
        let examples = wide.par_chunks_exact_mut(window.wide()).enumerate();
        examples.for_each_init(
            || vec![0.0; weights * positions],
            |unfolded, (example, wide)| {
                let narrow = &narrow.as_slice()[example * window.narrow()..][..window.narrow()];
                let filters = weight.as_slice().chunks_exact(group * weights);
                for (at, (narrow, weight)) in narrow.chunks_exact(group * positions).zip(filters).enumerate() {
                    let weight = Matrix::new(weight, group, weights).transposed();
                    product(unfolded, weight, Matrix::new(narrow, group, positions));
                    window.fold(at, unfolded, wide);
                }
            },
        );
        wide
    }

    /// `[example, channel, ...]` of one side.
    fn dims(batch: usize, channels: usize, size: [usize; 3]) -> [usize; D] {
        std::array::from_fn(|axis| match axis {
            0 => batch,
            1 => channels,
            _ => size[axis + 3 - D],
        })
    }
}

impl<const D: usize> Operation<D, D> for Correlation<D> {
    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        let (window, device, batch) = (self.window, input.device(), input.dims()[0]);
        let (values, dims) = match self.direction {
            Direction::Convolution => (self.correlate(input), Self::dims(batch, window.filters, window.output)),
            Direction::Transposed => (self.adjoint(input), Self::dims(batch, window.channels, window.size)),
        };
        let output = host::tensor(values, dims, &device);
        match &self.bias {
            Some(bias) => output + bias.clone().reshape(Self::dims(1, dims[1], [1; 3])),
            None => output,
        }
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        let (window, device, batch) = (self.window, gradient.device(), gradient.dims()[0]);
        let (values, dims) = match self.direction {
            Direction::Convolution => (self.adjoint(gradient), Self::dims(batch, window.channels, window.size)),
            Direction::Transposed => (self.correlate(gradient), Self::dims(batch, window.filters, window.output)),
        };
        host::tensor(values, dims, &device)
    }
}

/// Weight gradients: the narrow side times the unfolded wide side.
#[derive(Debug)]
pub(crate) struct Windows {
    pub(crate) window: Window,
    pub(crate) direction: Direction,
    /// Values of the bias; 0 without one that trains.
    pub(crate) bias: usize,
    /// `[example, ...input]`.
    pub(crate) input: Values,
    /// `[example, ...output]`.
    pub(crate) gradient: Values,
}

impl Factors for Windows {
    /// Positions are the last axis: those of several rows do not follow one another.
    fn group(&mut self, _: usize) -> Grouping {
        Grouping::Unfit
    }

    fn sizes(&self) -> Sizes {
        self.window.sizes(self.bias)
    }

    fn fill(&self, example: usize, group: usize, left: &mut [f32], right: &mut [f32]) {
        let (narrow, wide) = match self.direction {
            Direction::Convolution => (&self.gradient, &self.input),
            Direction::Transposed => (&self.input, &self.gradient),
        };
        let own = example * self.window.narrow() + group * left.len();
        left.copy_from_slice(&narrow.as_slice()[own..][..left.len()]);
        let wide = &wide.as_slice()[example * self.window.wide()..][..self.window.wide()];
        self.window.unfold(group, wide, right);
    }

    fn add_bias(&self, example: usize, bias: &mut [f32]) {
        let plane = match self.direction {
            Direction::Convolution => self.window.positions(),
            Direction::Transposed => self.window.plane(),
        };
        let own = &self.gradient.as_slice()[example * bias.len() * plane..][..bias.len() * plane];
        for (sum, plane) in bias.iter_mut().zip(own.chunks_exact(plane)) {
            *sum += plane.iter().sum::<f32>();
        }
    }
}
