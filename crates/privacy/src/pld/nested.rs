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
//!   post-processing; `paired`). What finds no partner goes to the knot beneath.
//! - A mass moved to a higher loss, or to infinity, only adds to `h`; one moved to a lower loss, or left out, only takes
//!   away. So the ends of the lattice are cut.
//! - Replacing one factor of a convolution by one with a larger `h` makes the whole larger, for all masses are positive.
//! - Nothing is subtracted in a convolution: masses keep their relative accuracy, however small. A sum of `N` products is
//!   off by a relative `N + 2` ulps (Higham 2002, section 3.1); squaring doubles what there was before. `error` counts
//!   this, and the whole of it is added above, subtracted below.

use libm::{exp, expm1, log1p, sqrt};

use super::losses::{Losses, Side};
use super::rows::Row;

/// Masses below are moved to infinity or left out, so that no product is subnormal.
const LEAST: f64 = 1e-200;
/// Most knots in the middle.
const MOST: usize = 1 << 13;

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
    /// Loss at index 0.
    base: f64,
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
        let lost = self.infinite + other.infinite;
        // What underflows is less than this.
        let under = if self.side == Side::Upper { 1e-290 } else { 0.0 };
        let mut sum = Self {
            base: self.base + other.base,
            first,
            middle: vec![0.0; (reach - first) as usize],
            far: Vec::new(),
            below: Vec::new(),
            infinite: if lost > 0.0 || self.side == Side::Upper { lost * (1.0 + f64::EPSILON) + under } else { 0.0 },
            error: self.error + other.error + 2.0 * f64::EPSILON * (self.middle.len() + other.middle.len() + 64) as f64,
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

    /// Cuts the lowest losses, of no more mass than `mass` in all.
    fn trim(&mut self, mass: f64) {
        let (mut cut, mut sum) = (0, 0.0);
        // The lowest first: those on the other side of 0 that lie outside of the middle.
        while let Some(row) = self.below.last_mut() {
            let lost: f64 = row.iter().sum();
            if sum + lost > mass {
                if self.side == Side::Upper {
                    *row.last_mut().expect("invariant: a row has knots") += sum * (1.0 + 1e-12);
                }
                return;
            }
            sum += lost;
            self.below.pop();
        }
        while self.first + (cut as i64) < 0 && sum + self.middle[cut] <= mass {
            sum += self.middle[cut];
            cut += 1;
        }
        self.middle.drain(..cut);
        self.first += cut as i64;
        if self.side == Side::Upper {
            self.middle[0] += sum * (1.0 + 1e-12);
        }
    }

    /// On twice the width.
    fn coarser(&self) -> Self {
        let row = self.middle().coarser(self.width, self.side);
        let mut coarse = Self {
            width: 2.0 * self.width,
            first: row.first,
            middle: vec![0.0; (self.grid.reach - row.first) as usize],
            // The widest spacing stays as it is.
            grid: Grid { top: (self.grid.top - 1).max(self.grid.least()), ..self.grid },
            far: Vec::new(),
            below: Vec::new(),
            error: self.error + 64.0 * f64::EPSILON,
            ..self.clone()
        };
        coarse.put(row, 0);
        for at in 0..self.rows() {
            let (mut row, exponent) = (self.row(at), self.grid.least() + at as u32);
            if exponent == 0 {
                row = row.coarser(self.width, self.side);
            }
            coarse.put(row, exponent.saturating_sub(1));
        }
        coarse
    }

    /// Mean index and standard deviation, in widths, of the middle.
    fn spread(&self) -> (f64, f64) {
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for (index, own) in (self.first..).zip(&self.middle) {
            let index = index as f64;
            (mass, first, second) = (mass + own, first + own * index, second + own * index * index);
        }
        let mean = first / mass;
        (mean, sqrt((second / mass - mean * mean).max(0.0)))
    }

    /// Below: index 0 at the mean or just beneath it, so that the middle, seen from far out, falls on a knot.
    fn centred(self) -> Self {
        let shift = self.spread().0.floor() as i64;
        if self.side == Side::Upper || shift == 0 {
            return self;
        }
        let first = (self.first - shift).clamp(self.lowest(), 0);
        let mut moved = Self {
            base: self.base + shift as f64 * self.width,
            first,
            middle: vec![0.0; (self.grid.reach - first) as usize],
            far: Vec::new(),
            below: Vec::new(),
            error: self.error + 64.0 * f64::EPSILON,
            ..self.clone()
        };
        moved.put(Row { first: self.first - shift, masses: self.middle.clone() }, 0);
        for at in 0..self.rows() {
            let (row, exponent) = (self.row(at), self.grid.least() + at as u32);
            moved.put(row.lowered(shift, exponent, self.width * f64::from(exponent).exp2()), exponent);
        }
        moved
    }

    /// The sum of `times` of them, by squaring; none where the middle does not hold it. `fineness` is the width in standard
    /// deviations. Below, the sum of a few less: that of the highest bits.
    pub(super) fn repeated(mut self, times: u64, fineness: f64, cap: f64) -> Option<Self> {
        const BITS: u32 = 8;
        let low = if self.side == Side::Lower { (times.ilog2() + 1).saturating_sub(BITS) } else { 0 };
        let times = times >> low << low;
        let fits = |nested: Self| {
            let nested = nested.centred();
            let (mean, deviation) = nested.spread();
            (mean + 3.0 * deviation < nested.grid.reach as f64 && nested.middle.len() < MOST).then_some(nested)
        };
        let mut sum: Option<Self> = None;
        let mut left = times;
        self.trim(1e-8 / times as f64);
        loop {
            if left & 1 == 1 {
                sum = Some(match sum {
                    None => self.clone(),
                    Some(sum) => fits(self.plus(&sum, cap))?,
                });
            }
            left >>= 1;
            if left == 0 {
                return sum;
            }
            self = self.plus(&self, cap);
            self.trim(1e-8 * self.times as f64 / times as f64);
            while self.spread().1 * fineness > std::f64::consts::SQRT_2 {
                self = self.coarser();
                sum = sum.map(|sum| sum.coarser());
            }
            self = fits(self)?;
        }
    }

    /// Knots and masses, the highest loss first.
    fn atoms(&self) -> impl Iterator<Item = (f64, f64)> {
        let least = self.grid.least();
        let loss = move |index: f64| self.base + index * self.width;
        let far = self.far.iter().enumerate().rev().flat_map(move |(at, masses)| {
            let spacing = f64::from(least + at as u32).exp2();
            let place = move |at: usize| (self.grid.octave + at as i64) as f64 * spacing;
            masses.iter().enumerate().rev().map(move |(at, mass)| (loss(place(at)), *mass))
        });
        let middle = self.middle.iter().enumerate().rev();
        let below = self.below.iter().enumerate().flat_map(move |(row, masses)| {
            let spacing = f64::from(least + row as u32).exp2();
            let place = move |at: usize| -(self.grid.octave + at as i64) as f64 * spacing;
            masses.iter().enumerate().map(move |(at, mass)| (loss(place(at)), *mass))
        });
        far.chain(middle.map(move |(at, mass)| (loss((self.first + at as i64) as f64), *mass))).chain(below)
    }

    /// ε at `delta`: never too small above, never too large below. `slack` is how far a loss may be off.
    pub(super) fn epsilon(&self, delta: f64, slack: impl Fn(f64) -> f64) -> f64 {
        let sign = if self.side == Side::Upper { 1.0 } else { -1.0 };
        let scale = exp(sign * (self.error + 1e-12));
        let target = (delta - self.infinite * scale) / scale;
        if target <= 0.0 {
            return f64::INFINITY;
        }
        let (mut mass, mut curve, mut last) = (0.0, 0.0, f64::INFINITY);
        for (loss, own) in self.atoms() {
            if last.is_finite() {
                let gap = last - loss;
                // The curve is Σ mass (1 - exp(ε - loss)) over the losses above ε.
                let next = exp(-gap) * curve - expm1(-gap) * mass;
                if next >= target {
                    let inside = log1p((next - target) / (mass - next));
                    return shifted(loss + inside.min(gap), sign, &slack);
                }
                curve = next;
            }
            (mass, last) = (mass + own, loss);
        }
        if self.side == Side::Upper { shifted(last, sign, &slack) } else { 0.0 }
    }
}

fn shifted(epsilon: f64, sign: f64, slack: &impl Fn(f64) -> f64) -> f64 {
    (epsilon + sign * slack(epsilon)).max(0.0)
}

#[cfg(test)]
#[path = "nested_tests.rs"]
mod tests;
