//! A run of private steps: sampler, clipping norm, noise and accountant in one value.

use rand::Rng;
use underpin_core::Delta;

use crate::error::within;
use crate::key::WORDS;
use crate::noise;
use crate::rounded::{DISTANCE, SIGMA_BITS};
use crate::{Adjacency, Batch, Bounds, Error, Progress, SecretKey, SubsampledGaussian};

/// What the sum may be off by, in clipping norms and L2: the single-precision sum of either neighbour by half of it.
pub(crate) const SUM_ERROR: f64 = 1.0 / 256.0;
/// What rounding to the grid adds to the distance of two neighbours, in grid units and per square root of coordinate:
/// ½ for either, and 1/16 for the double-precision quotient of numbers up to 2^48.
pub(crate) const ROUNDING: f64 = 2.0 * (0.5 + 1.0 / 16.0);
/// Fraction of δ set aside for the distance between the noise drawn and the noise accounted for.
pub(crate) const NOISE_FRACTION: f64 = 1.0 / 1_048_576.0;

/// Rows that are looked at together: most often none of them is drawn.
const LOOK: usize = 16;

/// A run of the [`SubsampledGaussian`] mechanism. Each step: [`draw`](Self::draw) a batch, add up its rows' vectors
/// clipped to [`clipping_norm`](Self::clipping_norm), [`release`](Self::release) the sum.
///
/// # Guarantees
///
/// Neighbours: one row contributes or does not, at a public number of rows ([`Adjacency::ZeroOut`]); the bounds are
/// those of [`Adjacency::AddOrRemove`]. The released averages, together, are (ε, δ)-differentially private at every ε
/// that is not below the upper bound of [`epsilon`](Self::epsilon):
///
/// 1. The sampler, the clipping norm and the noise are those of the accountant: no other can be passed in
///    (the crate's `compile_fail` examples).
/// 2. A step is counted when its batch is drawn (`a_drawn_batch_is_counted`); no batch is drawn past `max_steps`
///    (`no_step_past_the_last`), and a batch is released at most once, by the run that drew it
///    (`foreign_batches_are_refused`).
/// 3. The noise is added to integers. The sum `s` is rounded to a grid of width `g` and `g * N` is added, `N` the
///    rounded Gaussian of standard deviation `2^24`. That is a function of `round(s/g) + X`, `X` the continuous
///    Gaussian (rounding commutes with adding an integer), so what holds for the continuous Gaussian holds here; all
///    that comes after, division and conversion to single precision included, acts on that integer
///    (`low_bits_tell_nothing`).
/// 4. Rounding is charged to the sensitivity. Neighbouring sums of `d` coordinates lie at most
///    `(1 + 2^-8) * clipping_norm / g + 1.125 * sqrt(d)` grid units apart, and `g` is the least with
///    `noise_multiplier` times that within `2^24` (`the_grid_covers_the_sensitivity`). The noise thus exceeds
///    `noise_multiplier * clipping_norm` by 0.4 % and `1.125 * noise_multiplier * sqrt(d) / 2^24`.
/// 5. The noise drawn is within total variation `2^-104` a coordinate of that noise; a millionth of δ pays for it
///    (`a_spent_noise_fraction_bounds_nothing`).
/// 6. [`average`](Self::average) adds no vector whose norm passes `clipping_norm`, whatever it is given
///    (`average_clips_each_row`).
///
/// [`crate::mistakes`] lists what goes wrong elsewhere, and why it cannot here.
///
/// # Limits
///
/// With [`release`](Self::release) it is the caller who sees to it that each vector depends on its own row only and has
/// a norm of at most `clipping_norm`, and that their sum is off by at most `clipping_norm / 512` in L2: double precision
/// up to 2^21 rows; single precision added pairwise up to 4,000 rows, one after the other up to 180, by the bound
/// `terms * 2^-24 * rows`. [`average`](Self::average) does so itself. What else is idealised: the crate's front page.
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::{SecretKey, SubsampledGaussian};
///
/// let rows = [[0.6_f32, 0.8], [1.0, 0.0], [0.0, -0.5]]; // norms of at most 1
/// let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(rows.len(), 10, SecretKey::from_os()?)?;
/// let batch = run.draw()?;
/// let mut sum = [0.0; 2];
/// for row in batch.indices() {
///     for (total, value) in sum.iter_mut().zip(rows[*row]) {
///         *total += value;
///     }
/// }
/// run.release(batch, &mut sum)?; // now the noisy average
/// println!("{sum:?}, spent {}", run.epsilon(Delta::new(1e-5)?)?.upper);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PrivateSteps {
    mechanism: SubsampledGaussian,
    rows: usize,
    max_steps: u64,
    steps: u64,
    /// Coordinates released so far.
    released: u64,
    key: SecretKey,
    run: [u8; 32],
}

