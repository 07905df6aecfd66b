//! Compositions of events: ε and δ from both sides, on finer and finer lattices.

use libm::{expm1, log1p};

use super::gaussian::Knots;
use super::leaf::{Laid, Lattice, Leaf, Question};
use super::losses::{Part, Side};
use super::nested::Grid;
use super::{atoms, exact, fourier, moments};
use crate::{Bounds, rdp};

/// Rounds of refinement; each makes the lattice at most four times finer.
const ROUNDS: usize = 6;

/// Nested lattices that are tried one after the other, above and below: width in standard deviations, knots of an octave,
/// index up to which every multiple of the width is a knot. Below, more is lost far out.
const NESTED: [[(f64, i64, i64); 2]; 3] =
    [[(0.05, 64, 512), (0.05, 128, 512)], [(0.03, 64, 1024), (0.05, 256, 512)], [(0.03, 128, 1024), (0.03, 512, 1024)]];

/// A gap of nested lattices past which one long lattice is tried too, whatever it takes.
const ROUGH: f64 = 0.03;

/// Events and how often each happens.
#[derive(Clone, Debug)]
pub(crate) struct Composition(Vec<(Leaf, u64)>);

/// A question: ε at a δ, or δ at an ε.
#[derive(Clone, Copy)]
enum Ask {
    Epsilon { delta: f64 },
    Delta { epsilon: f64 },
}

/// Lattice width in standard deviations of one event's loss, and the knots' relative spacing further out.
#[derive(Clone, Copy)]
struct Fineness {
    width: f64,
    spread: f64,
}

/// The bounds that both sides leave.
fn closest(one: Option<Bounds>, other: Option<Bounds>) -> Option<Bounds> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(Bounds { lower: one.lower.max(other.lower), upper: one.upper.min(other.upper) })
        }
        (one, other) => one.or(other),
    }
}

impl Composition {
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

    /// Bounds on ε at `delta`, no further apart than `gap` of the upper one where that can be had; the Rényi bound where
    /// it is lower, or where no lattice reaches.
    pub(crate) fn epsilon(&self, delta: f64, gap: f64) -> Option<Bounds> {
        match self.0.as_slice() {
            [] => return Some(Bounds { lower: 0.0, upper: 0.0 }),
            [(Leaf::Gaussian { rate, sigma }, times)] if *rate >= 1.0 => {
                return Some(exact::gaussian((*times as f64).sqrt() / sigma, delta));
            }
            _ if self.is_free(delta) => return Some(Bounds { lower: 0.0, upper: 0.0 }),
            _ => {}
        }
        let found = self.closest_of(delta, gap);
        match found {
            Some(bounds) if bounds.gap() <= gap => Some(bounds),
            _ => {
                let upper = self.renyi_epsilon(delta).min(found.map_or(f64::INFINITY, |bounds| bounds.upper));
                (found.is_some() || upper.is_finite())
                    .then(|| Bounds { lower: found.map_or(0.0, |bounds| bounds.lower), upper })
            }
        }
    }

    /// Whether `delta` pays for all at ε = 0: the total variation of events in a row is at most `1 - Π (1 - t)`, as they can be
    /// drawn alike with probability `1 - t` each.
    fn is_free(&self, delta: f64) -> bool {
        if let [(leaf, 1)] = self.0.as_slice() {
            return leaf.total_variation() <= delta;
        }
        let alike: f64 = self.0.iter().map(|(leaf, times)| *times as f64 * log1p(-leaf.total_variation())).sum();
        -expm1(alike) * (1.0 + 1e-13) <= delta
    }

