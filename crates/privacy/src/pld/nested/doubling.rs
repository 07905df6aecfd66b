//! Sums of many losses on nested lattices, by squaring, and what they answer.

use libm::{exp, expm1, sqrt};

use super::{Grid, Nested, Row};
use crate::pld::losses::Side;

/// Most knots in the middle.
const MOST: usize = 1 << 13;

impl Nested {
    /// Cuts the lowest losses, of no more mass than `mass` in all.
    fn trim(&mut self, mass: f64) {
        let (mut cut, mut sum) = (0, 0.0);
        // The lowest first: those on the other side of 0 that lie outside of the middle.
        while let Some(row) = self.below.last_mut() {
            let lost: f64 = row.iter().sum();
            if sum + lost > mass {
                if self.side == Side::Upper {
                    *row.last_mut().expect("invariant: a row has knots") += sum * (1.0 + 1e-11);
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
            self.middle[0] += sum * (1.0 + 1e-11);
        }
    }

    /// On twice the width.
    pub(super) fn coarser(&self) -> Self {
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
        let base = self.base + shift as f64 * self.width;
        let mut moved = Self {
            base,
            base_error: self.base_error + f64::EPSILON * (self.base.abs() + 2.0 * base.abs()),
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
    pub(in crate::pld) fn repeated(mut self, times: u64, fineness: f64, cap: f64) -> Option<Self> {
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

    /// ε at `delta`: never too small above, never too large below. `slack` is how far all losses may be off.
    pub(in crate::pld) fn epsilon(&self, delta: f64, slack: f64) -> f64 {
        let sign = if self.side == Side::Upper { 1.0 } else { -1.0 };
        // The sums below are off by some ulps for every knot.
        let rounding = 8.0 * f64::EPSILON * (self.knots() + 64) as f64;
        let scale = exp(sign * (self.error + rounding));
        let target = (delta - self.infinite * scale) / scale;
        if target <= 0.0 {
            return if self.side == Side::Upper { f64::INFINITY } else { 0.0 };
        }
        let shifted = |epsilon: f64| {
            let places = 8.0 * f64::EPSILON * (self.base.abs() + epsilon.abs());
            (epsilon + sign * (slack + self.base_error + places)).max(0.0)
        };
        let (mut mass, mut curve, mut last) = (0.0, 0.0, f64::INFINITY);
        for (loss, own) in self.atoms() {
            if last.is_finite() {
                let gap = last - loss;
                // The curve is Σ mass (1 - exp(ε - loss)) over the losses above ε.
                let next = exp(-gap) * curve - expm1(-gap) * mass;
                if next >= target {
                    return shifted(loss + self.side.falls([mass, next], target, gap, rounding));
                }
                curve = next;
            }
            (mass, last) = (mass + own, loss);
        }
        if self.side == Side::Upper { shifted(last) } else { 0.0 }
    }
}
