//! Losses on nested lattices, fine near 0 and coarse far out, and their sums by doubling.
//!
//! The knots are the multiples of a width up to an index `reach`, and of `2^r` widths from `H 2^r` to `2 H 2^r`: finer in
//! the middle, where the sum of many losses lies, than a lattice that must hold the largest single loss can be. The sum of
//! `n` losses is worked out by squaring and multiplying; as the sum spreads, the width doubles.
//!
//! # Why the bounds hold
//!
//! All is about `h(x) = infinite + Σ mass (1 - x exp(-loss))+` (see [`Losses`]).
//!
//! - A mass at a knot that the coarser lattice has not is split between the two beside it so that the mass under `P` and
//!   under `Q` stay (above: `h` is convex in `exp(-loss)`), or merged with others to a loss that lies on a knot (below: a
//!   post-processing; `Row::coarser`). What finds no partner goes to the knot beneath.
//! - A mass moved to a higher loss, or to infinity, only adds to `h`; one moved to a lower loss, or left out, only takes
//!   away. So the ends of the lattice are cut.
//! - Replacing one factor of a convolution by one with a larger `h` makes the whole larger, for all masses are positive.
//! - Nothing is subtracted in a convolution: masses keep their relative accuracy, however small. A sum of `N` products is
//!   off by a relative `N + 2` ulps (Higham 2002, section 3.1); squaring doubles what there was before. `error` counts
//!   this, and the whole of it is added above, subtracted below.

use super::losses::{Losses, Side};
use super::rows::Row;

mod doubling;

/// Masses below are moved to infinity or left out, so that no product is subnormal.
const LEAST: f64 = 1e-200;

/// Which indices are knots: all below `reach`, from `octave 2^r` on those that are multiples of `2^r`, up to `r = top`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Knots of one octave, a power of two.
    pub(super) octave: i64,
    /// `octave` times a power of two.
    pub(super) reach: i64,
    pub(super) top: u32,
}

impl Grid {
    /// Exponent of the spacing of the knots at an index.
    fn exponent(self, index: i64) -> u32 {
        if index < self.reach { 0 } else { (index / self.octave).ilog2().min(self.top) }
    }

    /// The least exponent of the spacing of knots from `reach` on.
    fn least(self) -> u32 {
        (self.reach / self.octave).ilog2()
    }

    /// The knot after an index; as far apart on the other side of 0.
    pub(super) fn after(self, index: i64) -> i64 {
        let exponent = self.exponent(index.abs());
        ((index >> exponent) + 1) << exponent
    }

    /// The first place of a row that lies on the next one.
    fn end(self, exponent: u32) -> i64 {
        match exponent {
            0 if self.least() > 0 => self.reach,
            exponent if exponent >= self.top => i64::MAX,
            _ => 2 * self.octave,
        }
    }
}

/// Masses of the sum of `times` losses.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    side: Side,
    /// Loss at index 0, and a bound on its error.
    base: f64,
    base_error: f64,
    width: f64,
    /// Index of the first mass in the middle.
    first: i64,
    /// Masses at `first..reach`.
    middle: Vec<f64>,
    grid: Grid,
    /// Masses at `m 2^r`, `m` from `octave` on, for each `r` from that of `reach` on.
    far: Vec<Vec<f64>>,
    /// Those on the other side of 0: at `-m 2^r`.
    below: Vec<Vec<f64>>,
    infinite: f64,
    /// Bound on the relative error of every mass.
    error: f64,
    times: u64,
}