    /// Bounds by what is likely to give them soonest, until they are close.
    fn closest_of(&self, delta: f64, gap: f64) -> Option<Bounds> {
        let one_lattice = || {
            let found = self.refined(Ask::Epsilon { delta }, gap);
            // A lattice as coarse as a wide gap allows may hold too little of rare losses to say anything.
            let helpless = found.is_none_or(|bounds| !bounds.upper.is_finite()) && gap > 0.01;
            if helpless { closest(found, self.refined(Ask::Epsilon { delta }, 0.01)) } else { found }
        };
        let near = |found: Option<Bounds>, gap| found.is_some_and(|bounds| bounds.gap() <= gap);
        let short = self.is_short(delta, gap);
        let mut found = if short { one_lattice() } else { None };
        if !near(found, gap) {
            found = closest(found, self.moments(delta, gap));
        }
        if near(found, gap) {
            return found;
        }
        let nested = self.nested(delta, gap);
        found = closest(found, nested);
        if !short && !near(found, gap) && !near(nested, ROUGH) {
            found = closest(found, one_lattice());
        }
        if near(found, gap.max(ROUGH)) { found } else { closest(found, self.moments(delta, 1.0)) }
    }

    /// Bounds by the moments of the losses alone; none for what is not one subsampled Gaussian again and again, or where the
    /// sum is not long enough for them to be close.
    fn moments(&self, delta: f64, gap: f64) -> Option<Bounds> {
        let [(leaf, times)] = self.0.as_slice() else { return None };
        let lower = moments::lower(&leaf.merged()?, *times, delta);
        // Chernoff's bound lies some five to eight standard deviations above the mean.
        if lower * gap < 4.0 * (*times as f64).sqrt() * leaf.deviation() {
            return None;
        }
        let ask = Ask::Epsilon { delta };
        // As no transform follows, and what is lost of long losses is a part of their spacing.
        let fineness = Fineness { width: 0.01, spread: 0.003 };
        let laid = leaf.losses(self.lattice(fineness, ask, None)?, Side::Upper);
        let add = laid.add.as_ref().map_or(0.0, |add| moments::upper(&[(add, *times)], delta));
        Some(Bounds { lower, upper: moments::upper(&[(&laid.remove, *times)], delta).max(add) })
    }

    /// Whether one lattice for the whole sum is short enough to be tried first, or asked for more than nested ones give.
    fn is_short(&self, delta: f64, gap: f64) -> bool {
        let longest = self.highest(self.tail(Ask::Epsilon { delta }, None)) / self.deviation();
        let steps = self.times().sqrt() * 16.0;
        gap < 5e-3 || longest.max(steps) / (8.0 * gap * 0.5).sqrt() < 32768.0
    }

    /// Bounds by nested lattices, finer and finer until they are close; none for what is not one subsampled Gaussian again
    /// and again, or where the sum outgrows them.
    fn nested(&self, delta: f64, gap: f64) -> Option<Bounds> {
        let [(leaf, times)] = self.0.as_slice() else { return None };
        if !matches!(leaf, Leaf::Gaussian { rate, .. } | Leaf::Swapped { rate, .. } if *rate < 1.0) {
            return None;
        }
        let deviation = leaf.deviation();
        let tail = 1e-4 * delta / *times as f64;
        let spread = (*times as f64).sqrt() * deviation;
        let cap = 2.5 * leaf.highest(tail) + 14.0 * spread + spread * spread;
        let on = |side, (fineness, octave, reach): (f64, i64, i64)| {
            let width = fineness * deviation;
            // Spacings far out are a part of the distance from 0, and no more than one of `cap`.
            let top = (cap / 1536.0 / width).log2().max(8.0) as u32;
            let lattice = Lattice { width, tail, knots: Knots::Nested(Grid { octave, reach, top }) };
            leaf.sum(lattice, side, *times, Question { fineness, cap, delta })
        };
        let mut best: Option<Bounds> = None;
        for [above, below] in NESTED {
            let upper = on(Side::Upper, above)?;
            let lower = on(Side::Lower, below)?;
            best = closest(best, Some(Bounds { lower, upper }));
            if best.is_some_and(|bounds| bounds.gap() <= gap) {
                break;
            }
        }
        best
    }

