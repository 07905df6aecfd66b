//! Compositions of unlike events.

use super::atoms::{self, Atoms};
use super::gaussian::Cells;
use super::losses::{Losses, Side};
use super::{Repeated, exact, fourier};
use crate::{Bounds, rdp};

/// Gap between the bounds aimed at, relative to the upper one.
const GAP: f64 = 0.01;

/// One event whose losses can be laid on a lattice.
#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    /// A Gaussian mechanism on a Poisson sample; rate 1 is all rows.
    Gaussian {
        rate: f64,
        sigma: f64,
    },
    Laplace {
        scale: f64,
    },
    Atoms(Atoms),
}

impl Leaf {
    pub(crate) fn response(epsilon: f64, categories: f64, delta: f64) -> Self {
        Self::Atoms(Atoms::response(epsilon, categories, delta))
    }

    pub(crate) fn discrete_gaussian(sigma: f64) -> Self {
        Self::Atoms(Atoms::discrete_gaussian(sigma))
    }

    fn variance(&self) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } => Cells::deviation(*rate, *sigma).powi(2),
            Self::Laplace { scale } => atoms::variance(&[(-1.0 / scale, 0.4), (0.0, 0.1), (1.0 / scale, 0.5)]),
            Self::Atoms(atoms) => atoms::variance(&atoms.masses),
        }
    }

    /// Rényi divergence of order `alpha`, from above, in either direction.
    fn divergence(&self, alpha: f64) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } => rdp::divergence(*rate, *sigma, alpha),
            Self::Laplace { scale } => rdp::laplace_divergence(*scale, alpha),
            Self::Atoms(atoms) => atoms.divergence(alpha),
        }
    }

    /// A loss that should lie on a knot.
    fn knot(&self) -> Option<f64> {
        match self {
            Self::Gaussian { .. } => None,
            Self::Laplace { scale } => Some(1.0 / scale),
            Self::Atoms(atoms) => atoms.masses.windows(2).map(|pair| pair[1].0 - pair[0].0).reduce(f64::min),
        }
    }

    /// Losses in both directions from above, or in one from below (twice).
    fn losses(&self, width: f64, tail: f64, spread: f64, side: Side) -> [Losses; 2] {
        let same = |losses: Losses| [losses.clone(), losses];
        match self {
            Self::Gaussian { rate, sigma } => {
                let cells = Cells { rate: *rate, sigma: *sigma, width, tail, spread };
                if side == Side::Lower {
                    return same(cells.lower());
                }
                let directions = cells.upper();
                [directions.remove, directions.add]
            }
            Self::Laplace { scale } => same(atoms::laplace(*scale, width, side)),
            Self::Atoms(atoms) => same(atoms.on_lattice(width, side)),
        }
    }
}

/// Events and how often each happens.
#[derive(Clone, Debug)]
pub(crate) struct Mixture(Vec<(Leaf, u64)>);

/// A question: ε at a δ, or δ at an ε.
#[derive(Clone, Copy)]
enum Ask {
    Epsilon { delta: f64 },
    Delta { epsilon: f64 },
}

impl Mixture {
    /// Gaussians on all rows are first made one: `n` of them at `σ` are one at `σ / sqrt(n)`.
    pub(crate) fn new(leaves: Vec<(Leaf, u64)>) -> Self {
        let mut precision = 0.0;
        let mut rest = Vec::new();
        for (leaf, times) in leaves {
            match leaf {
                Leaf::Gaussian { rate, sigma } if rate >= 1.0 => precision += times as f64 / (sigma * sigma),
                leaf => rest.push((leaf, times)),
            }
        }
        if precision > 0.0 {
            rest.push((Leaf::Gaussian { rate: 1.0, sigma: precision.sqrt().recip() }, 1));
        }
        Self(rest)
    }

