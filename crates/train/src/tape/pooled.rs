//! A convolution and what usually follows it, in one pass.

use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::tensor::{Tensor, activation};

use super::Tape;
use super::conv::{Convolution, PooledConvolution};
use super::kept::{Convolved, Kept};
use super::pool::{Pooling, Rectifier};

impl Tape {
    /// Runs a convolution and ReLU, `[example, channel, row, column]`.
    ///
    /// As `relu(tape.conv2d(layer, input))`, and faster: the convolution's output is not stored.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn conv2d_relu(&mut self, layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
        let convolution = Convolution::of(layer, shape(&input));
        let pooling = Pooling::relu(&convolution.geometry());
        let fused = self.fused(layer, convolution, Some(pooling), &input);
        fused.unwrap_or_else(|| activation::relu(self.conv2d(layer, input)))
    }

    /// Runs a convolution, ReLU and max pooling, `[example, channel, row, column]`.
    ///
    /// As `pool.forward(relu(tape.conv2d(layer, input)))`, and faster: the convolution's output is not stored, nor the
    /// gradient at it. With a pooling layer that pads, dilates or rounds its output's size up it is just that.
    ///
    /// # Edge cases
    ///
    /// A window that holds a NaN gives NaN.
    ///
    /// # Panics
    ///
    /// As the layers' own forward passes, on shapes that do not fit.
    pub fn conv2d_relu_max_pool2d(&mut self, layer: &Conv2d, pool: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
        let convolution = Convolution::of(layer, shape(&input));
        let pooling = Pooling::of(pool, Rectifier::Relu, &convolution.geometry());
        let fused = self.fused(layer, convolution, pooling, &input);
        fused.unwrap_or_else(|| pool.forward(activation::relu(self.conv2d(layer, input))))
    }

    /// Runs a convolution and max pooling, `[example, channel, row, column]`; as
    /// [`conv2d_relu_max_pool2d`](Self::conv2d_relu_max_pool2d) without ReLU.
    ///
    /// Any activation that never falls, `tanh` for one, gives the same after pooling as before it, on fewer values.
    ///
    /// # Panics
    ///
    /// As the layers' own forward passes, on shapes that do not fit.
    pub fn conv2d_max_pool2d(&mut self, layer: &Conv2d, pool: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
        let convolution = Convolution::of(layer, shape(&input));
        let pooling = Pooling::of(pool, Rectifier::Absent, &convolution.geometry());
        let fused = self.fused(layer, convolution, pooling, &input);
        fused.unwrap_or_else(|| pool.forward(self.conv2d(layer, input)))
    }

    /// None without a `pooling`, and where the bias trains and the weight does not.
    fn fused(
        &mut self,
        conv: &Conv2d,
        convolution: Convolution,
        pooling: Option<Pooling>,
        input: &Tensor<4>,
    ) -> Option<Tensor<4>> {
        let pooling = pooling?;
        let layer = (self.layers + 1, "conv2d");
        let trained = self.position(layer, conv.weight.id);
        let biased = conv.bias.as_ref().and_then(|bias| self.position(layer, bias.id));
        if trained.is_none() && biased.is_some() {
            return None;
        }
        self.begin("conv2d");
        let (geometry, examples) = (convolution.geometry(), input.dims()[0]);
        let parameters: Vec<usize> = trained.into_iter().chain(biased).collect();
        let operation = PooledConvolution::of(convolution, pooling, input.clone().inner());
        let (output, slot) = self.run(&operation, input.clone(), &parameters);
        if let Some(slot) = slot {
            let bias = if biased.is_some() { geometry.filters } else { 0 };
            let (input, pooled) = (input.clone().inner(), Some(operation.pooled()));
            let kept = Convolved { geometry, bias, input, slot, pooled };
            self.keep(layer, examples, parameters, Kept::Convolution(Box::new(kept)));
        }
        Some(output)
    }
}

fn shape(input: &Tensor<4>) -> [usize; 3] {
    let [_, channels, height, width] = input.dims();
    [channels, height, width]
}
