//! The rounded Gaussian: a continuous Gaussian of standard deviation `2^24`, rounded to the nearest integer.

use std::sync::LazyLock;

use pulp::{Arch, NullaryFnOnce};
use rand::Rng;

use crate::fixed::{exp_neg, mul, one_minus_exp_neg};
use crate::key::WORDS;
use crate::{SecretKey, SecretStream};

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
    /// The alias table (Walker 1977): a column is its own cell below the threshold, the alias from there on. The first 17
    /// bits of the threshold, then 10 of the alias.
    columns: Box<[u32; CELLS]>,
    /// Bits of each threshold after those.
    rest: Vec<u128>,
}

/// Integers that are drawn at once.
pub(crate) const LANES: usize = WORDS / 2;

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
            columns: Box::new(std::array::from_fn(|column| {
                ((thresholds[column] >> rest_bits) as u32) << COLUMN_BITS | aliases[column] as u32
            })),
            rest: thresholds.iter().map(|threshold| threshold & ((1 << rest_bits) - 1)).collect(),
        }
    }

    /// Column `(threshold, alias)` of the table.
    const fn column(entry: u32) -> (u32, u32) {
        (entry >> COLUMN_BITS, entry & (CELLS as u32 - 1))
    }

    /// The integer that starts with a word: 10 bits column, 1 sign, 16 threshold, 18 offset, 19 acceptance. What these do
    /// not settle, bits of `stream` do.
    #[cold]
    fn settled(&self, mut word: u64, stream: &mut SecretStream) -> i32 {
        loop {
            let column = (word >> 54) as usize;
            let threshold = ((word >> 37) & 0xffff) as u32;
            let (first, alias) = Self::column(self.columns[column]);
            let own = threshold < first || (threshold == first && self.below_rest(column, stream));
            let cell = if own { column as u64 } else { u64::from(alias) };
            let offset = (word >> 19) & ((1 << CELL_BITS) - 1);
            let kept = word & ((1 << 19) - 1);
            let magnitude = cell << CELL_BITS | offset;
            if surely(cell as u32, offset as u32, kept as u32) || accepted(cell, offset, kept, stream) {
                let sign = ((word >> 53) & 1) as i32;
                return signed(magnitude as u32, sign);
            }
            word = stream.0.next_u64();
        }
    }

    #[cold]
    fn below_rest(&self, column: usize, stream: &mut SecretStream) -> bool {
        wide(stream) >> (128 - (THRESHOLD_BITS - FIRST_BITS)) < self.rest[column]
    }
}

/// Whether these bits of the acceptance settle that the point is kept: `(x² - a²)/2 <= (cell + 1)(offset + 1) / 2^30`, and
/// `1 - exp(-z) <= z`. Both sides are at most `2^30`.
#[inline]
#[allow(clippy::needless_bitwise_bool, reason = "lanes take no branches")]
fn surely(cell: u32, offset: u32, kept: u32) -> bool {
    (kept << 11 >= (cell + 1) * (offset + 1)) & (cell << CELL_BITS | offset != 0) & (cell != AGAIN as u32)
}

/// The magnitude, below `2^28`, negative if the sign is 1.
#[inline]
const fn signed(magnitude: u32, sign: i32) -> i32 {
    (magnitude.cast_signed() ^ -sign) + sign
}

/// Integers of the rounded Gaussian under one key, for one purpose.
pub(crate) struct Draws {
    words: SecretStream,
    /// For what one word does not settle.
    more: SecretStream,
    integers: [i32; LANES],
    used: usize,
}

impl Draws {
    pub(crate) fn of(key: &SecretKey, parts: &[&[u8]]) -> Self {
        let [words, more] = ["noise", "more noise"].map(|context| key.stream(context, parts));
        Self { words, more, integers: [0; LANES], used: LANES }
    }

    /// The next of the integers.
    pub(crate) fn next(&mut self) -> i32 {
        if self.used == LANES {
            self.block();
            self.used = 0;
        }
        self.used += 1;
        self.integers[self.used - 1]
    }

    /// As many integers as there are lanes; those of the block before that have not been taken are lost.
    pub(crate) fn block(&mut self) -> &[i32; LANES] {
        let table = RoundedGaussian::shared();
        let words = self.words.0.block();
        let mut unsettled = [0; LANES];
        let (integers, open) = (&mut self.integers, &mut unsettled);
        Arch::new().dispatch(Lanes { table, words, integers, open });
        for (lane, _) in unsettled.iter().enumerate().filter(|(_, open)| **open != 0) {
            let word = u64::from(words[lane]) << 32 | u64::from(words[lane + LANES]);
            self.integers[lane] = table.settled(word, &mut self.more);
        }
        self.used = LANES;
        &self.integers
    }
}

/// [`RoundedGaussian::settled`] for the high words in the first half and the low ones in the second, without branches.
struct Lanes<'a> {
    table: &'a RoundedGaussian,
    words: &'a [u32; WORDS],
    integers: &'a mut [i32; LANES],
    /// 1 where a word does not settle the integer.
    open: &'a mut [u8; LANES],
}

impl NullaryFnOnce for Lanes<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for the wider instructions")]
    fn call(self) {
        let Self { table, words, integers, open } = self;
        // Looked up first: what follows then has no loads that keep it from running on many lanes at once.
        let entries: [u32; LANES] =
            std::array::from_fn(|lane| table.columns[(words[lane] >> (32 - COLUMN_BITS)) as usize]);
        for lane in 0..LANES {
            let (high, low) = (words[lane], words[lane + LANES]);
            let column = high >> (32 - COLUMN_BITS);
            let threshold = (high >> 5) & 0xffff;
            let (first, alias) = RoundedGaussian::column(entries[lane]);
            let cell = if threshold < first { column } else { alias };
            let offset = (high & 31) << 13 | low >> 19;
            let kept = low & ((1 << 19) - 1);
            open[lane] = u8::from(!surely(cell, offset, kept)) | u8::from(threshold == first);
            integers[lane] = signed(cell << CELL_BITS | offset, ((high >> 21) & 1).cast_signed());
        }
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
    // Between z - z²/2 and z, and known to 80 units: nearly always that decides.
    if u >= z.saturating_add(NEAR) {
        return true;
    }
    if u.saturating_add(NEAR) < z - mul(z, z) / 2 {
        return false;
    }
    u >= one_minus_exp_neg(z)
}

/// Units of `2^-128` by which a bound must be passed to decide; more than the sum of all errors.
const NEAR: u128 = 256;

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
