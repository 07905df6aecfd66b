//! Losses of the Gaussian on a Poisson sample when a row is replaced by another.
//!
//! `P = (1-q) N(0, σ²) + q N(1, σ²)`, `Q = (1-q) N(0, σ²) + q N(-1, σ²)`: mirror images of each other, so outputs below 0
//! have the losses of those above 0 with the other sign. With `D = N(1) - N(-1)`, `P = Q + q D`, and all is worked out
//! in `d = dD/dQ = (exp(loss) - 1)/q`, where nothing cancels however small `q` is.

use libm::{asinh, exp, expm1, log, log1p, sinh, sqrt};

use super::gaussian::{Cells, MERGED, farthest};
use super::losses::Losses;
use super::tails::{Cell, Tail, ULPS};

/// A boundary between cells of outputs.
#[derive(Clone, Copy)]
struct Cut {
    x: f64,
    minus: Tail,
    zero: Tail,
    plus: Tail,
}

/// From which side a cell's ratio comes near the lattice.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Below,
    Above,
}

impl Cells {
    /// The output at which the loss is `loss >= 0`.
    ///
    /// `exp(loss) = (1-q + q z w)/(1-q + q z/w)`, with `z = exp(-1/2σ²)` and `w = exp(x/σ²)`, is quadratic in `w`.
    fn output(&self, loss: f64) -> f64 {
        let peak = self.rate * exp(-0.5 / (self.sigma * self.sigma));
        self.sigma * self.sigma * (loss / 2.0 + asinh((1.0 - self.rate) * sinh(loss / 2.0) / peak))
    }

    fn cut_at(&self, x: f64) -> Cut {
        // The output is good to some 8 ulps.
        let slack = 16.0 * f64::EPSILON * (x + 1.0) / self.sigma;
        let tail = |mean: f64| Tail::near((x - mean) / self.sigma, slack);
        Cut { x, minus: tail(-1.0), zero: tail(0.0), plus: tail(1.0) }
    }

    /// Mass of a cell under `Q` and `D`.
    fn cell(&self, below: Cut, above: Option<Cut>) -> Cell {
        let end = Cut { x: f64::INFINITY, minus: Tail::RIGHT_END, zero: Tail::RIGHT_END, plus: Tail::RIGHT_END };
        let above = above.unwrap_or(end);
        let (minus, zero, plus) = (below.minus.to(above.minus), below.zero.to(above.zero), below.plus.to(above.plus));
        let mass = (1.0 - self.rate) * zero.0 + self.rate * minus.0;
        Cell {
            zero: mass,
            zero_error: (1.0 - self.rate) * zero.1 + self.rate * minus.1 + 2.0 * ULPS * mass,
            one: plus.0 - minus.0,
            one_error: plus.1 + minus.1 + ULPS * plus.0,
        }
    }

    /// `dD/dQ` at `x`, and the density of `Q` there.
    fn excess_at(&self, x: f64) -> (f64, f64) {
        let variance = self.sigma * self.sigma;
        let peak = exp(-0.5 / variance);
        let mixed = 1.0 - self.rate + self.rate * peak * exp(-x / variance);
        let density = exp(-x * x / (2.0 * variance)) / (self.sigma * std::f64::consts::TAU.sqrt());
        (2.0 * peak * sinh((x / variance).min(700.0)) / mixed, density * mixed)
    }

    /// The output above which `N(1)` has at most the mass `tail / rate`, and the loss there.
    fn last_swapped(&self) -> (f64, f64) {
        let x = 1.0 + self.sigma * sqrt(2.0 * log(self.rate / self.tail).max(1.0));
        (x, log1p(self.rate * self.excess_at(x).0))
    }

    /// Loss above which there is next to no mass.
    pub(crate) fn highest_swapped(&self) -> f64 {
        self.last_swapped().1
    }

    /// Standard deviation of the loss under `P`, by a sum over 80 points: it only steers the lattice.
    pub(crate) fn deviation_swapped(rate: f64, sigma: f64) -> f64 {
        let variance = sigma * sigma;
        let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
        let (low, high) = (-6.0 * sigma, 6.0 * sigma + 1.0);
        for point in 0..80 {
            let x: f64 = low + (high - low) * f64::from(point) / 79.0;
            let (plus, minus) = (exp((x - 0.5) / variance), exp((-x - 0.5) / variance));
            let weight = exp(-x * x / (2.0 * variance)) * (1.0 - rate + rate * plus);
            let loss = log1p(rate * (plus - minus) / (1.0 - rate + rate * minus));
            total += weight;
            first += weight * loss;
            second += weight * loss * loss;
        }
        sqrt((second / total - (first / total).powi(2)).max(0.0))
    }

    /// Dominating losses by connecting the dots, as [`upper`](Self::upper).
    pub(crate) fn upper_swapped(&self) -> Losses {
        let highest = self.highest_swapped();
        let (mut index, mut carried, mut below) = (0, 0.0, self.cut_at(0.0));
        let mut masses = Vec::new();
        let excess = |loss: f64| expm1(loss) / self.rate;
        loop {
            let next = self.after(index);
            let loss = next as f64 * self.width;
            let above = self.cut_at(self.output(loss));
            let cell = self.cell(below, Some(above));
            let (to_below, to_above) = cell.split(excess(index as f64 * self.width), excess(loss), loss);
            masses.push((index, carried + to_below));
            carried = to_above;
            (index, below) = (next, above);
            if loss > highest {
                break;
            }
        }
        let (rest, last) = (self.cell(below, None), excess(index as f64 * self.width));
        masses.push((index, carried + rest.zero + rest.zero_error));
        let infinite = (rest.one - last * rest.zero).max(0.0) + rest.one_error + last * rest.zero_error;
        self.mirrored(&masses, 0.0, self.rate * infinite)
    }

