//! The contract table: every layer, of every sort, against burn's own on one example at a time.

#![allow(clippy::redundant_closure_for_method_calls, reason = "every row of the table has the same form")]

use burn::module::{Lora, Module, Param};
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig, ConvTranspose3dConfig,
};
use burn::nn::gru::GruConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{
    Embedding, EmbeddingConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig, Linear, LinearConfig, LstmConfig,
    PRelu, PReluConfig, PaddingConfig1d, PaddingConfig2d, PaddingConfig3d, RmsNormConfig,
};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation::relu, activation::softplus};

use super::contract::{EXAMPLES, Pass, check, inputs, layer, loss};
use super::{Attend, ExampleRule, Tape};

#[test]
fn every_layer_agrees_with_one_by_one_backward_passes() {
    linear();
    convolutions();
    transposed_convolutions();
    norms();
    recurrent();
    given();
}

fn linear() {
    for bias in [true, false] {
        let init = |device: &Device| LinearConfig::new(4, 3).with_bias(bias).init(device);
        layer("linear", [0, 4], init, Linear::forward, Tape::linear);
        layer("linear on a sequence", [0, 6, 4], init, Linear::forward, Tape::linear);
        layer("linear on a grid", [0, 2, 3, 4], init, Linear::forward, Tape::linear);
    }
}

fn convolutions() {
    let explicit = PaddingConfig1d::Explicit(2, 1);
    let one = [
        Conv1dConfig::new(4, 6, 3).with_padding(PaddingConfig1d::Same).with_groups(2),
        Conv1dConfig::new(4, 2, 2).with_stride(2).with_dilation(2).with_padding(explicit).with_bias(false),
    ];
    for config in one {
        layer("conv1d", [0, 4, 7], |device| config.init(device), |l, x| l.forward(x), Tape::conv1d);
    }
    let padding = PaddingConfig2d::Explicit(1, 0, 2, 1);
    let two = [
        Conv2dConfig::new([4, 6], [3, 2]).with_padding(PaddingConfig2d::Same).with_groups(2),
        Conv2dConfig::new([4, 3], [3, 3])
            .with_padding(padding)
            .with_stride([2, 1])
            .with_dilation([1, 2])
            .with_bias(false),
    ];
    for config in two {
        layer("conv2d", [0, 4, 6, 5], |device| config.init(device), |l, x| l.forward(x), Tape::conv2d);
        let pool = MaxPool2dConfig::new([2, 1]).with_strides([1, 2]).init();
        layer(
            "conv2d, pooled",
            [0, 4, 6, 5],
            |device| config.init(device),
            |l, x| pool.forward(l.forward(x)),
            |t, l, x| t.conv2d_max_pool2d(l, &pool, x),
        );
        layer(
            "conv2d, ReLU, pooled",
            [0, 4, 6, 5],
            |device| config.init(device),
            |l, x| pool.forward(relu(l.forward(x))),
            |t, l, x| t.conv2d_relu_max_pool2d(l, &pool, x),
        );
    }
    let three = [
        Conv3dConfig::new([2, 4], [3, 3, 1]).with_padding(PaddingConfig3d::Same).with_groups(2),
        Conv3dConfig::new([2, 3], [2, 1, 3])
            .with_padding(PaddingConfig3d::Explicit(1, 0, 2))
            .with_stride([1, 2, 2])
            .with_dilation([2, 1, 1])
            .with_bias(false),
    ];
    for config in three {
        layer("conv3d", [0, 2, 4, 3, 5], |device| config.init(device), |l, x| l.forward(x), Tape::conv3d);
    }
}

fn transposed_convolutions() {
    let one = [
        ConvTranspose1dConfig::new([4, 6], 3).with_groups(2).with_stride(2).with_padding_out(1),
        ConvTranspose1dConfig::new([4, 2], 3).with_padding(1).with_dilation(2).with_bias(false),
    ];
    for config in one {
        layer("conv_transpose1d", [0, 4, 5], |d| config.init(d), |l, x| l.forward(x), Tape::conv_transpose1d);
    }
    let two = [
        ConvTranspose2dConfig::new([4, 6], [3, 2]).with_groups(2).with_stride([2, 3]).with_padding_out([1, 2]),
        ConvTranspose2dConfig::new([4, 3], [2, 3]).with_padding([1, 2]).with_dilation([2, 1]).with_bias(false),
    ];
    for config in two {
        layer("conv_transpose2d", [0, 4, 3, 4], |d| config.init(d), |l, x| l.forward(x), Tape::conv_transpose2d);
    }
    let three = [
        ConvTranspose3dConfig::new([2, 4], [2, 3, 1]).with_groups(2).with_stride([2, 1, 1]).with_padding([0, 1, 0]),
        ConvTranspose3dConfig::new([2, 3], [1, 2, 2]).with_dilation([1, 2, 1]).with_bias(false),
    ];
    for config in three {
        layer("conv_transpose3d", [0, 2, 2, 3, 4], |d| config.init(d), |l, x| l.forward(x), Tape::conv_transpose3d);
    }
}

