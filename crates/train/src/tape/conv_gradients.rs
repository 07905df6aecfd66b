//! Per-example gradients of convolutions, formed one at a time.

use super::conv::{Passed, Pooled, Scratch};
use super::each::{self, EachGradient};
use super::gradient::ExampleGradients;
use super::host::{Matrix, Values, add_product};
use super::unfold::Geometry;

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
    pooled: Option<Pooled>,
    /// Rows of input and gradient that make one example.
    members: usize,
}

impl ConvolutionGradients {
    /// `gradient` is that at the output, or at what was `pooled` of it; `biases` counts the values of a bias that trains.
    pub(crate) fn new(
        geometry: Geometry,
        biases: usize,
        input: Values,
        gradient: Values,
        pooled: Option<Pooled>,
    ) -> Self {
        Self { geometry, biases, input, gradient, pooled, members: 1 }
    }
}

impl EachGradient for ConvolutionGradients {
    fn size(&self) -> usize {
        self.geometry.weights() + self.biases
    }

    fn writer(&self) -> Box<dyn FnMut(usize, &mut [f32]) + '_> {
        let geometry = &self.geometry;
        let (filters, window, columns) = (geometry.group_filters(), geometry.window(), geometry.columns());
        let passed = Passed { gradient: self.gradient.as_slice(), pooled: self.pooled.as_ref() };
        let Scratch { mut unfolder, mut unfolded, mut planes, mut room } = Scratch::of(geometry);
        Box::new(move |example, target| {
            target.fill(0.0);
            let (weights, biases) = target.split_at_mut(geometry.weights());
            for row in example * self.members..(example + 1) * self.members {
                let input = &self.input.as_slice()[row * geometry.inputs()..][..geometry.inputs()];
                for (group, weights) in weights.chunks_exact_mut(filters * window).enumerate() {
                    passed.planes(geometry, row, group, &mut room, &mut planes);
                    unfolder.unfold(group, input, &mut unfolded);
                    let unfolded = Matrix::new(&unfolded, window, columns).transposed();
                    add_product(weights, Matrix::new(&planes, filters, columns), unfolded);
                    for (bias, plane) in biases.iter_mut().skip(group * filters).zip(planes.chunks_exact(columns)) {
                        *bias += plane.iter().sum::<f32>();
                    }
                }
            }
        })
    }
}

impl ExampleGradients for ConvolutionGradients {
    fn grouped(mut self: Box<Self>, rows: usize, _: usize) -> Box<dyn ExampleGradients> {
        self.members *= rows;
        self
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        each::add_squared_norms(self, norms);
    }

    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        each::add_weighted(self, weights, block, sum);
    }

    fn each(&self) -> Option<&dyn EachGradient> {
        Some(self)
    }
}