impl SubsampledGaussian {
    /// Starts a run over `rows` rows that ends after `max_steps` steps at the latest.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `rows` or `max_steps` is 0, or when a batch would hold so many rows that its sum
    /// leaves the noise's integer range.
    pub fn start(&self, rows: usize, max_steps: u64, key: SecretKey) -> Result<PrivateSteps, Error> {
        PrivateSteps::new(*self, rows, max_steps, key)
    }
}

impl PrivateSteps {
    pub(crate) fn new(
        mechanism: SubsampledGaussian,
        rows: usize,
        max_steps: u64,
        key: SecretKey,
    ) -> Result<Self, Error> {
        within("rows", rows as f64, "[1, 2^53]", |rows| (1.0..=9e15).contains(&rows))?;
        within("max_steps", max_steps as f64, "[1, 2^53]", |steps| (1.0..=9e15).contains(&steps))?;
        let run = key.fingerprint();
        let this = Self { mechanism, rows, max_steps, steps: 0, released: 0, key, run };
        // A batch holds four times the expected rows and 1,000 more with a probability below exp(-1000).
        let most = 4.0 * this.expected_batch_size() + 1000.0;
        within("expected batch size", most, "what 2^24 * noise_multiplier holds", |most| {
            most <= mechanism.noise_multiplier() * exp2(SIGMA_BITS)
        })?;
        Ok(this)
    }

    /// Draws the rows of the next step and counts it.
    ///
    /// # Errors
    ///
    /// [`Error::StepsExhausted`] after `max_steps` steps.
    pub fn draw(&mut self) -> Result<Batch, Error> {
        if self.steps >= self.max_steps {
            return Err(Error::StepsExhausted { max_steps: self.max_steps });
        }
        self.steps += 1;
        let indices = self.sample();
        Ok(Batch { indices, step: self.steps, run: self.run })
    }

    /// Each row with probability `floor(q * 2^64) / 2^64`, never above `q`: by 32 bits of one stream and, where these
    /// leave it open, 32 of another.
    fn sample(&self) -> Vec<usize> {
        let step = self.steps.to_le_bytes();
        let [mut stream, mut more] = ["sample", "more sample"].map(|context| self.key.stream(context, &[&step]));
        // OK because q <= 1 and the product is exact: a power of two.
        let threshold = (self.mechanism.sampling_rate() * exp2(64)) as u128;
        let (high, low) = ((threshold >> 32) as u64, threshold as u32);
        // At a rate of 1 no word has as many bits, and all rows are drawn.
        let first_bits = u32::try_from(high).unwrap_or(u32::MAX);
        let mut drawn = Vec::new();
        for first in (0..self.rows).step_by(WORDS) {
            let words = stream.0.block().as_chunks::<LOOK>().0;
            for (first, words) in (first..self.rows).step_by(LOOK).zip(words) {
                // Counted, not searched: without branches.
                if words.iter().map(|word| u32::from(*word <= first_bits)).sum::<u32>() == 0 {
                    continue;
                }
                for (row, word) in (first..self.rows).zip(words) {
                    let word = u64::from(*word);
                    if word < high || (word == high && more.0.next_u32() < low) {
                        drawn.push(row);
                    }
                }
            }
        }
        drawn
    }

    /// Turns the sum of the batch's clipped vectors into its noisy average, in place.
    ///
    /// Adds the noise and divides by [`expected_batch_size`](Self::expected_batch_size), not by the number of rows
    /// drawn, which is secret. The average may have any length; an empty batch's sum is all zeros.
    ///
    /// # Errors
    ///
    /// The sum is left as it was, the step stays spent, and nothing must be published:
    /// [`Error::ForeignBatch`]; [`Error::NotFinite`]; [`Error::NotClipped`] when the sum is longer than so many
    /// clipped vectors can add up to; [`Error::OutOfRange`] when `noise_multiplier * sqrt(length)` exceeds `7e6`.
    #[allow(clippy::needless_pass_by_value, reason = "a batch is released once")]
    pub fn release(&mut self, batch: Batch, clipped_sum: &mut [f32]) -> Result<(), Error> {
        if batch.run != self.run {
            return Err(Error::ForeignBatch);
        }
        check(batch.indices.len(), self.mechanism.clipping_norm(), clipped_sum)?;
        self.add_noise(batch.step, clipped_sum)
    }

