//! Lookup tables: the gradient of one example touches only the rows that it looked up.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::gradient::{Additive, ExampleGradients, slack};
use super::host::Values;

/// Per-example gradients of a table `[row, width]`; never a table for each example.
#[derive(Debug)]
pub(crate) struct LookupGradients {
    table: [usize; 2],
    /// Rows that one example looks up.
    positions: usize,
    /// `[example, position]`.
    tokens: Vec<usize>,
    /// `[example, position, width]`.
    gradient: Values,
}

impl LookupGradients {
    pub(crate) fn new(table: [usize; 2], positions: usize, tokens: Vec<usize>, gradient: Tensor<3>) -> Self {
        Self { table, positions, tokens, gradient: Values::of(gradient) }
    }

    /// Visits each row that one example looked up, and the gradient there; returns the sum of the norms of its terms.
    fn each_row(&self, example: usize, mut visit: impl FnMut(usize, &[f64])) -> f64 {
        let [_, width] = self.table;
        let tokens = &self.tokens[example * self.positions..][..self.positions];
        let gradient = &self.gradient.as_slice()[example * self.positions * width..][..self.positions * width];
        let mut order: Vec<usize> = (0..self.positions).collect();
        order.sort_by_key(|at| tokens[*at]);
        let mut sum = vec![0.0; width];
        let mut mass = 0.0;
        for run in order.chunk_by(|a, b| tokens[*a] == tokens[*b]) {
            sum.fill(0.0);
            for at in run {
                let mut squared = 0.0;
                for (sum, value) in sum.iter_mut().zip(&gradient[at * width..][..width]) {
                    let value = f64::from(*value);
                    *sum += value;
                    squared += value * value;
                }
                mass += squared.sqrt();
            }
            visit(tokens[run[0]], &sum);
        }
        mass
    }
}

impl ExampleGradients for LookupGradients {
    /// Rows of one group follow one another: one example that looks up as many times the positions.
    fn grouped(mut self: Box<Self>, rows: usize, _: usize) -> Box<dyn ExampleGradients> {
        self.positions *= rows;
        self
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        let this = &*self;
        norms.par_iter_mut().enumerate().for_each(|(example, norm)| {
            let mut squared = 0.0;
            let mass = this.each_row(example, |_, row| squared += row.iter().map(|value| value * value).sum::<f64>());
            *norm += (squared.sqrt() + slack(this.positions, mass)).powi(2);
        });
    }

    fn add_weighted(&self, weights: &[f32], _: usize, sum: &mut [f64]) {
        for (example, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            self.each_row(example, |row, values| {
                let target = &mut sum[row * values.len()..][..values.len()];
                target.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*weight) * value);
            });
        }
    }
}

impl Additive for LookupGradients {
    fn size(&self) -> usize {
        self.table.iter().product()
    }

    fn add_example(&self, example: usize, target: &mut [f64]) -> f64 {
        let mass = self.each_row(example, |row, values| {
            let target = &mut target[row * values.len()..][..values.len()];
            target.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        });
        slack(self.positions, mass)
    }
}
