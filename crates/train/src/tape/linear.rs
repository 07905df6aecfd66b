//! Fully connected layers.

use std::borrow::Cow;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::factors::Factored;
use super::gradient::ExampleGradients;
use super::host::{self, Matrix, Values, product};
use super::lanes::{add, add_to_double, squared_norm};
use super::op::Operation;
use super::outer::OuterProducts;

/// Rows of the weight whose gradient one task sums.
const ROWS: usize = 128;

/// Rows of the input that one task multiplies at most.
const TASK_ROWS: usize = 128;

/// Multiplications below which threads cost more than they save.
const SERIAL: usize = 1 << 20;

/// `x W + b` with the weights held constant; the last axis of the input is multiplied.
#[derive(Clone, Debug)]
pub(crate) struct Affine<const D: usize> {
    /// `[input, output]`.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl<const D: usize> Affine<D> {
    pub(crate) fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: weight.inner(), bias: bias.map(Tensor::inner) }
    }
}

impl<const D: usize> Operation<D, D> for Affine<D> {
    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        let ([inputs, outputs], weight) = (self.weight.dims(), Values::of(self.weight.clone()));
        let bias = self.bias.clone().map(Values::of);
        let bias = bias.as_ref().map(Values::as_slice);
        let weight = Matrix::new(weight.as_slice(), inputs, outputs);
        rows_times(input, outputs, weight, |row| {
            if let Some(bias) = bias {
                add(row, bias);
            }
        })
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        let ([inputs, outputs], weight) = (self.weight.dims(), Values::of(self.weight.clone()));
        let weight = Matrix::new(weight.as_slice(), inputs, outputs).transposed();
        rows_times(gradient, inputs, weight, |_| ())
    }
}

/// `rows` times `matrix`, which has `width` columns, along the last axis; `finish` is then called on each row.
///
/// # Panics
///
/// When the last axis does not fit the matrix, as burn's own layer does.
fn rows_times<const D: usize>(
    rows: Tensor<D>,
    width: usize,
    matrix: Matrix<'_>,
    finish: impl Fn(&mut [f32]) + Sync,
) -> Tensor<D> {
    let (device, mut dims) = (rows.device(), rows.dims());
    let length = std::mem::replace(&mut dims[D - 1], width);
    assert_eq!(length, matrix.height(), "values of the input's last axis and inputs of the layer");
    let count = dims[..D - 1].iter().product::<usize>();
    let mut output = vec![0.0; count * width];
    let values = Values::of(rows);
    let task = |(output, input): (&mut [f32], &[f32])| {
        product(output, Matrix::new(input, output.len() / width, length), matrix);
        output.chunks_exact_mut(width).for_each(&finish);
    };
    if count * length * width < SERIAL {
        if !output.is_empty() {
            task((&mut output, values.as_slice()));
        }
    } else {
        let most = count.div_ceil(rayon::current_num_threads()).clamp(1, TASK_ROWS);
        let inputs = values.as_slice().par_chunks(most * length);
        output.par_chunks_mut(most * width).zip(inputs).for_each(task);
    }
    host::tensor(output, dims, &device)
}

/// Per-example gradients of one layer on vectors: products of input and output gradient.
#[derive(Debug)]
pub(crate) struct AffineGradients {
    inputs: usize,
    outputs: usize,
    /// 1 with a bias that trains, 0 without.
    biases: usize,
    /// `[example, input]`.
    input: Values,
    /// `[example, output]`.
    gradient: Values,
}

impl AffineGradients {
    /// `[example, inputs]` and `[example, outputs]`, of a layer with a bias that trains or without one.
    pub(crate) fn new([inputs, outputs]: [usize; 2], biases: usize, input: Values, gradient: Values) -> Self {
        Self { inputs, outputs, biases, input, gradient }
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
    /// Rows of one group are positions that the same weights are applied to.
    fn grouped(self: Box<Self>, rows: usize, _: usize) -> Box<dyn ExampleGradients> {
        let Self { inputs, outputs, biases, input, gradient } = *self;
        let examples = input.as_slice().len() / (inputs * rows).max(1);
        let products = OuterProducts::of_rows([inputs, outputs], biases * outputs, rows, input, gradient);
        Box::new(Factored::new(products, None, examples))
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        let rows =
            self.input.as_slice().chunks_exact(self.inputs).zip(self.gradient.as_slice().chunks_exact(self.outputs));
        for (norm, (input, gradient)) in norms.iter_mut().zip(rows) {
            *norm += (squared_norm(input) + self.biases as f64) * squared_norm(gradient);
        }
    }

    /// Adds weighted products of input and output gradient, blocks of examples at a time.
    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        let mut scaled = self.gradient.as_slice()[..weights.len() * self.outputs].to_vec();
        for (row, weight) in scaled.chunks_exact_mut(self.outputs).zip(weights) {
            for value in row {
                *value = if *weight == 0.0 { 0.0 } else { *value * weight };
            }
        }
        let input = masked(self.input.as_slice(), weights, self.inputs);
        let (weight, bias) = sum.split_at_mut(self.inputs * self.outputs);
        let task = |(task, weight): (usize, &mut [f64])| {
            let mut total = vec![0.0; weight.len()];
            let (from, to) = (task * ROWS, task * ROWS + weight.len() / self.outputs);
            let blocks = input.chunks(block * self.inputs).zip(scaled.chunks(block * self.outputs));
            for (input, gradient) in blocks {
                let rows = gradient.len() / self.outputs;
                let input = Matrix::new(input, rows, self.inputs).columns(from, to).transposed();
                product(&mut total, input, Matrix::new(gradient, rows, self.outputs));
                add_to_double(weight, &total);
            }
        };
        if self.inputs <= ROWS {
            weight.chunks_mut(ROWS * self.outputs).enumerate().for_each(task);
        } else {
            weight.par_chunks_mut(ROWS * self.outputs).enumerate().for_each(task);
        }
        if self.biases > 0 {
            for row in scaled.chunks_exact(self.outputs) {
                add_to_double(bias, row);
            }
        }
    }
}
