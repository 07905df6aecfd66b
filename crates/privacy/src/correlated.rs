//! Steps under correlated noise: private training without sampling (DP-FTRL by banded matrix factorisation).

use std::collections::VecDeque;

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::private_steps::{NOISE_FRACTION, ROUNDING, SUM_ERROR, check, exp2, seal};
use crate::rounded::{DISTANCE, Draws, SIGMA_BITS};
use crate::{
    Adjacency, BandedFactor, Batch, Bounds, Error, Event, Participation, Progress, SecretKey, SubsampledGaussian,
};

/// The Gaussian mechanism on `C x`, x being the sums of all steps of a run and C a [`BandedFactor`].
///
/// Needs no secret sampling: rows come in a fixed order, each once in `separation` steps. Against DP-SGD it does
/// without amplification, and makes up for it by noise that cancels between steps.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelatedGaussian {
    factor: BandedFactor,
    participation: Participation,
    /// Of the whole run: standard deviation over sensitivity.
    noise_multiplier: f64,
    clipping_norm: f64,
}

impl CorrelatedGaussian {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `noise_multiplier` and `clipping_norm` lie in the ranges of
    /// [`SubsampledGaussian::new`] and the band is no wider than the separation.
    pub fn new(
        factor: BandedFactor,
        participation: Participation,
        noise_multiplier: f64,
        clipping_norm: f64,
    ) -> Result<Self, Error> {
        SubsampledGaussian::new(1.0, noise_multiplier, clipping_norm)?;
        factor.sensitivity(participation)?;
        Ok(Self { factor, participation, noise_multiplier, clipping_norm })
    }

    /// The least noise, to a relative 1e-4, with which the whole run stays within `target`.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); [`Error::Unreachable`] when no noise multiplier in range reaches the target.
    pub fn calibrated(
        target: Epsilon,
        delta: Delta,
        factor: BandedFactor,
        participation: Participation,
        clipping_norm: f64,
    ) -> Result<Self, Error> {
        let one = SubsampledGaussian::calibrated(target, delta, 1.0, 1, clipping_norm)?;
        Self::new(factor, participation, one.noise_multiplier(), clipping_norm)
    }

    /// The ε that the whole run spends at `delta`, from both sides: that of one Gaussian mechanism.
    ///
    /// # Errors
    ///
    /// As for [`Event::epsilon`].
    pub fn epsilon(&self, delta: Delta) -> Result<Bounds, Error> {
        Event::Gaussian { noise_multiplier: self.noise_multiplier }.epsilon(delta, Adjacency::ZeroOut)
    }

    /// Starts the run over `rows` rows.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when there are fewer rows than the separation has steps, or so many in a batch that sums
    /// leave the noise's integer range.
    pub fn start(self, rows: usize, key: SecretKey) -> Result<CorrelatedSteps, Error> {
        let separation = self.participation.separation().min(self.participation.steps());
        within("rows", rows as f64, "[separation, 2^53]", |rows| rows >= separation as f64 && rows <= 9e15)?;
        let weight: f64 = self.factor.coefficients().iter().map(|value| value.abs()).sum();
        let noise = self.noise_multiplier * self.factor.sensitivity(self.participation)?;
        within("rows of a batch", rows.div_ceil(separation) as f64, "what 2^18 * noise holds", |most| {
            most * weight <= noise * exp2(18)
        })?;
        let run = key.fingerprint();
        let (sums, averages) = (VecDeque::new(), VecDeque::new());
        Ok(CorrelatedSteps { mechanism: self, rows, steps: 0, released: 0, sums, averages, key, run })
    }

    /// Standard deviation of the noise on `C x` over the sensitivity of `C x`.
    pub const fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// L2 norm to which each row's vector is clipped.
    pub const fn clipping_norm(&self) -> f64 {
        self.clipping_norm
    }

    /// When rows take part.
    pub const fn participation(&self) -> Participation {
        self.participation
    }

    /// The factor C.
    pub const fn factor(&self) -> &BandedFactor {
        &self.factor
    }
}