    /// The noisy average of the batch's vectors, each worked out, and clipped, on its own.
    ///
    /// `vector_of` gives the vector, `coordinates` long, of the row at a position; it sees no other row and cannot keep
    /// anything between two calls. A vector longer than [`clipping_norm`](Self::clipping_norm) is scaled down to it;
    /// they are added up in double precision. Then as [`release`](Self::release), whose promises about the caller's
    /// clipping and sum are kept here.
    ///
    /// # Errors
    ///
    /// As for [`release`](Self::release), and: [`Error::WrongLength`]; [`Error::OutOfRange`] for a batch of more than
    /// 2^21 rows, or more than 2^40 coordinates.
    ///
    /// # Examples
    ///
    /// ```
    /// # use underpin_privacy::{SecretKey, SubsampledGaussian};
    /// let rows = [[3.0_f32, 4.0], [0.1, 0.0], [0.0, -0.5]];
    /// let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(rows.len(), 10, SecretKey::from_os()?)?;
    /// let batch = run.draw()?;
    /// let average = run.average(batch, 2, |row| rows[row])?;
    /// assert_eq!(average.len(), 2);
    /// # Ok::<(), underpin_privacy::Error>(())
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "a batch is released once")]
    pub fn average<V: AsRef<[f32]>>(
        &mut self,
        batch: Batch,
        coordinates: usize,
        vector_of: impl Fn(usize) -> V,
    ) -> Result<Vec<f32>, Error> {
        if batch.run != self.run {
            return Err(Error::ForeignBatch);
        }
        within("rows of the batch", batch.indices.len() as f64, "[0, 2^21]", |rows| rows <= exp2(21))?;
        within("coordinates", coordinates as f64, "[0, 2^40]", |coordinates| coordinates <= exp2(40))?;
        let mut sum = vec![0.0; coordinates];
        for row in &batch.indices {
            add_clipped(&mut sum, vector_of(*row).as_ref(), self.mechanism.clipping_norm())?;
        }
        self.add_noise(batch.step, &mut sum)?;
        Ok(sum.into_iter().map(|value| value as f32).collect())
    }

    /// Turns a step's sum into its noisy average, in single precision whatever holds it.
    fn add_noise<V: Copy + Send + From<f32> + Into<f64>>(&mut self, step: u64, sum: &mut [V]) -> Result<(), Error> {
        let grid = grid(&self.mechanism, sum.len())?;
        self.released = self.released.saturating_add(sum.len() as u64);
        noise::add_rounded(&self.key, step, grid, grid / self.expected_batch_size(), sum);
        Ok(())
    }

    /// The ε spent by the steps drawn so far, at `delta`.
    ///
    /// The upper bound is infinite when the millionth of `delta` set aside does not pay for the noise's distance from
    /// its ideal: for more than some `delta * 2^84 * exp(-ε)` coordinates released.
    ///
    /// # Errors
    ///
    /// As for [`SubsampledGaussian::epsilon`].
    pub fn epsilon(&self, delta: Delta) -> Result<Bounds, Error> {
        self.epsilon_after(self.steps, delta)
    }

    /// As [`epsilon`](Self::epsilon), of the run's first `steps` steps.
    ///
    /// # Errors
    ///
    /// As for [`SubsampledGaussian::epsilon`].
    pub fn epsilon_after(&self, steps: u64, delta: Delta) -> Result<Bounds, Error> {
        let ideal = Delta::new(delta.value() * (1.0 - NOISE_FRACTION)).unwrap_or(delta);
        let bounds = self.mechanism.epsilon(steps, ideal)?;
        // What is released in steps to come, as wide as in those so far.
        let released = if self.steps == 0 { 0.0 } else { self.released as f64 / self.steps as f64 };
        let released = (released * steps as f64).max(self.released as f64);
        // Distance τ makes δ(ε) at most δ + (1 + exp ε) τ.
        let paid = (1.0 + bounds.upper.exp()) * released * DISTANCE <= delta.value() * NOISE_FRACTION * 0.999;
        Ok(Bounds { upper: if paid || released == 0.0 { bounds.upper } else { f64::INFINITY }, ..bounds })
    }

    /// How far the run has come.
    pub const fn progress(&self) -> Progress {
        Progress { steps: self.steps, released: self.released, run: self.run }
    }

    /// Takes up a run where an earlier process left it: the steps until then stay counted.
    ///
    /// # Limits
    ///
    /// A step that was released after `progress` was taken is drawn again, with the same noise. Released again on the same
    /// sum, it is the same release; on another sum it would reveal the difference. Whoever takes up runs must know which
    /// steps were released, and on what: write [`seal`](Self::seal) down before each release.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignRun`] for the progress of a run with another key, or when this run has drawn a batch already;
    /// [`Error::StepsExhausted`] for more steps than this run has.
    pub fn resume(self, progress: Progress) -> Result<Self, Error> {
        if progress.run != self.run || self.steps > 0 {
            return Err(Error::ForeignRun);
        }
        if progress.steps > self.max_steps {
            return Err(Error::StepsExhausted { max_steps: self.max_steps });
        }
        Ok(Self { steps: progress.steps, released: progress.released, ..self })
    }

    /// A seal of the sum that is about to be released at this step: who holds the key can check it; to others it reveals
    /// nothing.
    pub fn seal(&self, batch: &Batch, clipped_sum: &[f32]) -> [u8; 32] {
        seal(&self.key, batch, clipped_sum)
    }

    /// Of the key.
    pub(crate) const fn fingerprint(&self) -> &[u8; 32] {
        &self.run
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Steps drawn so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps after which no batch is drawn.
    pub const fn max_steps(&self) -> u64 {
        self.max_steps
    }

    /// L2 norm to which each row's vector is to be clipped.
    pub const fn clipping_norm(&self) -> f64 {
        self.mechanism.clipping_norm()
    }

    /// Number of rows times the sampling rate: what a sum is divided by. It reveals the number of rows.
    pub fn expected_batch_size(&self) -> f64 {
        self.rows as f64 * self.mechanism.sampling_rate()
    }

    /// The neighbouring relation of what is released: [`Adjacency::ZeroOut`], since the divisor reveals the number of rows.
    pub const fn adjacency(&self) -> Adjacency {
        Adjacency::ZeroOut
    }

    /// The mechanism that each step runs.
    pub const fn mechanism(&self) -> &SubsampledGaussian {
        &self.mechanism
    }
}

