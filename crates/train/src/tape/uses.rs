//! Uses of one fully connected layer: at one position or at many, once or at every step of a sequence.

use burn::tensor::Tensor;

use super::cost::NormMethod;
use super::factors::{Factored, Factors};
use super::gradient::{Additive, ExampleGradients};
use super::host::Values;
use super::linear::AffineGradients;
use super::op::Slot;
use super::outer::{OuterProducts, Part};

/// Which side of the weight `[left, right]` the layer's input is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// `x W`: the weight is `[input, output]`.
    Left,
    /// `x Wᵀ`: the weight is `[output, input]`.
    Right,
}

/// One use, once the backward pass is over; none if the layer's output did not reach the loss.
type Take = Box<dyn FnOnce() -> Option<Part> + Send>;

/// What the tape keeps of all uses of one weight.
pub(crate) struct Uses {
    side: Side,
    left: usize,
    right: usize,
    /// Values of the bias; 0 without one that trains.
    bias: usize,
    takes: Vec<Take>,
}

impl Uses {
    /// Of a weight `[left, right]`; `bias` counts the values of a bias that trains.
    pub(crate) fn of(side: Side, [left, right]: [usize; 2], bias: usize) -> Self {
        Self { side, left, right, bias, takes: Vec::new() }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// One more use, on `[example, ..., input]`.
    pub(crate) fn push<const D: usize>(&mut self, input: Tensor<D>, slot: Slot<D>) {
        let side = self.side;
        self.takes.push(Box::new(move || {
            let gradient = slot.take()?;
            let positions = input.dims()[1..D - 1].iter().product();
            let (input, gradient) = (Values::of(input), Values::of(gradient));
            let (left, right) = match side {
                Side::Left => (input, gradient),
                Side::Right => (gradient, input),
            };
            Some(Part { positions, left, right })
        }));
    }

    fn collect(self) -> Option<OuterProducts> {
        let Self { left, right, bias, takes, .. } = self;
        let parts: Vec<Part> = takes.into_iter().filter_map(|take| take()).collect();
        (!parts.is_empty()).then_some(OuterProducts { left, right, bias, parts })
    }

    /// The gradients of a weight that no other layer shares.
    pub(crate) fn alone(self, method: Option<NormMethod>, examples: usize) -> Option<Box<dyn ExampleGradients>> {
        let products = self.collect()?;
        if products.sizes().positions > 1 {
            return Some(Box::new(Factored::new(products, method, examples)));
        }
        let OuterProducts { left, right, bias, parts } = products;
        let only = parts.into_iter().find(|part| part.positions == 1)?;
        Some(Box::new(AffineGradients::new([left, right], usize::from(bias > 0), only.left, only.right)))
    }

    /// The gradients of a weight that another layer shares.
    pub(crate) fn tied(self, examples: usize) -> Option<Box<dyn Additive>> {
        Some(Box::new(Factored::new(self.collect()?, Some(NormMethod::Ghost), examples)))
    }
}