    /// The upper bound on ε alone, on the lattice that `epsilon` tries first; infinite where nothing is known.
    pub(crate) fn upper(&self, delta: f64, gap: f64) -> f64 {
        match self.0.as_slice() {
            [] => return 0.0,
            [(Leaf::Gaussian { rate, sigma }, times)] if *rate >= 1.0 => {
                return exact::gaussian((*times as f64).sqrt() / sigma, delta).upper;
            }
            _ if self.is_free(delta) => return 0.0,
            _ => {}
        }
        if !self.is_short(delta, gap) {
            return self.epsilon(delta, gap).map_or(f64::INFINITY, |bounds| bounds.upper);
        }
        match self.first_upper(Ask::Epsilon { delta }, gap) {
            Some(upper) if upper.is_finite() => upper,
            _ => self.epsilon(delta, gap).map_or(f64::INFINITY, |bounds| bounds.upper),
        }
    }

    pub(crate) fn renyi_divergence(&self, alpha: f64) -> f64 {
        self.0.iter().map(|(leaf, times)| *times as f64 * leaf.divergence(alpha)).sum()
    }

    pub(crate) fn renyi_epsilon(&self, delta: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        rdp::least(rdp::orders(), delta, |alpha| self.renyi_divergence(alpha))
    }

    pub(crate) fn delta(&self, epsilon: f64, gap: f64) -> Option<Bounds> {
        match self.0.as_slice() {
            [] => Some(Bounds { lower: 0.0, upper: 0.0 }),
            [(Leaf::Gaussian { rate, sigma }, times)] if *rate >= 1.0 => {
                let at = |side| exact::gaussian_delta((*times as f64).sqrt() / sigma, epsilon, side).max(0.0);
                Some(Bounds { lower: at(Side::Lower), upper: at(Side::Upper) })
            }
            _ => self.refined(Ask::Delta { epsilon }, gap),
        }
    }

    /// Bounds on finer and finer lattices until they are close.
    ///
    /// Where the dominating pair of an event is not known to be attained, the lattice is refined until the bounds of the
    /// attained pairs are close; the upper bound is then that of the dominating pairs on that lattice.
    fn refined(&self, ask: Ask, gap: f64) -> Option<Bounds> {
        if self.0.iter().any(|(leaf, _)| leaf.attained().is_some()) {
            let attained = |(leaf, times): &(Leaf, u64)| (leaf.attained().unwrap_or_else(|| leaf.clone()), *times);
            let (lower, lattice) = Self(self.0.iter().map(attained).collect()).between(ask, gap)?;
            let upper = self.answer(lattice, Side::Upper, ask, None)?.value;
            let first = self.first_upper(ask, gap).unwrap_or(f64::INFINITY);
            return Some(Bounds { lower: lower.lower, upper: upper.min(first) });
        }
        Some(self.between(ask, gap)?.0)
    }

    /// The upper bound on the lattice that is tried first.
    fn first_upper(&self, ask: Ask, gap: f64) -> Option<f64> {
        let lattice = self.lattice(self.start(ask, gap), ask, None)?;
        Some(self.answer(lattice, Side::Upper, ask, None)?.value)
    }

    fn between(&self, ask: Ask, gap: f64) -> Option<(Bounds, Lattice)> {
        let mut fineness = self.start(ask, gap);
        let mut best: Option<(Bounds, Lattice)> = None;
        for _ in 0..ROUNDS {
            let lattice = self.lattice(fineness, ask, best.map(|best| best.0.upper));
            let found = lattice.and_then(|lattice| Some((self.both(lattice, ask)?, lattice)));
            let Some(((found, points), lattice)) = found else {
                if best.is_some() {
                    break;
                }
                fineness.width *= 8.0;
                continue;
            };
            let found = best.map_or(found, |(best, _)| Bounds {
                lower: best.lower.max(found.lower),
                upper: best.upper.min(found.upper),
            });
            best = Some((found, lattice));
            let reached = found.gap();
            if reached <= gap || !found.upper.is_finite() || points > fourier::ENOUGH {
                break;
            }
            let finer = (0.6 * gap / reached).sqrt().clamp(0.25, 0.8);
            fineness = Fineness { width: fineness.width * finer, spread: fineness.spread * finer };
        }
        best
    }

