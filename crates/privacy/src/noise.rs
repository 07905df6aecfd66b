//! Noise on every coordinate, threads over blocks of coordinates.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::SecretKey;
use crate::rounded::{Draws, LANES};

/// Coordinates of one block; fixed, so that the noise does not depend on the number of threads.
const BLOCK: usize = 1 << 14;

/// Rounds each value to the grid of width `grid`, adds a rounded Gaussian in grid units, multiplies by `scale`, and
/// rounds to single precision.
///
/// Each block of coordinates of each step has a stream of its own.
pub(crate) fn add_rounded<V: Copy + Send + From<f32> + Into<f64>>(
    key: &SecretKey,
    step: u64,
    grid: f64,
    scale: f64,
    values: &mut [V],
) {
    values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
        let (step, block) = (step.to_le_bytes(), (block as u64).to_le_bytes());
        let mut draws = Draws::of(key, &[&step, &block]);
        for values in values.chunks_mut(LANES) {
            let integers = draws.block();
            Arch::new().dispatch(Add { integers, grid, scale, values });
        }
    });
}

/// One block's noise.
struct Add<'a, V> {
    integers: &'a [i32; LANES],
    grid: f64,
    scale: f64,
    values: &'a mut [V],
}

impl<V: Copy + From<f32> + Into<f64>> NullaryFnOnce for Add<'_, V> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for the wider instructions")]
    #[allow(clippy::cast_possible_truncation, reason = "the average is single precision")]
    fn call(self) {
        let Self { integers, grid, scale, values } = self;
        for (value, integer) in values.iter_mut().zip(integers) {
            let quotient = (*value).into() / grid;
            // The nearest integer, exact: the sum's norm is below 2^48 grid units.
            let rounded = (quotient + 0.5_f64.copysign(quotient)).trunc();
            *value = (((rounded + f64::from(*integer)) * scale) as f32).into();
        }
    }
}

/// The sum of the values' squares, in double precision; not finite if one of them is not.
pub(crate) fn squared_norm(values: &[f32]) -> f64 {
    let of_block = |values: &[f32]| {
        let mut sums = [0.0; 16];
        let (rows, rest) = values.as_chunks::<16>();
        for row in rows {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
    };
    values.par_chunks(BLOCK).map(of_block).collect::<Vec<f64>>().iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_those_of_all_values() {
        for count in [0, 5, 16, BLOCK + 3, 3 * BLOCK] {
            let values: Vec<f32> = (0..count).map(|at| (at % 7) as f32 - 3.5).collect();
            let expected: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
            assert_eq!(squared_norm(&values), expected, "exact in double precision");
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![0.5; BLOCK + 20];
            values[BLOCK + 1] = bad;
            assert!(!squared_norm(&values).is_finite());
        }
        assert!(squared_norm(&[f32::MAX; 100]).is_finite());
    }

    /// Noise of standard deviation 1 on `count` zeros.
    fn noise(step: u64, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        let grid = 1.0 / f64::from(1 << 24);
        add_rounded(&SecretKey::new([5; 32]), step, grid, grid, &mut values);
        values
    }

    #[test]
    fn blocks_and_steps_share_no_noise() {
        let (one, two) = (noise(1, 3 * BLOCK), noise(2, BLOCK));
        let blocks: Vec<&[f32]> = one.chunks(BLOCK).chain(two.chunks(BLOCK)).collect();
        for (position, a) in blocks.iter().enumerate() {
            for b in &blocks[position + 1..] {
                let equal = a.iter().zip(*b).filter(|(a, b)| a == b).count();
                assert!(equal < BLOCK / 100, "{equal} equal values");
            }
        }
        assert_eq!(noise(1, BLOCK + 1)[..BLOCK], one[..BLOCK], "the same in longer sums");
    }

    #[test]
    fn threads_do_not_change_the_noise() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool(1).install(|| noise(7, 4 * BLOCK)), pool(3).install(|| noise(7, 4 * BLOCK)));
    }
}
