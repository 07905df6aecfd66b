//! One event's dominating pair, as seen by the accountants.

use super::atoms::{self, Atoms};
use super::gaussian::Cells;
use super::losses::{Losses, Side};
use crate::rdp;

/// One event whose losses can be laid on a lattice.
#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    /// `(1-q) N(0) + q N(1)` and `N(0)`: a Gaussian mechanism on a Poisson sample when a row is added or removed; rate 1
    /// is all rows.
    Gaussian {
        rate: f64,
        sigma: f64,
    },
    /// `(1-q) N(0) + q N(1)` and `(1-q) N(0) + q N(-1)`: the same when a row is replaced.
    Swapped {
        rate: f64,
        sigma: f64,
    },
    /// The larger of both directions of `(1-q) N(0) + q N(1)` and `N(0)` at every ratio: a Gaussian mechanism on a sample
    /// of fixed size, with the sensitivity of a replaced row as unit, when a row is replaced.
    FixedSize {
        rate: f64,
        sigma: f64,
    },
    Laplace {
        scale: f64,
    },
    Atoms(Atoms),
}

/// An event's losses: of both directions, or of one where the pair is its own mirror image or one is asked about.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) remove: Losses,
    pub(crate) add: Option<Losses>,
}

/// How losses are laid on a lattice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lattice {
    pub(crate) width: f64,
    /// Mass that may be moved to infinity.
    pub(crate) tail: f64,
    /// Spacing of knots far out, relative to their distance from 0.
    pub(crate) spread: f64,
}

impl Leaf {
    pub(crate) fn response(epsilon: f64, categories: f64, delta: f64) -> Self {
        Self::Atoms(Atoms::response(epsilon, categories, delta))
    }

    pub(crate) fn discrete_gaussian(sigma: f64, shift: f64) -> Self {
        Self::Atoms(Atoms::discrete_gaussian(sigma, shift))
    }

    /// Standard deviation of the loss: it only steers lattices.
    pub(crate) fn deviation(&self) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } | Self::FixedSize { rate, sigma } => Cells::deviation(*rate, *sigma),
            Self::Swapped { rate, sigma } => Cells::deviation_swapped(*rate, *sigma),
            Self::Laplace { scale } => atoms::variance(&[(-1.0 / scale, 0.4), (0.0, 0.1), (1.0 / scale, 0.5)]).sqrt(),
            Self::Atoms(atoms) => atoms::variance(&atoms.masses).sqrt(),
        }
    }

    /// Loss above which there is no more than about `tail`; it only steers lattices.
    pub(crate) fn highest(&self, tail: f64) -> f64 {
        let cells = |rate: &f64, sigma: &f64| Cells { rate: *rate, sigma: *sigma, width: 1.0, tail, spread: 1.0 };
        match self {
            Self::Gaussian { rate, sigma } | Self::FixedSize { rate, sigma } => cells(rate, sigma).highest(),
            Self::Swapped { rate, sigma } => cells(rate, sigma).highest_swapped(),
            Self::Laplace { scale } => scale.recip(),
            Self::Atoms(atoms) => atoms.highest(),
        }
    }

    /// Rényi divergence of order `alpha`, from above, in either direction.
    pub(crate) fn divergence(&self, alpha: f64) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } => rdp::divergence(*rate, *sigma, alpha),
            Self::Swapped { rate, sigma } => rdp::swapped_divergence(*rate, *sigma, alpha),
            Self::FixedSize { rate, sigma } => rdp::fixed_size_divergence(*rate, *sigma, alpha),
            Self::Laplace { scale } => rdp::laplace_divergence(*scale, alpha),
            Self::Atoms(atoms) => atoms.divergence(alpha),
        }
    }

    /// A pair of outputs that the event can have, where the dominating pair is not known to be one.
    pub(crate) fn attained(&self) -> Option<Self> {
        match self {
            Self::FixedSize { rate, sigma } => Some(Self::Gaussian { rate: *rate, sigma: *sigma }),
            _ => None,
        }
    }

    /// A loss that should lie on a knot.
    pub(crate) fn knot(&self) -> Option<f64> {
        match self {
            Self::Gaussian { .. } | Self::Swapped { .. } | Self::FixedSize { .. } => None,
            Self::Laplace { scale } => Some(1.0 / scale),
            Self::Atoms(atoms) => atoms.masses.windows(2).map(|pair| pair[1].0 - pair[0].0).reduce(f64::min),
        }
    }

    /// Losses in both directions from above, or in one from below.
    pub(crate) fn losses(&self, lattice: Lattice, side: Side) -> Laid {
        let Lattice { width, tail, spread } = lattice;
        let cells = |rate: &f64, sigma: &f64| Cells { rate: *rate, sigma: *sigma, width, tail, spread };
        let one = |remove| Laid { remove, add: None };
        match (self, side) {
            (Self::Gaussian { rate, sigma }, Side::Upper) => {
                let directions = cells(rate, sigma).upper();
                Laid { remove: directions.remove, add: Some(directions.add) }
            }
            (Self::FixedSize { rate, sigma }, Side::Upper) => one(cells(rate, sigma).upper_of_both()),
            (Self::Gaussian { rate, sigma } | Self::FixedSize { rate, sigma }, Side::Lower) => {
                one(cells(rate, sigma).lower())
            }
            (Self::Swapped { rate, sigma }, Side::Upper) => one(cells(rate, sigma).upper_swapped()),
            (Self::Swapped { rate, sigma }, Side::Lower) => one(cells(rate, sigma).lower_swapped()),
            (Self::Laplace { scale }, side) => one(atoms::laplace(*scale, width, side)),
            (Self::Atoms(atoms), side) => one(atoms.on_lattice(width, side)),
        }
    }
}