/// A run of the [`CorrelatedGaussian`] mechanism; draws and releases as [`crate::PrivateSteps`] does.
///
/// # Guarantees
///
/// Neighbours: one row contributes or does not, at a public number of rows ([`Adjacency::ZeroOut`]). All that is
/// released, together, is (ε, δ)-differentially private at every ε not below the upper bound of
/// [`epsilon`](Self::epsilon), which is that of the whole run from its first step on:
///
/// 1. Row `r` takes part in the steps `t` with `t = r` modulo the separation, and in no other: once in any `separation`
///    successive steps (`rows_keep_their_distance`).
/// 2. What is released at step t is `U_t = round((C x)_t / g) + N_t` and what is worked out from `U_1..U_t`: the noisy
///    sum `(C⁻¹ g U)_t` is solved from released integers alone (`released_sums_are_functions_of_the_integers`). The
///    `N_t` are independent rounded Gaussians of standard deviation `2^24`, so U is a function of the continuous
///    Gaussian mechanism on `round(C x / g)`, as in [`crate::PrivateSteps`]. Steps may depend on earlier releases: each
///    step's noise is fresh, and on every path of releases the squared distances of all steps add up to at most that of
///    the next point (Denisov et al., NeurIPS 2022, theorem 2.1; Smith and Thakurta 2022).
/// 3. Neighbours lie at most `(1 + 2^-8) * sensitivity * clipping_norm / g + 1.125 * sqrt(d * touched)` grid units
///    apart over the run, `touched` being the steps whose `C x` the row reaches: as many as it takes part in, times the
///    bands; in the others both round the same number. `g` is the least with `noise_multiplier` times that within
///    `2^24` (`the_grid_covers_the_correlated_sensitivity`).
/// 4. The noise drawn is within total variation `2^-104` a coordinate of that noise; a millionth of δ pays for it, or
///    else the bound is infinite (`the_whole_run_is_one_gaussian`).
///
/// # Limits
///
/// As for [`crate::PrivateSteps`]. The sums of the last steps are kept in memory, and in
/// [`CorrelatedProgress`]: they are secret.
#[derive(Debug)]
pub struct CorrelatedSteps {
    mechanism: CorrelatedGaussian,
    rows: usize,
    steps: u64,
    released: u64,
    /// The clipped sums of the last steps, the latest first; secret.
    sums: VecDeque<Vec<f32>>,
    /// The noisy sums of the last steps, the latest first.
    averages: VecDeque<Vec<f64>>,
    key: SecretKey,
    run: [u8; 32],
}

/// How far a run under correlated noise has come. Holds the clipped sums of the last steps, which are secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CorrelatedProgress {
    progress: Progress,
    sums: VecDeque<Vec<f32>>,
    averages: VecDeque<Vec<f64>>,
}

impl CorrelatedProgress {
    /// Steps drawn.
    pub const fn steps(&self) -> u64 {
        self.progress.steps
    }
}

impl CorrelatedSteps {
    /// The rows of the next step.
    ///
    /// # Errors
    ///
    /// [`Error::StepsExhausted`] after the last step; [`Error::StepPending`] while the last batch drawn is not released:
    /// what comes after it is made from it.
    pub fn draw(&mut self) -> Result<Batch, Error> {
        if self.steps >= self.max_steps() {
            return Err(Error::StepsExhausted { max_steps: self.max_steps() });
        }
        if self.steps > 0 && self.pending() {
            return Err(Error::StepPending { step: self.steps });
        }
        let separation = self.separation();
        let first = (self.steps % separation as u64) as usize;
        self.steps += 1;
        Ok(Batch { indices: (first..self.rows).step_by(separation).collect(), step: self.steps, run: self.run })
    }

    /// Whether the last batch drawn is not released: each release leaves its sum in front.
    fn pending(&self) -> bool {
        self.released_steps() < self.steps
    }

    fn released_steps(&self) -> u64 {
        let width = self.sums.front().map_or(0, Vec::len) as u64;
        self.released.checked_div(width).unwrap_or(0)
    }

    /// Turns the sum of the batch's clipped vectors into its noisy average, in place.
    ///
    /// # Errors
    ///
    /// As for [`crate::PrivateSteps::release`]; [`Error::OutOfRange`] for a sum of another length than the last one.
    #[allow(clippy::needless_pass_by_value, reason = "a batch is released once")]
    pub fn release(&mut self, batch: Batch, clipped_sum: &mut [f32]) -> Result<(), Error> {
        if batch.run != self.run || batch.step != self.released_steps() + 1 {
            return Err(Error::ForeignBatch);
        }
        self.check(batch.indices.len(), clipped_sum)?;
        let width = clipped_sum.len();
        let grid = self.grid(width)?;
        let mut draws = Draws::of(&self.key, &[&batch.step.to_le_bytes()]);
        let coefficients = self.mechanism.factor.coefficients();
        let bands = coefficients.len();
        self.sums.push_front(clipped_sum.to_vec());
        self.sums.truncate(bands);
        let mut noisy = vec![0.0; width];
        for (at, noisy) in noisy.iter_mut().enumerate() {
            let encoded: f64 = coefficients.iter().zip(&self.sums).map(|(c, sum)| c * f64::from(sum[at])).sum();
            let quotient = encoded / grid;
            // OK because the sum's norm is below 2^42 grid units. Rounds to nearest.
            let rounded = (quotient + 0.5_f64.copysign(quotient)) as i64;
            let integer = rounded + i64::from(draws.next());
            *noisy = self.decoded(integer as f64 * grid, at);
        }
        let size = self.expected_batch_size();
        clipped_sum.iter_mut().zip(&noisy).for_each(|(value, noisy)| *value = (noisy / size) as f32);
        self.averages.push_front(noisy);
        self.averages.truncate(bands.saturating_sub(1).max(1));
        self.released = self.released.saturating_add(width as u64);
        Ok(())
    }

    /// One coordinate of `(C⁻¹ u)_t`, from `u_t` and the results of the steps before.
    fn decoded(&self, released: f64, at: usize) -> f64 {
        let coefficients = self.mechanism.factor.coefficients();
        let past = coefficients[1..].iter().zip(&self.averages).map(|(c, average)| c * average[at]).sum::<f64>();
        (released - past) / coefficients[0]
    }