fn norms() {
    let layer_norm = |bias| LayerNormConfig::new(4).with_bias(bias);
    for bias in [true, false] {
        layer("layer_norm", [0, 4], |d| layer_norm(bias).init(d), |l, x| l.forward(x), |t, l, x| t.layer_norm(l, x));
        layer("layer_norm", [0, 3, 4], |d| layer_norm(bias).init(d), |l, x| l.forward(x), |t, l, x| t.layer_norm(l, x));
    }
    let rms_norm = RmsNormConfig::new(4);
    layer("rms_norm", [0, 3, 4], |d| rms_norm.init(d), |l, x| l.forward(x), |t, l, x| t.rms_norm(l, x));
    for affine in [true, false] {
        let group = GroupNormConfig::new(2, 4).with_affine(affine);
        layer("group_norm", [0, 4, 5], |d| group.init(d), |l, x| l.forward(x), |t, l, x| t.group_norm(l, x));
        layer("group_norm", [0, 4, 3, 2], |d| group.init(d), |l, x| l.forward(x), |t, l, x| t.group_norm(l, x));
        let instance = InstanceNormConfig::new(4).with_affine(affine);
        layer(
            "instance_norm",
            [0, 4, 3, 2],
            |d| instance.init(d),
            |l, x| l.forward(x),
            |t, l, x| t.instance_norm(l, x),
        );
    }
}

fn recurrent() {
    let lstm = LstmConfig::new(3, 4, true);
    let configs = [
        lstm.clone(),
        LstmConfig::new(3, 4, false).with_input_forget(true).with_clip(Some(0.1)),
        lstm.clone().with_reverse(true),
    ];
    for config in configs {
        layer("lstm", [0, 5, 3], |d| config.init(d), |l, x| l.forward(x, None).0, |t, l, x| t.lstm(l, x, None).0);
    }
    let steps_first = lstm.with_batch_first(false);
    layer(
        "lstm, steps first",
        [0, 5, 3],
        |d| steps_first.init(d),
        |l, x| l.forward(x.swap_dims(0, 1), None).0.swap_dims(0, 1),
        |t, l, x| t.lstm(l, x.swap_dims(0, 1), None).0.swap_dims(0, 1),
    );
    layer(
        "lstm, last cell",
        [0, 5, 3],
        |d| LstmConfig::new(3, 4, true).init(d),
        |l, x| l.forward(x, None).1.cell,
        |t, l, x| t.lstm(l, x, None).1.cell,
    );
    for reset_after in [true, false] {
        let config = GruConfig::new(3, 4, reset_after).with_reset_after(reset_after).with_clip(Some(0.4));
        layer("gru", [0, 5, 3], |d| config.init(d), |l, x| l.forward(x, None), |t, l, x| t.gru(l, x, None));
    }
}

/// Features times their own scale, by its rule.
#[derive(Module, Debug)]
struct Scales {
    weight: Param<Tensor<1>>,
}

impl Scales {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        input * softplus(self.weight.val(), 1.0).unsqueeze()
    }
}

impl ExampleRule<3, 3> for Scales {
    fn example_gradients(&self, input: Tensor<3>, gradient: Tensor<3>) -> Tensor<2> {
        let slope: Tensor<2> = burn::tensor::activation::sigmoid(self.weight.val().inner()).unsqueeze();
        (input * gradient).sum_dim(1).squeeze_dim::<2>(1) * slope
    }
}

fn given() {
    let scales = |device: &Device| Scales { weight: Param::from_tensor(Tensor::ones([4], device)) };
    layer("custom", [0, 3, 4], scales, Scales::forward, |t, l, x| t.custom(l, Scales::forward, x));
    layer("fallback", [0, 3, 4], scales, Scales::forward, |t, l, x| t.fallback(l, Scales::forward, x));
    let prelu = PReluConfig::new().with_num_parameters(3);
    layer(
        "fallback",
        [0, 3, 4],
        |d| prelu.init(d),
        PRelu::forward::<3>,
        |t, l, x| t.fallback(l, PRelu::forward::<3>, x),
    );
}

/// Lengths of the examples' sequences; the longest is what the others are padded to.
const LENGTHS: [usize; EXAMPLES] = [4, 1, 6, 3, 6, 2];
const LONGEST: usize = 6;
const VOCABULARY: usize = 9;

