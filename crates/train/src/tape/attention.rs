//! Multi-head attention: burn's, its projections on the tape.

use burn::nn::Linear;
use burn::nn::attention::{MhaOutput, MultiHeadAttention};
use burn::tensor::activation::{quiet_softmax, softmax};
use burn::tensor::{Bool, Tensor};

use super::Tape;

/// What an attention layer attends to.
///
/// burn's own `MhaInput` keeps its fields to itself.
#[derive(Clone, Debug)]
pub struct Attend {
    /// `[example, position, width]`.
    pub query: Tensor<3>,
    /// `[example, other position, width]`.
    pub key: Tensor<3>,
    /// `[example, other position, width]`.
    pub value: Tensor<3>,
    /// `[example, other position]`: true where an example has none, so that examples may differ in length.
    pub padding: Option<Tensor<2, Bool>>,
    /// `[example, position, other position]`: true where a position must not see another.
    pub mask: Option<Tensor<3, Bool>>,
}

impl Attend {
    /// Every position to every position of the same sequence, `[example, position, width]`.
    pub fn to_itself(sequence: Tensor<3>) -> Self {
        Self { query: sequence.clone(), key: sequence.clone(), value: sequence, padding: None, mask: None }
    }
}

impl Tape {
    /// Runs multi-head attention: the context, `[example, position, width]`, and the weights,
    /// `[example, head, position, other position]`.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn attention(&mut self, layer: &MultiHeadAttention, attend: Attend) -> MhaOutput {
        let Attend { query, key, value, padding, mask } = attend;
        let [examples, positions, width] = query.dims();
        let mut heads = |projection: &Linear, input: Tensor<3>| {
            let positions = input.dims()[1];
            let projected = self.linear(projection, input);
            projected.reshape([examples, positions, layer.n_heads, layer.d_k]).swap_dims(1, 2)
        };
        let (query, key, value) = (heads(&layer.query, query), heads(&layer.key, key), heads(&layer.value, value));
        let mut scores: Tensor<4> = query.matmul(key.transpose()).div_scalar((layer.d_k as f32).sqrt());
        if let Some(padding) = padding {
            scores = scores.mask_fill(padding.unsqueeze_dims(&[1, 2]), layer.min_float);
        }
        if let Some(mask) = mask {
            scores = scores.mask_fill(mask.unsqueeze_dim(1), layer.min_float);
        }
        let weights = if layer.quiet_softmax { quiet_softmax(scores, 3) } else { softmax(scores, 3) };
        let weights = layer.dropout.forward(weights);
        let context = weights.clone().matmul(value).swap_dims(1, 2).reshape([examples, positions, width]);
        MhaOutput { weights, context: self.linear(&layer.output, context) }
    }
}
