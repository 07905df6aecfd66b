//! ε of repeated subsampled Gaussians, from both sides.

use super::gaussian::Cells;
use super::losses::Side;
use super::{exact, fourier};
use crate::Bounds;

/// `steps` Poisson-subsampled Gaussians under add-or-remove-one, asked about at `delta`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeated {
    pub(crate) rate: f64,
    pub(crate) sigma: f64,
    pub(crate) steps: u64,
    pub(crate) delta: f64,
}

impl Repeated {
    /// Bounds on ε no further apart than `gap` of the upper one where that can be had; none where the composition is
    /// out of reach.
    pub(crate) fn epsilon(&self, gap: f64) -> Option<Bounds> {
        if self.rate >= 1.0 {
            return Some(self.unsampled());
        }
        let (mut fineness, mut spread) = self.start(gap);
        let mut best: Option<Bounds> = None;
        for _ in 0..4 {
            let Some((found, points)) = self.between(&self.cells(fineness, spread)) else {
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
            let reached = (found.upper - found.lower) / found.upper;
            if reached <= gap || !reached.is_finite() || points > fourier::ENOUGH {
                break;
            }
            let finer = (0.6 * gap / reached).sqrt().clamp(0.25, 0.8);
            (fineness, spread) = (fineness * finer, spread * finer);
        }
        best
    }

    /// The upper bound alone, on the lattice that `epsilon` tries first.
    pub(crate) fn upper(&self, gap: f64) -> Option<f64> {
        if self.rate >= 1.0 {
            return Some(self.unsampled().upper);
        }
        let (fineness, spread) = self.start(gap);
        let cells = self.cells(fineness, spread);
        if cells.width > 1e-14 { self.upper_on(&cells) } else { None }
    }

    fn unsampled(&self) -> Bounds {
        exact::gaussian((self.steps as f64).sqrt() / self.sigma, self.delta)
    }

    fn cells(&self, fineness: f64, spread: f64) -> Cells {
        Cells {
            rate: self.rate,
            sigma: self.sigma,
            width: Cells::deviation(self.rate, self.sigma) * fineness,
            tail: 1e-4 * self.delta / self.steps as f64,
            spread,
        }
    }

    fn between(&self, cells: &Cells) -> Option<(Bounds, usize)> {
        if !(cells.width > 1e-14 && cells.highest() / cells.width < 1e7) {
            return None;
        }
        let upper = self.upper_on(cells)?;
        let lower = fourier::epsilon(&[(&cells.lower(), self.steps)], Side::Lower, self.delta, Some(upper))?;
        Some((Bounds { lower: lower.epsilon, upper }, lower.points))
    }

    fn upper_on(&self, cells: &Cells) -> Option<f64> {
        let directions = cells.upper();
        let epsilon = |losses| Some(fourier::epsilon(&[(losses, self.steps)], Side::Upper, self.delta, None)?.epsilon);
        Some(f64::max(epsilon(&directions.remove)?, epsilon(&directions.add)?))
    }

    /// Lattice width to begin with, in standard deviations of the loss, and the knots' relative spacing further out.
    ///
    /// The dots add `width²/6` to a step's variance and merging takes `width²/12` away, so the bounds lie `width²/8`
    /// apart, relative; half the gap is left for the rest. Where the loss has a tail so long that its lattice would have
    /// more than 2^15 points, ε is likely to lie in the tail, and the lattice starts coarser.
    fn start(&self, gap: f64) -> (f64, f64) {
        let longest = self.cells(1.0, 1.0).highest() / Cells::deviation(self.rate, self.sigma);
        let fineness = (8.0 * gap * 0.5).sqrt();
        (fineness.max(longest / 32768.0), 0.3 * fineness)
    }
}