    fn check(&self, rows: usize, sum: &[f32]) -> Result<(), Error> {
        if let Some(last) = self.sums.front() {
            within("values of a sum", sum.len() as f64, "as many as at the step before", |_| sum.len() == last.len())?;
        }
        within("values of a sum", sum.len() as f64, "[1, inf)", |length| length >= 1.0)?;
        check(rows, self.mechanism.clipping_norm, sum)
    }

    /// Width of the grid: guarantee 3.
    fn grid(&self, coordinates: usize) -> Result<f64, Error> {
        let CorrelatedGaussian { factor, participation, noise_multiplier, clipping_norm } = &self.mechanism;
        let sigma = exp2(SIGMA_BITS);
        let touched = (participation.most() * factor.coefficients().len()).min(participation.steps());
        let rounding = ROUNDING * noise_multiplier * (coordinates as f64 * touched as f64).sqrt();
        within("noise_multiplier * sqrt(coordinates)", rounding / ROUNDING, "[0, 7e6]", |_| rounding <= sigma / 2.0)?;
        let distance = factor.sensitivity(*participation)? * clipping_norm * (1.0 + SUM_ERROR);
        Ok(noise_multiplier * distance / (sigma - rounding) * (1.0 + 1e-12))
    }

    /// The ε of the whole run at `delta`; none before the first step. As for [`crate::PrivateSteps::epsilon`].
    ///
    /// # Errors
    ///
    /// As for [`Event::epsilon`].
    pub fn epsilon(&self, delta: Delta) -> Result<Bounds, Error> {
        if self.steps == 0 { Ok(Bounds { lower: 0.0, upper: 0.0 }) } else { self.epsilon_of_all(delta) }
    }

    /// The ε of the whole run at `delta`, begun or not.
    ///
    /// # Errors
    ///
    /// As for [`Event::epsilon`].
    pub fn epsilon_of_all(&self, delta: Delta) -> Result<Bounds, Error> {
        let ideal = Delta::new(delta.value() * (1.0 - NOISE_FRACTION)).unwrap_or(delta);
        let bounds = self.mechanism.epsilon(ideal)?;
        let distance = self.released as f64 * DISTANCE;
        let paid = (1.0 + bounds.upper.exp()) * distance <= delta.value() * NOISE_FRACTION * 0.999;
        Ok(Bounds { upper: if paid || self.released == 0 { bounds.upper } else { f64::INFINITY }, ..bounds })
    }

    /// How far the run has come; secret.
    pub fn progress(&self) -> CorrelatedProgress {
        let progress = Progress { steps: self.released_steps(), released: self.released, run: self.run };
        CorrelatedProgress { progress, sums: self.sums.clone(), averages: self.averages.clone() }
    }

    /// Takes up a run where an earlier process left it. Limits and errors as for [`crate::PrivateSteps::resume`].
    ///
    /// # Errors
    ///
    /// [`Error::ForeignRun`], [`Error::StepsExhausted`]; [`Error::ForeignRun`] too when what is kept of the last steps
    /// does not fit together.
    pub fn resume(self, progress: CorrelatedProgress) -> Result<Self, Error> {
        let CorrelatedProgress { progress: Progress { steps, released, run }, sums, averages } = progress;
        if steps > self.max_steps() {
            return Err(Error::StepsExhausted { max_steps: self.max_steps() });
        }
        let width = sums.front().map_or(0, Vec::len);
        let bands = self.mechanism.factor.coefficients().len() as u64;
        let kept = |most: u64| steps.min(most) as usize;
        let whole = sums.len() == kept(bands)
            && averages.len() == kept((bands - 1).max(1))
            && sums.iter().map(Vec::len).chain(averages.iter().map(Vec::len)).all(|length| length == width)
            && released == steps * width as u64;
        if run != self.run || self.steps > 0 || !whole {
            return Err(Error::ForeignRun);
        }
        Ok(Self { steps, released, sums, averages, ..self })
    }

    /// As for [`crate::PrivateSteps::seal`].
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

    /// Steps of the run.
    pub const fn max_steps(&self) -> u64 {
        self.mechanism.participation.steps() as u64
    }

    fn separation(&self) -> usize {
        self.mechanism.participation.separation().min(self.mechanism.participation.steps())
    }

    /// Number of rows over the separation: what a sum is divided by.
    pub fn expected_batch_size(&self) -> f64 {
        self.rows as f64 / self.separation() as f64
    }

    /// L2 norm to which each row's vector is to be clipped.
    pub const fn clipping_norm(&self) -> f64 {
        self.mechanism.clipping_norm
    }

    /// The neighbouring relation of what is released.
    pub const fn adjacency(&self) -> Adjacency {
        Adjacency::ZeroOut
    }

    /// The mechanism of the run.
    pub const fn mechanism(&self) -> &CorrelatedGaussian {
        &self.mechanism
    }
}

#[cfg(test)]
#[path = "correlated_tests.rs"]
mod tests;