impl Nested {
    /// One event's losses.
    pub(super) fn new(losses: &Losses, side: Side, grid: Grid) -> Self {
        let reach = grid.reach;
        // Index 0 at a loss of 0 or just beneath it.
        let shift = (losses.origin / losses.width).trunc();
        let first = losses.atoms.first().map_or(0, |(index, _)| *index + shift as i64);
        let first = first.clamp(1 - reach, 0);
        let mut nested = Self {
            side,
            base: losses.origin - shift * losses.width,
            base_error: 2.0 * f64::EPSILON * losses.origin.abs(),
            width: losses.width,
            first,
            middle: vec![0.0; (reach - first) as usize],
            grid,
            far: Vec::new(),
            below: Vec::new(),
            infinite: losses.infinite,
            error: 0.0,
            times: 1,
        };
        for (index, mass) in &losses.atoms {
            nested.add(index + shift as i64, *mass);
        }
        nested
    }

    /// Adds a mass at an index; what is no knot goes to the one above, or beneath.
    fn add(&mut self, index: i64, mass: f64) {
        if mass < LEAST {
            self.lose(mass);
            return;
        }
        let reach = self.grid.reach;
        if index > -reach && index < reach {
            if index < self.first {
                self.middle.splice(..0, std::iter::repeat_n(0.0, (self.first - index) as usize));
                self.first = index;
            }
            self.middle[(index - self.first) as usize] += mass;
            return;
        }
        let mut exponent = self.grid.exponent(index.abs());
        let mut place = index >> exponent;
        if self.side == Side::Upper && place << exponent != index {
            place += 1;
            if place == self.grid.end(exponent) {
                (place, exponent) = (self.grid.octave, exponent + 1);
            }
        }
        let (row, at) = ((exponent - self.grid.least()) as usize, (place.abs() - self.grid.octave) as usize);
        let rows = if place > 0 { &mut self.far } else { &mut self.below };
        if rows.len() <= row {
            rows.resize(row + 1, vec![0.0; self.grid.octave as usize]);
        }
        let row = &mut rows[row];
        if row.len() <= at {
            row.resize(at + 1, 0.0);
        }
        row[at] += mass;
    }

    /// The lowest index of the middle.
    fn lowest(&self) -> i64 {
        1 - self.grid.reach
    }

    /// Mass too small to go on with.
    fn lose(&mut self, mass: f64) {
        if self.side == Side::Upper {
            self.infinite += mass;
        }
    }

    /// The knots of a spacing on one side of 0.
    fn row(&self, at: usize) -> Row {
        let octave = self.grid.octave;
        let above = self.far.get(at).map_or_else(Row::default, |masses| Row { first: octave, masses: masses.clone() });
        let Some(below) = self.below.get(at) else { return above };
        let below = Row { first: 1 - octave - below.len() as i64, masses: below.iter().rev().copied().collect() };
        below.plus(&above)
    }

    /// How many spacings there are outside of the middle.
    fn rows(&self) -> usize {
        self.far.len().max(self.below.len())
    }

    /// How many knots hold a mass, or could.
    fn knots(&self) -> usize {
        self.middle.len() + self.far.iter().chain(&self.below).map(Vec::len).sum::<usize>()
    }

    /// All masses.
    fn total(&self) -> f64 {
        let finite: f64 = self.far.iter().chain(&self.below).flatten().chain(&self.middle).sum();
        finite + self.infinite
    }

    fn middle(&self) -> Row {
        Row { first: self.first, masses: self.middle.clone() }
    }

    /// Adds masses at multiples of `2^exponent`; those past the knots of that spacing on wider ones.
    fn put(&mut self, row: Row, exponent: u32) {
        let end = self.grid.end(exponent);
        let inside = |place: i64| place < end && place > end.saturating_neg();
        let (mut past, mut kept) = ([Row::default(), Row::default()], Vec::new());
        for (place, mass) in (row.first..).zip(row.masses).filter(|(_, mass)| *mass > 0.0) {
            if inside(place) {
                kept.push((place << exponent, mass));
            } else {
                past[usize::from(place > 0)].push(place, mass);
            }
        }
        for (index, mass) in kept {
            self.add(index, mass);
        }
        for row in past.into_iter().filter(|row| !row.masses.is_empty()) {
            let row = row.coarser(self.width * f64::from(exponent).exp2(), self.side);
            self.put(row, exponent + 1);
        }
    }