    pub(crate) fn epsilon(&self, delta: f64) -> Option<Bounds> {
        match self.0.as_slice() {
            [] => Some(Bounds { lower: 0.0, upper: 0.0 }),
            [(Leaf::Gaussian { rate, sigma }, times)] if *rate >= 1.0 => {
                Some(exact::gaussian((*times as f64).sqrt() / sigma, delta))
            }
            [(Leaf::Gaussian { rate, sigma }, steps)] => {
                Repeated { rate: *rate, sigma: *sigma, steps: *steps, delta }.epsilon(GAP)
            }
            _ => self.refined(Ask::Epsilon { delta }),
        }
    }

    pub(crate) fn renyi_epsilon(&self, delta: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let total = |alpha| self.0.iter().map(|(leaf, times)| *times as f64 * leaf.divergence(alpha)).sum();
        rdp::least(rdp::orders(), delta, total)
    }

    pub(crate) fn delta(&self, epsilon: f64) -> Option<Bounds> {
        match self.0.as_slice() {
            [] => Some(Bounds { lower: 0.0, upper: 0.0 }),
            [(Leaf::Gaussian { rate, sigma }, times)] if *rate >= 1.0 => {
                let at = |side| exact::gaussian_delta((*times as f64).sqrt() / sigma, epsilon, side).max(0.0);
                Some(Bounds { lower: at(Side::Lower), upper: at(Side::Upper) })
            }
            _ => self.refined(Ask::Delta { epsilon }),
        }
    }

    /// Bounds on finer and finer lattices until they are close, for at most five rounds.
    fn refined(&self, ask: Ask) -> Option<Bounds> {
        let mut fineness = (8.0 * GAP * 0.5).sqrt();
        let mut best: Option<Bounds> = None;
        for _ in 0..5 {
            let Some(found) = self.on_lattice(fineness, ask) else {
                if best.is_some() {
                    break;
                }
                fineness *= 8.0;
                continue;
            };
            let found = best.map_or(found, |best| Bounds {
                lower: best.lower.max(found.lower),
                upper: best.upper.min(found.upper),
            });
            best = Some(found);
            if found.upper - found.lower <= GAP * found.upper || !found.upper.is_finite() {
                break;
            }
            fineness *= 0.5;
        }
        best
    }

    fn on_lattice(&self, fineness: f64, ask: Ask) -> Option<Bounds> {
        let times: f64 = self.0.iter().map(|(_, times)| *times as f64).sum();
        let variance: f64 = self.0.iter().map(|(leaf, times)| *times as f64 * leaf.variance()).sum();
        let width = fineness * (variance / times).sqrt();
        // Of the events that have a knot the one that happens most often gets it.
        let knot =
            self.0.iter().filter_map(|(leaf, times)| Some((leaf.knot()?, *times))).max_by_key(|(_, times)| *times);
        let width = knot.map_or(width, |(loss, _)| atoms::aligned(loss, width));
        if width.is_nan() || width <= 1e-12 {
            return None;
        }
        let tail = match ask {
            Ask::Epsilon { delta } => 1e-4 * delta / times,
            Ask::Delta { .. } => 1e-18 / times,
        };
        let laid = |side| -> Vec<[Losses; 2]> {
            self.0.iter().map(|(leaf, _)| leaf.losses(width, tail, 0.3 * fineness, side)).collect()
        };
        let answer = |laid: &[[Losses; 2]], direction: usize, side, near| {
            let parts: Vec<_> =
                std::iter::zip(laid, &self.0).map(|(losses, (_, times))| (&losses[direction], *times)).collect();
            match ask {
                Ask::Epsilon { delta } => Some(fourier::epsilon(&parts, side, delta, near)?.epsilon),
                Ask::Delta { epsilon } => fourier::delta(&parts, side, epsilon),
            }
        };
        let upper = laid(Side::Upper);
        let upper = answer(&upper, 0, Side::Upper, None)?.max(answer(&upper, 1, Side::Upper, None)?);
        let lower = answer(&laid(Side::Lower), 0, Side::Lower, Some(upper))?;
        Some(Bounds { lower, upper })
    }
}