    /// Dominated losses on no lattice, as [`cells_alone`](Self::cells_alone): outputs above 0, and those below, their mirror images.
    pub(crate) fn cells_alone_swapped(&self) -> Vec<(f64, f64)> {
        let reach = 1.0 + 9.0 * self.sigma;
        let ends = (0..=MERGED).map(|at| Some(self.cut_at(reach * f64::from(at) / f64::from(MERGED))));
        let ends: Vec<_> = ends.chain([None]).collect();
        let mut atoms = Vec::new();
        for pair in ends.windows(2) {
            let (Some(below), above) = (pair[0], pair[1]) else { continue };
            let cell = self.cell(below, above);
            let (low, high) = (cell.zero - cell.zero_error, cell.zero + cell.zero_error);
            let gain = self.rate * (cell.one - cell.one_error);
            // Under `P`: as much more than under `Q`; of the mirror image the two change places.
            let (under_p, under_q) = (low + gain, low);
            let most = high + self.rate * (cell.one + cell.one_error);
            if under_q > 0.0 && under_p > 0.0 {
                let error = 16.0 * f64::EPSILON;
                let loss = log(under_p / high);
                atoms.push((loss - error * (1.0 + loss.abs()), under_p * (1.0 - error)));
                let loss = log(under_q / most);
                atoms.push((loss - error * (1.0 + loss.abs()), under_q * (1.0 - error)));
            }
        }
        atoms
    }

    /// Dominated losses, as [`lower`](Self::lower): outputs with losses within `width / 2` of 0 are merged to one of loss
    /// 0, those above into cells whose losses lie on the lattice, and those below into others.
    ///
    /// A cell's ratio is solved for to some accuracy only: from above for the cells above 0, and for the mirror images
    /// of those below 0, whose ratios are one over theirs, from below.
    pub(crate) fn lower_swapped(&self) -> Losses {
        let middle = self.cut_at(self.output(self.width / 2.0));
        let Cut { zero, plus, minus, .. } = middle;
        let zero = (1.0 - 2.0 * zero.mass, 2.0 * zero.error);
        let one =
            if plus.right { (1.0 - plus.mass - minus.mass, plus.error) } else { (plus.mass - minus.mass, plus.error) };
        let inside = (1.0 - self.rate) * (zero.0 - zero.1) + self.rate * (one.0 - one.1 - minus.error) - 8.0 * ULPS;
        let below = self.merged(middle, From::Below).into_iter().rev().map(|(index, mass)| (-index, mass));
        let mut atoms: Vec<_> = below.chain([(0, inside.max(0.0))]).collect();
        for (index, mass) in self.merged(middle, From::Above) {
            let loss = index as f64 * self.width;
            atoms.push((index, mass * exp(loss) * (1.0 - ULPS * (64.0 + loss.abs()))));
        }
        self.losses(0.0, atoms, 0.0)
    }

    /// The cells above `below`: index of the loss, and mass under `Q` from below.
    fn merged(&self, mut below: Cut, from: From) -> Vec<(i64, f64)> {
        let last = self.last_swapped().0;
        let (mut index, mut atoms) = (0, Vec::new());
        while below.x < last {
            let loss = log1p(self.rate * self.excess_at(below.x).0);
            // As in `lower`: far enough above the lower end for the cell to have some width.
            let next = ((loss / self.width + 0.3).ceil() as i64).max(index + 1);
            let (next, far) = self.candidates(next, index);
            let end = |index: i64| Some((index, self.end_of(below, index as f64 * self.width, from)?));
            let Some((at, above)) = farthest(next, far, end) else {
                let rest = self.cell(below, None);
                let ratio = (rest.one - rest.one_error) / (rest.zero + rest.zero_error);
                let knot = (log1p(self.rate * ratio) / self.width).floor() as i64;
                if from == From::Above && knot > index {
                    atoms.push((knot, (rest.zero - rest.zero_error).max(0.0)));
                }
                break;
            };
            let cell = self.cell(below, Some(above));
            atoms.push((at, (cell.zero - cell.zero_error).max(0.0)));
            (index, below) = (at, above);
        }
        atoms
    }

    /// The cut above `below` up to which the cell's loss is `loss`, or a little to the asked side of it; none when the
    /// rest of the line does not reach it.
    fn end_of(&self, below: Cut, loss: f64, from: From) -> Option<Cut> {
        let target = expm1(loss) / self.rate;
        let rest = self.cell(below, None);
        if rest.one - rest.one_error <= target * (rest.zero + rest.zero_error) {
            return None;
        }
        let sign = if from == From::Above { 1.0 } else { -1.0 };
        let least = self.output(loss);
        let mut x = (2.0 * least - below.x).max(least * (1.0 + 1e-12));
        for _ in 0..60 {
            let cut = self.cut_at(x);
            let cell = self.cell(below, Some(cut));
            let (excess, density) = self.excess_at(x);
            let (found, error) = (cell.one - target * cell.zero, cell.one_error + target * cell.zero_error);
            let slack = (excess - target) * cell.zero;
            if sign * found >= error && sign * found <= 1e-7 * slack + 4.0 * error {
                return Some(cut);
            }
            let aim = sign * (2.0 * error + 2e-8 * slack);
            x = (x - (found - aim) / ((excess - target) * density)).max(f64::midpoint(least, x));
        }
        None
    }
}
