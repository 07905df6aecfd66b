//! One event's dominating pair, as seen by the accountants.

use libm::erf;

use super::atoms::{self, Atoms};
use super::gaussian::{Cells, Knots};
use super::losses::{Losses, Side};
use super::nested::Nested;
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
    /// Which multiples of the width are knots.
    pub(crate) knots: Knots,
}

/// What is asked of a sum: ε at `delta`, at a width of `fineness` standard deviations, up to the loss `cap`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) fineness: f64,
    pub(crate) cap: f64,
    pub(crate) delta: f64,
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
        let cells =
            |rate: &f64, sigma: &f64| Cells { rate: *rate, sigma: *sigma, width: 1.0, tail, knots: Knots::Spread(1.0) };
        match self {
            Self::Gaussian { rate, sigma } | Self::FixedSize { rate, sigma } => cells(rate, sigma).highest(),
            Self::Swapped { rate, sigma } => cells(rate, sigma).highest_swapped(),
            Self::Laplace { scale } => scale.recip(),
            Self::Atoms(atoms) => atoms.highest(),
        }
    }

    /// Total variation of the dominating pair, from above: for `P` and `Q` that differ on the rows drawn alone, `q` times that of
    /// two Gaussians. 1 where it is not worked out.
    pub(crate) fn total_variation(&self) -> f64 {
        let apart = |distance: f64| (erf(distance / 8.0_f64.sqrt()) * (1.0 + 16.0 * f64::EPSILON)).min(1.0);
        match self {
            // No more than `q`, rounded or not: a product with a number up to 1 rounds to no more.
            Self::Gaussian { rate, sigma } | Self::FixedSize { rate, sigma } => rate * apart(1.0 / sigma),
            Self::Swapped { rate, sigma } => rate * apart(2.0 / sigma),
            Self::Laplace { .. } | Self::Atoms(_) => 1.0,
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

    /// Losses of merged outputs, and their masses, from below, on no lattice; none for what has others.
    pub(crate) fn merged(&self) -> Option<Vec<(f64, f64)>> {
        let cells = |rate: &f64, sigma: &f64| Cells {
            rate: *rate,
            sigma: *sigma,
            width: 1.0,
            tail: 1e-18,
            knots: Knots::Spread(1.0),
        };
        match self {
            Self::Gaussian { rate, sigma } if *rate < 1.0 => Some(cells(rate, sigma).cells_alone()),
            Self::Swapped { rate, sigma } => Some(cells(rate, sigma).cells_alone_swapped()),
            _ => None,
        }
    }

    /// ε at `delta` of the sum of `times` losses, on nested lattices, from one side; none where they do not hold it.
    pub(crate) fn sum(&self, lattice: Lattice, side: Side, times: u64, question: Question) -> Option<f64> {
        let Question { fineness, cap, delta } = question;
        let Knots::Nested(grid) = lattice.knots else { return None };
        let of = |losses: &Losses| {
            let slack = losses.loss_error * times as f64;
            let sum = Nested::new(losses, side, grid).repeated(times, fineness, cap)?;
            Some(sum.epsilon(delta, slack))
        };
        let Laid { remove, add } = self.losses(lattice, side);
        let added = add.as_ref().map_or(Some(0.0), of)?;
        Some(of(&remove)?.max(added))
    }

    /// Losses in both directions from above, or in one from below.
    pub(crate) fn losses(&self, lattice: Lattice, side: Side) -> Laid {
        let Lattice { width, tail, knots } = lattice;
        let cells = |rate: &f64, sigma: &f64| Cells { rate: *rate, sigma: *sigma, width, tail, knots };
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