    /// The sum of two independent ones on lattices of one width.
    fn plus(&self, other: &Self, cap: f64) -> Self {
        let reach = self.grid.reach;
        let first = (self.first + other.first).clamp(self.lowest(), 0);
        // Above, all masses may come to a little more than 1.
        let lost = self.infinite * other.total().max(1.0) + other.infinite * self.total().max(1.0);
        let mut sum = Self {
            base: self.base + other.base,
            base_error: self.base_error + other.base_error + f64::EPSILON * (self.base + other.base).abs(),
            first,
            middle: vec![0.0; (reach - first) as usize],
            far: Vec::new(),
            below: Vec::new(),
            // What underflows is less than 1e-290.
            infinite: if self.side == Side::Upper { lost * (1.0 + 4.0 * f64::EPSILON) + 1e-290 } else { 0.0 },
            // No convolution adds up more products than one of both has knots.
            error: self.error + other.error + 2.0 * f64::EPSILON * (self.knots() + other.knots() + 64) as f64,
            times: self.times + other.times,
            ..self.clone()
        };
        sum.put(self.middle().times(&other.middle()), 0);
        let least = self.grid.least();
        let (mut near, mut near_other, mut at) = (self.middle(), other.middle(), 0);
        let rows = self.rows().max(other.rows());
        for exponent in 0..least + rows as u32 {
            if exponent >= least {
                let row = (exponent - least) as usize;
                let (own, others) = (self.row(row), other.row(row));
                if !(own.is_empty() && others.is_empty()) {
                    let product = own.times(&near_other.clone().plus(&others)).plus(&others.times(&near));
                    sum.put(product, exponent);
                }
                near = near.plus(&own);
                near_other = near_other.plus(&others);
            }
            let width = self.width * f64::from(exponent).exp2();
            near = near.coarser(width, self.side);
            near_other = near_other.coarser(width, self.side);
            at += 1;
        }
        // Each coarsening is good to some ulps, once for every octave.
        sum.error += 64.0 * f64::EPSILON * f64::from(at + 1);
        sum.cut(cap);
        sum
    }

    /// Moves what lies above the loss `cap` to infinity, or to the highest knot beneath; what lies under `-cap` to the middle,
    /// or out.
    fn cut(&mut self, cap: f64) {
        let mut cut = 0.0;
        for (exponent, row) in (self.grid.least()..).zip(&mut self.far) {
            let last = (cap / (self.width * f64::from(exponent).exp2())).floor() as i64 - self.grid.octave;
            let kept = usize::try_from(last).unwrap_or(0).min(row.len());
            cut += row.drain(kept..).sum::<f64>();
            row.resize(row.len().max(self.grid.octave as usize), 0.0);
        }
        let mut sunk = 0.0;
        for (exponent, row) in (self.grid.least()..).zip(&mut self.below) {
            let last = (cap / (self.width * f64::from(exponent).exp2())).floor() as i64 - self.grid.octave;
            let kept = usize::try_from(last).unwrap_or(0).min(row.len());
            sunk += row.drain(kept..).sum::<f64>();
            row.resize(row.len().max(self.grid.octave as usize), 0.0);
        }
        if self.side == Side::Upper {
            self.middle[0] += sunk * (1.0 + 1e-9);
        }
        if cut <= 0.0 {
            return;
        }
        if self.side == Side::Upper {
            self.infinite += cut * (1.0 + self.error + 1e-9);
        } else {
            let middle = self.middle.last_mut().expect("invariant: the middle has knots");
            let highest = self.far.iter_mut().flatten().rfind(|mass| **mass > 0.0).unwrap_or(middle);
            *highest += cut * (1.0 - 1e-9);
        }
    }
}

#[cfg(test)]
mod tests;
