//! Sizes of the two factors of a layer's weight gradient, and their order in memory.

/// How a factor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[position, width]`.
    PositionsFirst,
    /// `[width, position]`.
    PositionsLast,
}

/// Sizes of a layer's factors. One group's weight gradient is `[left, right]`, the sum over positions of outer products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) groups: usize,
    pub(crate) positions: usize,
    pub(crate) left: usize,
    pub(crate) right: usize,
    /// Values of the bias; 0 without a bias that trains.
    pub(crate) bias: usize,
    pub(crate) order: Order,
}

impl Sizes {
    pub(crate) fn weights(self) -> usize {
        self.groups * self.left * self.right
    }

    pub(crate) fn gradient(self) -> usize {
        self.weights() + self.bias
    }
}