    fn times(&self) -> f64 {
        self.0.iter().map(|(_, times)| *times as f64).sum()
    }

    /// Root mean square of the events' standard deviations.
    fn deviation(&self) -> f64 {
        let variance: f64 = self.0.iter().map(|(leaf, times)| *times as f64 * leaf.deviation().powi(2)).sum();
        (variance / self.times()).sqrt()
    }

    fn highest(&self, tail: f64) -> f64 {
        self.0.iter().map(|(leaf, _)| leaf.highest(tail)).fold(0.0, f64::max)
    }

    /// The lattice to begin with.
    ///
    /// The dots add `width²/6` to a step's variance and merging takes `width²/12` away, so the bounds lie `width²/8`
    /// apart, relative; half the gap is left for the rest. Where the loss has a tail so long that its lattice would have
    /// more than 2^15 points, ε is likely to lie in the tail, and the lattice starts coarser.
    fn start(&self, ask: Ask, gap: f64) -> Fineness {
        let longest = self.highest(self.tail(ask, None)) / self.deviation();
        let fineness = (8.0 * gap * 0.5).sqrt();
        Fineness { width: fineness.max(longest / 32768.0), spread: 0.3 * fineness }
    }

    /// Mass of one event that may be moved to infinity; `known` is an upper bound on the answer, if there is one.
    fn tail(&self, ask: Ask, known: Option<f64>) -> f64 {
        match (ask, known) {
            (Ask::Epsilon { delta }, _) => 1e-4 * delta / self.times(),
            (Ask::Delta { .. }, Some(delta)) => 1e-4 * delta.max(1e-100) / self.times(),
            (Ask::Delta { .. }, None) => 1e-18 / self.times(),
        }
    }

    /// None where a lattice of that fineness is too long or its width lost in rounding.
    fn lattice(&self, fineness: Fineness, ask: Ask, known: Option<f64>) -> Option<Lattice> {
        let width = fineness.width * self.deviation();
        // Of the events that have a knot the one that happens most often gets it.
        let knot =
            self.0.iter().filter_map(|(leaf, times)| Some((leaf.knot()?, *times))).max_by_key(|(_, times)| *times);
        let width = knot.map_or(width, |(loss, _)| atoms::aligned(loss, width));
        let tail = self.tail(ask, known);
        // A loss alone that is longer than the longest transform does not fit, nor does memory grow with it.
        let fits = width > 1e-14 && self.highest(tail) / width < 2.0 * fourier::LONGEST as f64;
        fits.then_some(Lattice { width, tail, knots: Knots::Spread(fineness.spread) })
    }

    fn both(&self, lattice: Lattice, ask: Ask) -> Option<(Bounds, usize)> {
        let upper = self.answer(lattice, Side::Upper, ask, None)?.value;
        let lower = self.answer(lattice, Side::Lower, ask, Some(upper))?;
        Some((Bounds { lower: lower.value, upper }, lower.points))
    }

    /// The answer from one side: the larger of both directions, if they differ.
    fn answer(&self, lattice: Lattice, side: Side, ask: Ask, near: Option<f64>) -> Option<fourier::Found> {
        let laid: Vec<Laid> = self.0.iter().map(|(leaf, _)| leaf.losses(lattice, side)).collect();
        let answer = |parts: Vec<Part<'_>>| match ask {
            Ask::Epsilon { delta } => fourier::epsilon(&parts, side, delta, near),
            Ask::Delta { epsilon } => fourier::delta(&parts, side, epsilon, near),
        };
        let counted = || std::iter::zip(&laid, self.0.iter().map(|(_, times)| *times));
        let remove = answer(counted().map(|(laid, times)| (&laid.remove, times)).collect())?;
        if laid.iter().all(|laid| laid.add.is_none()) {
            return Some(remove);
        }
        let add = answer(counted().map(|(laid, times)| (laid.add.as_ref().unwrap_or(&laid.remove), times)).collect())?;
        Some(fourier::Found { value: remove.value.max(add.value), points: remove.points.max(add.points) })
    }
}