fn tokens(device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = (0..EXAMPLES * LONGEST).map(|at| i64::try_from(at * at % VOCABULARY).unwrap()).collect();
    Tensor::from_data(TensorData::new(values, [EXAMPLES, LONGEST]), device)
}

/// True where an example has ended.
fn padding(device: &Device) -> Tensor<2, Bool> {
    let ended = LENGTHS.iter().flat_map(|length| (0..LONGEST).map(move |at| at >= *length)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(ended, [EXAMPLES, LONGEST]), device)
}

/// True where a position would see a later one.
fn later(examples: usize, length: usize, device: &Device) -> Tensor<3, Bool> {
    let values = (0..examples * length * length).map(|at| at % length > at / length % length).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, [examples, length, length]), device)
}

/// Losses over the positions that an example has.
fn masked_loss(output: Tensor<3>, padding: Tensor<2, Bool>) -> Tensor<1> {
    let width = output.dims()[2];
    loss(output.mask_fill(padding.unsqueeze_dim::<3>(2).repeat_dim(2, width), 0.0))
}

/// Embedding, attention that sees no later position, recurrence, and logits by the embedding's own table.
#[derive(Module, Debug)]
struct Language {
    table: Embedding,
    attention: MultiHeadAttention,
    lstm: burn::nn::Lstm,
    gru: burn::nn::gru::Gru,
}

impl Language {
    fn new(quiet: bool, device: &Device) -> Self {
        let attention = MultiHeadAttentionConfig::new(4, 2).with_dropout(0.0).with_quiet_softmax(quiet);
        Self {
            table: EmbeddingConfig::new(VOCABULARY, 4).init(device),
            attention: attention.init(device),
            lstm: LstmConfig::new(4, 4, true).init(device),
            gru: GruConfig::new(4, 4, true).init(device),
        }
    }

    fn losses(&self, pass: Pass<'_>, device: &Device) -> Tensor<1> {
        match pass {
            Pass::Burn(example) => {
                let tokens = tokens(device).narrow(0, example, 1).narrow(1, 0, LENGTHS[example]);
                let rows = self.table.forward(tokens);
                let input = MhaInput::self_attn(rows).mask_attn(later(1, LENGTHS[example], device));
                let hidden = self.attention.forward(input).context;
                let hidden = self.gru.forward(self.lstm.forward(hidden, None).0, None);
                loss(hidden.matmul(self.table.weight.val().transpose().unsqueeze()))
            }
            Pass::Tape(tape) => {
                let rows = tape.embedding(&self.table, tokens(device));
                let mut attend = Attend::to_itself(rows);
                attend.padding = Some(padding(device));
                attend.mask = Some(later(EXAMPLES, LONGEST, device));
                let hidden = tape.attention(&self.attention, attend).context;
                let hidden = tape.lstm(&self.lstm, hidden, None).0;
                let hidden = tape.gru(&self.gru, hidden, None);
                masked_loss(tape.unembedding(&self.table, hidden), padding(device))
            }
        }
    }
}

#[test]
fn sequences_of_different_lengths_agree_with_each_alone() {
    check("language model", |device| Language::new(false, device), Language::losses);
    check("quiet language model", |device| Language::new(true, device), Language::losses);
    let lora = |device: &Device| Language::new(false, device).apply_lora(Lora::new(2, 4.0));
    check("language model with LoRA", lora, Language::losses);
}

/// A table that two layers use, and one layer that runs twice.
#[derive(Module, Debug)]
struct Shared {
    table: Embedding,
    twice: Linear,
}

#[test]
fn parts_of_a_shared_gradient_are_added_before_they_are_squared() {
    let init = |device: &Device| Shared {
        table: EmbeddingConfig::new(VOCABULARY, 4).init(device),
        twice: LinearConfig::new(4, 4).init(device),
    };
    check("shared", init, |model: &Shared, pass, device| match pass {
        Pass::Burn(example) => {
            let rows = model.table.forward(tokens(device).narrow(0, example, 1));
            let hidden = model.twice.forward(model.twice.forward(rows).tanh());
            loss(hidden.matmul(model.table.weight.val().transpose().unsqueeze()))
        }
        Pass::Tape(tape) => {
            let rows = tape.embedding(&model.table, tokens(device));
            let once = tape.linear(&model.twice, rows).tanh();
            let hidden = tape.linear(&model.twice, once);
            loss(tape.unembedding(&model.table, hidden))
        }
    });
    // The same convolution at two places, its bias shared with nothing.
    let conv = Conv2dConfig::new([2, 2], [3, 3]).with_padding(PaddingConfig2d::Same);
    let transposed = ConvTranspose2dConfig::new([2, 2], [3, 3]).with_padding([1, 1]);
    layer(
        "convolution twice",
        [0, 2, 4, 4],
        |d| conv.init(d),
        |l, x| l.forward(l.forward(x).tanh()),
        |t, l, x| {
            let once = t.conv2d(l, x).tanh();
            t.conv2d(l, once)
        },
    );
    layer(
        "transposed twice",
        [0, 2, 4, 4],
        |d| transposed.init(d),
        |l, x| l.forward(l.forward(x).tanh()),
        |t, l, x| {
            let once = t.conv_transpose2d(l, x).tanh();
            t.conv_transpose2d(l, once)
        },
    );
}

