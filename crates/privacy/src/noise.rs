//! Noise on every coordinate, threads over blocks of coordinates.

use rayon::prelude::*;

use crate::SecretKey;
use crate::rounded::RoundedGaussian;

/// Coordinates of one block; fixed, so that the noise does not depend on the number of threads.
const BLOCK: usize = 1 << 14;

/// Rounds each value to the grid of width `grid`, adds a rounded Gaussian in grid units, multiplies by `scale`, and
/// rounds to single precision.
///
/// Each block of coordinates of each step has a stream of its own.
#[allow(clippy::cast_possible_truncation, reason = "a sum is below 2^48 grid units; the average is single precision")]
pub(crate) fn add_rounded<V: Copy + Send + From<f32> + Into<f64>>(
    key: &SecretKey,
    step: u64,
    grid: f64,
    scale: f64,
    values: &mut [V],
) {
    let gaussian = RoundedGaussian::shared();
    values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
        let (step, block) = (step.to_le_bytes(), (block as u64).to_le_bytes());
        let parts: &[&[u8]] = if block == [0; 8] { &[&step] } else { &[&step, &block] };
        let mut stream = key.stream("noise", parts);
        for value in values {
            let quotient = (*value).into() / grid;
            // OK because the sum's norm is below 2^48 grid units. Rounds to nearest.
            let rounded = (quotient + 0.5_f64.copysign(quotient)) as i64;
            *value = (((rounded + gaussian.sample(&mut stream)) as f64 * scale) as f32).into();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

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
