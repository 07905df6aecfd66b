//! The rounded Gaussian: a continuous Gaussian of standard deviation `2^24`, rounded to the nearest integer.

use std::sync::LazyLock;

use rand::Rng;

use crate::SecretStream;
use crate::fixed::{exp_neg, mul, one_minus_exp_neg};

/// Binary logarithm of the standard deviation, in grid units.
pub(crate) const SIGMA_BITS: u32 = 24;
/// Binary logarithm of a cell's width: 64 cells to one standard deviation.
const CELL_BITS: u32 = SIGMA_BITS - 6;
/// Cells of the positive half-line, 16 standard deviations; the last one stands for "draw again".
const CELLS: usize = 1 << COLUMN_BITS;
const COLUMN_BITS: u32 = 10;
/// Cell that stands for "draw again": what the cells' integer weights leave of a power of two.
const AGAIN: usize = CELLS - 1;
/// Bits of a column's threshold in the alias table.
const THRESHOLD_BITS: u32 = 117;
/// Bits of the threshold that are compared first.
const FIRST_BITS: u32 = 16;

/// Upper bound on the total-variation distance between one drawn integer and the rounded Gaussian.
///
/// Each of 1,023 weights is off by less than 2 of `2^118` units (`2^-107` together), acceptance by less than 200 units
/// of `2^-128`, and the mass beyond 12.4 standard deviations, whose weight is 0, is below `2^-114`; twice the sum of
/// these after the draws that are not kept are drawn again.
pub(crate) const DISTANCE: f64 = 1.0 / (1u128 << 104) as f64;

/// Draws integers `k` with `P(k) = Φ((k+½)/σ) - Φ((k-½)/σ)`, `σ = 2^24`, within total variation `2^-104` of it.
///
/// Rejection from a staircase. Cell `j` holds the magnitudes `[j, j+1) * 2^18`; its weight is its width times the
/// density at its left end, as a 127-bit integer. Inside the cell the point is uniform and kept with probability
/// `exp(-(x² - a²)/2)`, `a` being the left end: decided by one integer comparison in more than 99 % of the draws and
/// by 128-bit arithmetic in the others.
pub(crate) struct RoundedGaussian {
    columns: Vec<Column>,
    /// Bits of each threshold after the first 16.
    rest: Vec<u128>,
}

/// One column of the alias table (Walker 1977): its own cell below the threshold, the alias from there on.
#[derive(Clone, Copy)]
struct Column {
    first: u32,
    alias: u32,
}