/// Adds `vector`, scaled down to `clipping_norm` where it is longer; the norm of what is added never passes it.
fn add_clipped(sum: &mut [f64], vector: &[f32], clipping_norm: f64) -> Result<(), Error> {
    if vector.len() != sum.len() {
        return Err(Error::WrongLength { found: vector.len(), expected: sum.len() });
    }
    if let Some(position) = vector.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite { position, value: vector[position].to_string() });
    }
    // Squares of single-precision numbers are exact; the sum, root, quotient and products are off by less than this.
    let slack = (vector.len() as f64 + 8.0) * f64::EPSILON;
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() * (1.0 + slack);
    let factor = if norm > clipping_norm { clipping_norm / norm * (1.0 - slack) } else { 1.0 };
    for (total, value) in sum.iter_mut().zip(vector) {
        *total += f64::from(*value) * factor;
    }
    Ok(())
}

/// Width of the grid for sums of `coordinates` coordinates: guarantee 4 of [`PrivateSteps`].
fn grid(mechanism: &SubsampledGaussian, coordinates: usize) -> Result<f64, Error> {
    let sigma = exp2(SIGMA_BITS);
    let noise = mechanism.noise_multiplier();
    let rounding = ROUNDING * noise * (coordinates as f64).sqrt();
    within("noise_multiplier * sqrt(coordinates)", rounding / ROUNDING, "[0, 7e6]", |_| rounding <= sigma / 2.0)?;
    Ok(noise * mechanism.clipping_norm() * (1.0 + SUM_ERROR) / (sigma - rounding) * (1.0 + 1e-12))
}

/// Refuses a sum that clipped vectors cannot add up to.
pub(crate) fn check(rows: usize, clipping_norm: f64, sum: &[f32]) -> Result<(), Error> {
    // Finite numbers of single precision have finite squares in double.
    let norm = noise::squared_norm(sum).sqrt();
    if !norm.is_finite()
        && let Some(position) = sum.iter().position(|value| !value.is_finite())
    {
        return Err(Error::NotFinite { position, value: sum[position].to_string() });
    }
    let at_most = (rows as f64 + SUM_ERROR) * clipping_norm;
    if norm > at_most * (1.0 + 1e-6) {
        return Err(Error::NotClipped { rows, norm, clipping_norm, at_most });
    }
    Ok(())
}

pub(crate) fn seal(key: &SecretKey, batch: &Batch, sum: &[f32]) -> [u8; 32] {
    let values: Vec<u8> = sum.iter().flat_map(|value| value.to_le_bytes()).collect();
    key.derive("seal", &[&batch.step.to_le_bytes(), &values]).fingerprint()
}

pub(crate) fn exp2(exponent: u32) -> f64 {
    2f64.powi(exponent.cast_signed())
}

#[cfg(test)]
#[path = "private_steps_tests.rs"]
mod tests;
