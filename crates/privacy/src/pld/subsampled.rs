//! ε of repeated subsampled Gaussians, from both sides.

use super::{Cells, Composed, Side, exact};
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
        let mut fineness = fineness(gap);
        let mut best: Option<Bounds> = None;
        for _ in 0..5 {
            let Some(found) = self.between(fineness) else { break };
            let found = best.map_or(found, |best| Bounds {
                lower: best.lower.max(found.lower),
                upper: best.upper.min(found.upper),
            });
            best = Some(found);
            let reached = (found.upper - found.lower) / found.upper;
            if reached <= gap || !reached.is_finite() {
                break;
            }
            fineness *= (0.6 * gap / reached).sqrt().clamp(0.25, 0.8);
        }
        best
    }

    /// The upper bound alone, on the lattice that `epsilon` tries first.
    pub(crate) fn upper(&self, gap: f64) -> Option<f64> {
        if self.rate >= 1.0 {
            return Some(self.unsampled().upper);
        }
        self.upper_on(&self.cells(fineness(gap)))
    }

    fn unsampled(&self) -> Bounds {
        exact::gaussian((self.steps as f64).sqrt() / self.sigma, self.delta)
    }

    fn cells(&self, fineness: f64) -> Cells {
        Cells {
            rate: self.rate,
            sigma: self.sigma,
            width: Cells::deviation(self.rate, self.sigma) * fineness,
            tail: 1e-4 * self.delta / self.steps as f64,
            spread: 0.3 * fineness,
        }
    }

    fn between(&self, fineness: f64) -> Option<Bounds> {
        let cells = self.cells(fineness);
        let upper = self.upper_on(&cells)?;
        let lower = Composed::new(&[(&cells.lower(), self.steps)], Side::Lower, self.delta)?.epsilon(self.delta);
        Some(Bounds { lower, upper })
    }

    fn upper_on(&self, cells: &Cells) -> Option<f64> {
        let directions = cells.upper();
        let epsilon = |losses| Some(Composed::new(&[(losses, self.steps)], Side::Upper, self.delta)?.epsilon(self.delta));
        Some(f64::max(epsilon(&directions.remove)?, epsilon(&directions.add)?))
    }
}

/// Lattice width in standard deviations of the loss. The dots add `width²/6` to a step's variance and merging takes
/// `width²/12` away, so the bounds lie `width²/8` apart, relative; half the gap is left for the rest.
fn fineness(gap: f64) -> f64 {
    (8.0 * gap * 0.5).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "prints"]
    fn show() {
        let mut times = vec![];
        let mut worst: f64 = 0.0;
        for rate in [1e-7, 1e-5, 1e-3, 0.1, 0.5, 0.999, 1.0] {
            for sigma in [0.05, 0.2, 0.5, 1.0, 3.0, 20.0, 1000.0] {
                for steps in [1, 30, 3000, 1_000_000, 10_000_000] {
                    for delta in [1e-3, 1e-6, 1e-10, 1e-15] {
                        let start = std::time::Instant::now();
                        let found = Repeated { rate, sigma, steps, delta }.epsilon(0.01);
                        let ms = start.elapsed().as_secs_f64() * 1e3;
                        times.push(ms);
                        let rdp = crate::rdp::subsampled_gaussian(rate, sigma, steps, delta);
                        if rdp > 100.0 && found.is_none_or(|b| b.upper > 100.0) {
                            continue;
                        }
                        let ok = found.is_some_and(|b| b.lower <= b.upper && b.lower <= rdp);
                        let gap = found.map_or(9.0, |b| (b.upper - b.lower) / b.upper);
                        worst = worst.max(ms);
                        if !ok || ms > 100.0 || gap > 0.01 || found.unwrap().upper > rdp {
                            println!("{rate:e} {sigma} {steps} {delta:e}: {found:?} rdp {rdp} gap {gap:.4} {ms:.2} ms");
                        }
                    }
                }
            }
        }
        times.sort_by(f64::total_cmp);
        println!("median {} p90 {} worst {worst} n {}", times[times.len() / 2], times[times.len() * 9 / 10], times.len());
    }
}