fn frozen<const D: usize>(parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
    parameter.set_require_grad(false)
}

#[test]
fn a_frozen_parameter_is_not_recorded_and_passes_the_gradient_on() {
    macro_rules! check_both {
        ($name:literal, $shape:expr, $config:expr, $tape:expr) => {
            check_both!($name, $shape, $config, |l, x| l.forward(x), $tape);
        };
        ($name:literal, $shape:expr, $config:expr, $burn:expr, $tape:expr) => {
            let bias_only = |device: &Device| {
                let mut layer = $config.init(device);
                layer.weight = frozen(layer.weight);
                layer
            };
            layer(concat!($name, ", weight frozen"), $shape, bias_only, $burn, $tape);
            let weight_only = |device: &Device| {
                let mut layer = $config.init(device);
                layer.bias = layer.bias.map(frozen);
                layer
            };
            layer(concat!($name, ", bias frozen"), $shape, weight_only, $burn, $tape);
            layer(concat!($name, ", frozen"), $shape, |d| $config.init(d).no_grad(), $burn, $tape);
        };
    }
    check_both!("linear", [0, 3, 4], LinearConfig::new(4, 3), Tape::linear::<3>);
    check_both!("conv1d", [0, 2, 5], Conv1dConfig::new(2, 3, 2), Tape::conv1d);
    check_both!("conv2d", [0, 2, 4, 5], Conv2dConfig::new([2, 3], [2, 2]), Tape::conv2d);
    let conv = Conv2dConfig::new([2, 3], [2, 2]);
    check_both!("conv2d, ReLU", [0, 2, 4, 5], conv, |l, x| relu(l.forward(x)), Tape::conv2d_relu);
    check_both!("conv3d", [0, 2, 3, 3, 4], Conv3dConfig::new([2, 3], [2, 2, 2]), Tape::conv3d);
    check_both!("transposed", [0, 2, 3, 4], ConvTranspose2dConfig::new([2, 3], [2, 2]), Tape::conv_transpose2d);
    let half = |device: &Device| {
        let mut layer = LayerNormConfig::new(4).init(device);
        layer.gamma = frozen(layer.gamma);
        layer
    };
    layer("layer_norm, scale frozen", [0, 3, 4], half, |l, x| l.forward(x), |t, l, x| t.layer_norm(l, x));
    let two = |device: &Device| {
        let linear = || LinearConfig::new(4, 4).init(device);
        (linear().no_grad(), Scales { weight: Param::from_tensor(Tensor::ones([4], device)) })
    };
    layer(
        "fallback behind a frozen layer",
        [0, 3, 4],
        two,
        |(linear, scales), x| scales.forward(linear.forward(x)),
        |t, (linear, scales), x| {
            let x = t.linear(linear, x);
            t.fallback(scales, Scales::forward, x)
        },
    );
}

#[test]
fn a_lookup_forms_no_table_for_each_example() {
    // A table of 2^20 rows for each of 4,096 examples would be 64 GiB.
    let (device, rows, examples) = (crate::DeviceKind::Flex.device(), 1 << 20, 4096);
    let table = Embedding { weight: Param::from_tensor(Tensor::zeros([rows, 4], &device)) };
    let tokens: Vec<i64> = (0..8192).map(|at| at / 2).collect();
    let mut tape = Tape::recording(&table).unwrap();
    let found = tape.embedding(&table, Tensor::from_data(TensorData::new(tokens, [examples, 2]), &device));
    let losses = found.sum_dim(2).sum_dim(1).flatten::<1>(0, 2);
    let norms = tape.backward(losses).unwrap().norms();
    // Both positions look up one row: a gradient of 2 in each of 4 values, not 1 in each of 8.
    assert!(norms.iter().all(|norm| (norm - 4.0).abs() < 1e-4), "{:?}", &norms[..4]);
}

#[test]
fn inputs_differ_between_examples() {
    let all = inputs([EXAMPLES, 3], &crate::DeviceKind::Flex.device());
    let first = all.clone().narrow(0, 0, 1);
    assert!(
        (all - first).abs().sum_dim(1).into_data().iter::<f32>().filter(|distance| *distance > 0.0).count()
            == EXAMPLES - 1
    );
}
