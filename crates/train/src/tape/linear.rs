//! Fully connected layers.

use std::borrow::Cow;

use burn::nn::Linear;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host::{Matrix, Values, product, squared_norm};
use super::op::{Operation, Slot};
use super::record::{ExampleGradients, Parameter};

/// Rows of the weight whose gradient one task sums.
const ROWS: usize = 128;

/// `x W + b` with the weights held constant; the last axis of the input is multiplied.
#[derive(Clone, Debug)]
pub(crate) struct Affine<const D: usize> {
    /// `[input, output]`.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl<const D: usize> Affine<D> {
    pub(crate) fn of(layer: &Linear) -> Self {
        Self { weight: layer.weight.val().inner(), bias: layer.bias.as_ref().map(|bias| bias.val().inner()) }
    }
}

impl<const D: usize> Operation<D, D> for Affine<D> {
    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        let output = input.matmul(self.weight.clone().unsqueeze());
        match &self.bias {
            Some(bias) => output + bias.clone().unsqueeze(),
            None => output,
        }
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        gradient.matmul(self.weight.clone().transpose().unsqueeze())
    }
}

/// What the tape keeps of one layer.
#[derive(Debug)]
pub(crate) struct AffineEntry<const D: usize> {
    parameters: Vec<Parameter>,
    input: Tensor<D>,
    slot: Slot<D>,
}

impl<const D: usize> AffineEntry<D> {
    pub(crate) fn new(layer: &Linear, input: Tensor<D>, slot: Slot<D>) -> Self {
        Self { parameters: Parameter::of_layer(&layer.weight, layer.bias.as_ref()), input, slot }
    }

    /// What the backward pass left; nothing if the layer's output did not reach the loss.
    pub(crate) fn collect(self) -> Option<AffineGradients> {
        let gradient = self.slot.take()?;
        let axes = self.input.dims();
        let [inputs, outputs] = [axes[D - 1], gradient.dims()[D - 1]];
        let positions = axes[1..D - 1].iter().product();
        let (input, gradient) = (Values::of(self.input), Values::of(gradient));
        let parameters = self.parameters;
        Some(AffineGradients { parameters, inputs, outputs, positions, input, gradient, examples: Vec::new() })
    }
}

/// Per-example gradients of one layer: products of input and output gradient, summed over positions.
#[derive(Debug)]
pub(crate) struct AffineGradients {
    parameters: Vec<Parameter>,
    inputs: usize,
    outputs: usize,
    /// Inputs of one example that the same weights are applied to.
    positions: usize,
    /// `[example, position, input]`.
    input: Values,
    /// `[example, position, output]`.
    gradient: Values,
    /// `[example, weight then bias]`, once the norms were asked for, with several positions.
    examples: Vec<f32>,
}

impl AffineGradients {
    fn has_bias(&self) -> bool {
        self.parameters.len() > 1
    }

    /// Values of one example's gradient.
    fn size(&self) -> usize {
        self.outputs * (self.inputs + usize::from(self.has_bias()))
    }

    fn input_of(&self, example: usize) -> &[f32] {
        let size = self.positions * self.inputs;
        &self.input.as_slice()[example * size..][..size]
    }

    fn gradient_of(&self, example: usize) -> &[f32] {
        let size = self.positions * self.outputs;
        &self.gradient.as_slice()[example * size..][..size]
    }

    /// One example's gradient.
    fn example(&self, example: usize, target: &mut [f32]) {
        let (input, gradient) = (self.input_of(example), self.gradient_of(example));
        let (weight, bias) = target.split_at_mut(self.inputs * self.outputs);
        let input = Matrix::new(input, self.positions, self.inputs).transposed();
        product(weight, input, Matrix::new(gradient, self.positions, self.outputs));
        for row in gradient.chunks_exact(self.outputs).take(if bias.is_empty() { 0 } else { self.positions }) {
            bias.iter_mut().zip(row).for_each(|(bias, value)| *bias += value);
        }
    }

    /// Adds weighted products of input and output gradient, blocks of examples at a time.
    fn add_products(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        let width = self.positions * self.outputs;
        let mut scaled = self.gradient.as_slice()[..weights.len() * width].to_vec();
        for (row, weight) in scaled.chunks_exact_mut(width).zip(weights) {
            for value in row {
                *value = if *weight == 0.0 { 0.0 } else { *value * weight };
            }
        }
        let input = masked(self.input.as_slice(), weights, self.positions * self.inputs);
        let rows = (block / self.positions).max(1) * self.positions;
        let (weight, bias) = sum.split_at_mut(self.inputs * self.outputs);
        let task = |(task, weight): (usize, &mut [f64])| {
            let mut total = vec![0.0; weight.len()];
            let (from, to) = (task * ROWS, task * ROWS + weight.len() / self.outputs);
            let blocks = input.chunks(rows * self.inputs).zip(scaled.chunks(rows * self.outputs));
            for (input, gradient) in blocks {
                let rows = gradient.len() / self.outputs;
                let input = Matrix::new(input, rows, self.inputs).columns(from, to).transposed();
                product(&mut total, input, Matrix::new(gradient, rows, self.outputs));
                weight.iter_mut().zip(&total).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        };
        if self.inputs <= ROWS {
            weight.chunks_mut(ROWS * self.outputs).enumerate().for_each(task);
        } else {
            weight.par_chunks_mut(ROWS * self.outputs).enumerate().for_each(task);
        }
        if self.has_bias() {
            for row in scaled.chunks_exact(self.outputs) {
                bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
    }
}

/// `values` with the rows of examples that take no part set to 0: infinity times 0 is NaN.
fn masked<'v>(values: &'v [f32], weights: &[f32], width: usize) -> Cow<'v, [f32]> {
    if weights.iter().all(|weight| *weight != 0.0) {
        return Cow::Borrowed(values);
    }
    let mut values = values.to_vec();
    let rows = values.chunks_exact_mut(width).zip(weights);
    rows.filter(|(_, weight)| **weight == 0.0).for_each(|(row, _)| row.fill(0.0));
    Cow::Owned(values)
}

impl ExampleGradients for AffineGradients {
    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        if self.positions == 1 {
            let one = if self.has_bias() { 1.0 } else { 0.0 };
            for (example, norm) in norms.iter_mut().enumerate() {
                *norm += (squared_norm(self.input_of(example)) + one) * squared_norm(self.gradient_of(example));
            }
            return;
        }
        let size = self.size();
        let mut examples = vec![0.0; norms.len() * size];
        examples.par_chunks_exact_mut(size).zip(norms.par_iter_mut()).enumerate().for_each(
            |(example, (target, norm))| {
                self.example(example, target);
                *norm += squared_norm(target);
            },
        );
        self.examples = examples;
    }

    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        if self.examples.is_empty() {
            return self.add_products(weights, block, sum);
        }
        for (gradient, weight) in self.examples.chunks_exact(self.size()).zip(weights) {
            if *weight != 0.0 {
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*weight * *value));
            }
        }
    }
}
