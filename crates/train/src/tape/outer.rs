//! Outer products: the gradient of a weight that is applied at several positions.

use super::factors::{Factors, Grouping};
use super::host::Values;
use super::sizes::{Order, Sizes};

/// One use of a layer.
#[derive(Debug)]
pub(crate) struct Part {
    /// Inputs of one example that the weights are applied to.
    pub(crate) positions: usize,
    /// `[example, position, left]`.
    pub(crate) left: Values,
    /// `[example, position, right]`.
    pub(crate) right: Values,
}

/// Gradients of a weight: `left ⊗ right`, summed over the positions of all uses.
#[derive(Debug)]
pub(crate) struct OuterProducts {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) bias: usize,
    pub(crate) parts: Vec<Part>,
}

impl OuterProducts {
    /// Of one use on vectors, each `rows` of which make one example.
    pub(crate) fn of_rows(
        [left, right]: [usize; 2],
        bias: usize,
        rows: usize,
        input: Values,
        gradient: Values,
    ) -> Self {
        let part = Part { positions: rows, left: input, right: gradient };
        Self { left, right, bias, parts: vec![part] }
    }
}

/// One example's rows.
fn rows(values: &Values, example: usize, size: usize) -> &[f32] {
    &values.as_slice()[example * size..][..size]
}

impl Factors for OuterProducts {
    /// Rows of one group follow one another: they are positions that the same weights are applied to.
    fn group(&mut self, rows: usize) -> Grouping {
        self.parts.iter_mut().for_each(|part| part.positions *= rows);
        Grouping::Done
    }

    fn sizes(&self) -> Sizes {
        let positions = self.parts.iter().map(|part| part.positions).sum();
        let Self { left, right, bias, .. } = *self;
        Sizes { groups: 1, positions, left, right, bias, order: Order::PositionsFirst }
    }

    fn fill(&self, example: usize, _: usize, mut left: &mut [f32], mut right: &mut [f32]) {
        for part in &self.parts {
            let (own, rest) = left.split_at_mut(part.positions * self.left);
            own.copy_from_slice(rows(&part.left, example, own.len()));
            left = rest;
            let (own, rest) = right.split_at_mut(part.positions * self.right);
            own.copy_from_slice(rows(&part.right, example, own.len()));
            right = rest;
        }
    }

    fn add_bias(&self, example: usize, bias: &mut [f32]) {
        for part in &self.parts {
            for row in rows(&part.right, example, part.positions * self.right).chunks_exact(self.right) {
                bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}