impl RoundedGaussian {
    /// The table, built on first use.
    pub(crate) fn shared() -> &'static Self {
        static TABLE: LazyLock<RoundedGaussian> = LazyLock::new(|| RoundedGaussian::from_weights(&weights()));
        &TABLE
    }

    fn from_weights(weights: &[u128]) -> Self {
        let mut left = weights.to_vec();
        let mut thresholds = vec![1u128 << THRESHOLD_BITS; CELLS];
        let mut aliases: Vec<usize> = (0..CELLS).collect();
        let (mut small, mut large): (Vec<_>, Vec<_>) = (0..CELLS).partition(|cell| left[*cell] < 1 << THRESHOLD_BITS);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            thresholds[poor] = left[poor];
            aliases[poor] = rich;
            left[rich] -= (1 << THRESHOLD_BITS) - left[poor];
            if left[rich] < 1 << THRESHOLD_BITS {
                large.pop();
                small.push(rich);
            }
        }
        let rest_bits = THRESHOLD_BITS - FIRST_BITS;
        Self {
            columns: std::iter::zip(&thresholds, &aliases)
                .map(|(threshold, alias)| Column { first: (threshold >> rest_bits) as u32, alias: *alias as u32 })
                .collect(),
            rest: thresholds.iter().map(|threshold| threshold & ((1 << rest_bits) - 1)).collect(),
        }
    }

    /// One integer; one 64-bit word in most draws: 10 bits column, 1 sign, 16 threshold, 18 offset, 19 acceptance.
    #[inline]
    pub(crate) fn sample(&self, stream: &mut SecretStream) -> i64 {
        loop {
            let word = stream.0.next_u64();
            let column = (word >> 54) as usize;
            let threshold = ((word >> 37) & 0xffff) as u32;
            let entry = self.columns[column];
            let own = threshold < entry.first || (threshold == entry.first && self.below_rest(column, stream));
            let cell = if own { column as u64 } else { u64::from(entry.alias) };
            let offset = (word >> 19) & ((1 << CELL_BITS) - 1);
            let kept = word & ((1 << 19) - 1);
            let magnitude = cell << CELL_BITS | offset;
            // `(x² - a²)/2 <= (cell + 1)(offset + 1) / 2^30`, and `1 - exp(-z) <= z`.
            let surely = kept << 11 >= (cell + 1) * (offset + 1) && magnitude != 0 && cell != AGAIN as u64;
            if surely || accepted(cell, offset, kept, stream) {
                let sign = (word >> 53) & 1;
                // OK because a magnitude is below 2^28.
                return (magnitude as i64 ^ -(sign as i64)) + sign as i64;
            }
        }
    }

    #[cold]
    fn below_rest(&self, column: usize, stream: &mut SecretStream) -> bool {
        wide(stream) >> (128 - (THRESHOLD_BITS - FIRST_BITS)) < self.rest[column]
    }
}

/// Whether a point is kept: `u >= 1 - exp(-(x² - a²)/2)`, all at 128 bits.
#[cold]
fn accepted(cell: u64, offset: u64, kept: u64, stream: &mut SecretStream) -> bool {
    if cell == AGAIN as u64 {
        return false;
    }
    let unit = 128 - SIGMA_BITS;
    // Distance from the cell's left end, in standard deviations: offset and fraction of a grid unit.
    let t = u128::from(offset) << unit | wide(stream) >> SIGMA_BITS;
    let z = if cell == 0 {
        // The first cell starts at -½: magnitude 0 has half the width of the others.
        let Some(x) = t.checked_sub(1 << (unit - 1)) else { return false };
        mul(x, x) / 2
    } else {
        // a / 16 = (cell * 2^18 - ½) / 2^28
        let a = u128::from((cell << (CELL_BITS + 1)) - 1) << 99;
        (mul(a, t) << 4) + mul(t, t) / 2
    };
    let u = u128::from(kept) << 109 | wide(stream) >> 19;
    u >= one_minus_exp_neg(z)
}

fn wide(stream: &mut SecretStream) -> u128 {
    u128::from(stream.0.next_u64()) << 64 | u128::from(stream.0.next_u64())
}

/// Integer weights of the cells, proportional to `exp(-a²/2)`, that add up to `2^127`.
fn weights() -> Vec<u128> {
    let mut weights: Vec<u128> = (0..CELLS as u64).map(|cell| density(cell) >> 16).collect();
    weights[AGAIN] = 0;
    let total = 1u128 << (COLUMN_BITS + THRESHOLD_BITS);
    let factor = total / weights.iter().sum::<u128>();
    for weight in &mut weights {
        *weight *= factor;
    }
    weights[AGAIN] = total - weights.iter().sum::<u128>();
    weights
}

/// `exp(-a²/2)` at the left end `a = (cell * 2^18 - ½) / 2^24` of a cell; 1 (as `2^128 - 1`) at 0.
fn density(cell: u64) -> u128 {
    if cell == 0 {
        return u128::MAX;
    }
    // a²/2 = half / 2^51
    let half = u128::from((cell << (CELL_BITS + 1)) - 1).pow(2);
    exp_neg((half >> 51) as u32, half << 77)
}

#[cfg(test)]
#[path = "rounded_tests.rs"]
mod tests;
