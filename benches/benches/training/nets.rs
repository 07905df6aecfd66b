//! The networks that are timed, each with the forward pass over a tape and, where it is compared, over burn's layers.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation};
use underpin_train::Tape;

/// The network of the Opacus MNIST example, 26,010 parameters.
#[derive(Module, Debug)]
pub(crate) struct Cnn {
    conv: [Conv2d; 2],
    pool: MaxPool2d,
    hidden: Linear,
    last: Linear,
}

impl Cnn {
    pub(crate) fn new(device: &Device) -> Self {
        let first = Conv2dConfig::new([1, 16], [8, 8]).with_stride([2, 2]);
        let second = Conv2dConfig::new([16, 32], [4, 4]).with_stride([2, 2]);
        Self {
            conv: [first.with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3)).init(device), second.init(device)],
            pool: MaxPool2dConfig::new([2, 2]).with_strides([1, 1]).init(),
            hidden: LinearConfig::new(512, 32).init(device),
            last: LinearConfig::new(32, 10).init(device),
        }
    }

    /// Logits `[example, class]` of images `[example, 1, 28, 28]`.
    pub(crate) fn on_tape(&self, images: Tensor<4>, tape: &mut Tape) -> Tensor<2> {
        let [first, second] = &self.conv;
        let maps = tape.conv2d_relu_max_pool2d(first, &self.pool, images);
        let maps = tape.conv2d_relu_max_pool2d(second, &self.pool, maps);
        let hidden = activation::relu(tape.linear(&self.hidden, maps.flatten::<2>(1, 3)));
        tape.linear(&self.last, hidden)
    }

    /// The same by burn's own layers.
    pub(crate) fn on_burn(&self, images: Tensor<4>) -> Tensor<2> {
        let [first, second] = &self.conv;
        let maps = self.pool.forward(activation::relu(first.forward(images)));
        let maps = self.pool.forward(activation::relu(second.forward(maps)));
        let hidden = activation::relu(self.hidden.forward(maps.flatten::<2>(1, 3)));
        self.last.forward(hidden)
    }
}

/// Fully connected layers with ReLU between.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    pub(crate) fn new(widths: &[usize], device: &Device) -> Self {
        let layers = widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect();
        Self { layers }
    }

    /// Logits `[example, class]` of rows `[example, value]`.
    pub(crate) fn on_tape(&self, rows: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("an MLP has layers");
        let rows = hidden.iter().fold(rows, |rows, layer| activation::relu(tape.linear(layer, rows)));
        tape.linear(last, rows)
    }

    /// The same by burn's own layers.
    pub(crate) fn on_burn(&self, rows: Tensor<2>) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("an MLP has layers");
        let rows = hidden.iter().fold(rows, |rows, layer| activation::relu(layer.forward(rows)));
        last.forward(rows)
    }
}

/// Layers of the transformer.
const DEPTH: usize = 4;
/// Attention heads of one layer.
const HEADS: usize = 8;

/// Four layers of attention and two linear layers each, with residual connections; no normalisation.
#[derive(Module, Debug)]
pub(crate) struct Transformer {
    /// Queries, keys and values; projection; up; down: of each layer.
    layers: Vec<Linear>,
    last: Linear,
}

impl Transformer {
    const WIDTH: usize = 256;

    pub(crate) fn new(device: &Device) -> Self {
        let width = Self::WIDTH;
        let shapes = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)];
        let layers = (0..DEPTH).flat_map(|_| shapes).map(|(from, to)| LinearConfig::new(from, to).init(device));
        Self { layers: layers.collect(), last: LinearConfig::new(width, 10).init(device) }
    }

    /// Logits `[example, class]` of embedded sequences `[example, position, width]`.
    pub(crate) fn on_tape(&self, sequences: Tensor<3>, tape: &mut Tape) -> Tensor<2> {
        let hidden = self.blocks(sequences, |layer, input| tape.linear(layer, input));
        tape.linear(&self.last, hidden)
    }

    /// The same by burn's own layers.
    pub(crate) fn on_burn(&self, sequences: Tensor<3>) -> Tensor<2> {
        self.last.forward(self.blocks(sequences, Linear::forward))
    }

    fn blocks(&self, sequences: Tensor<3>, mut linear: impl FnMut(&Linear, Tensor<3>) -> Tensor<3>) -> Tensor<2> {
        let mut hidden = sequences;
        for block in self.layers.chunks(4) {
            let mixed = attention(&linear(&block[0], hidden.clone()));
            hidden = linear(&block[1], mixed) + hidden;
            let inner = activation::relu(linear(&block[2], hidden.clone()));
            hidden = linear(&block[3], inner) + hidden;
        }
        hidden.mean_dim(1).squeeze_dim(1)
    }
}

/// Scaled dot-product attention of `[example, position, queries then keys then values]`.
fn attention(all: &Tensor<3>) -> Tensor<3> {
    let [examples, positions, width] = all.dims();
    let width = width / 3;
    let part = |which: usize| {
        let part = all.clone().narrow(2, which * width, width);
        part.reshape([examples, positions, HEADS, width / HEADS]).swap_dims(1, 2)
    };
    let (queries, keys, values): (Tensor<4>, Tensor<4>, Tensor<4>) = (part(0), part(1), part(2));
    let scores = queries.matmul(keys.transpose()) / ((width / HEADS) as f32).sqrt();
    let mixed = activation::softmax(scores, 3).matmul(values);
    mixed.swap_dims(1, 2).reshape([examples, positions, width])
}
