//! Choosing one of several candidates by their scores.

use underpin_core::Epsilon;

use crate::discrete::{Scale, bernoulli_exp_neg, uniform};
use crate::{Cost, Error, SecretStream};

/// How far neighbouring data sets can move the scores apart: the sensitivity of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScoreChange {
    /// The difference of any two scores changes by at most this. Counts of rows, one row added or removed: 1.
    Range(u64),
    /// Each score changes by at most this, up or down: differences by at most twice as much. Votes, one vote changed: 1.
    Each(u64),
}

impl ScoreChange {
    /// The largest change of a difference of two scores.
    pub(crate) const fn range(self) -> u128 {
        match self {
            Self::Range(most) => most as u128,
            Self::Each(most) => 2 * most as u128,
        }
    }
}

/// Report-noisy-max: the candidate whose score is highest after each got exponential noise.
///
/// Drawn as the permute-and-flip mechanism, which has the same law (Ding et al. 2021): candidates in random order, each
/// kept with probability `exp((score - highest) / scale)`, the first kept is the answer. No worse in expectation than
/// the exponential mechanism at the same ε. The samples are exact: integers and uniform bits, no floating point.
///
/// # Guarantees
///
/// 1. One selection from scores that move by at most the stated change is ε-private, ε being that of
///    [`cost`](Self::cost), at most the one asked for (`noisy_max_follows_its_law`, `selections_keep_their_epsilon`).
///
/// # Limits
///
/// The time a draw takes depends on the scores.
///
/// # Source
///
/// McKenna and Sheldon, *Permute-and-Flip*, NeurIPS 2020, Algorithm 1 and Theorem 1, with `scale` for `2Δ/ε`; Ding,
/// Kifer, Saghaian et al., *The Permute-and-Flip Mechanism is Identical to Report-Noisy-Max with Exponential Noise*, 2021.
///
/// # Examples
///
/// The label that most of 100 models vote for, at ε = 1 for one vote changed (PATE, Papernot et al. 2017):
///
/// ```
/// use underpin_core::Epsilon;
/// use underpin_privacy::{NoisyMax, ScoreChange, SecretKey};
///
/// let votes = [3, 90, 7];
/// let mechanism = NoisyMax::new(ScoreChange::Each(1), Epsilon::new(1.0)?)?;
/// let mut stream = SecretKey::from_os()?.stream("votes", &[]);
/// assert_eq!(mechanism.select(&votes, &mut stream)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoisyMax {
    scale: Scale,
    change: ScoreChange,
}

impl NoisyMax {
    /// The mechanism that spends at most `epsilon` on scores that move by at most `change`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `change` is 0, or unless `range / epsilon` lies in `[2^-10, 2^40]`.
    pub fn new(change: ScoreChange, epsilon: Epsilon) -> Result<Self, Error> {
        Ok(Self { scale: Scale::covering(change.range(), epsilon)?, change })
    }

    /// What one selection costs: pure ε, at most the one asked for.
    pub fn cost(&self) -> Cost {
        Cost::Pure(self.scale.spends(self.change.range()))
    }

    /// Index of the candidate chosen; of equal scores each is as likely.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] without scores.
    pub fn select(&self, scores: &[i64], stream: &mut SecretStream) -> Result<usize, Error> {
        permute_and_flip(&gaps(scores)?, self.scale, stream)
    }

    #[cfg(feature = "statistics")]
    pub(crate) fn select_by_gap(&self, gaps: &[u64], stream: &mut SecretStream) -> Result<usize, Error> {
        permute_and_flip(gaps, self.scale, stream)
    }
}

/// The exponential mechanism: a candidate with probability proportional to `exp(score / scale)`.
///
/// The same as the highest score after Gumbel noise. Costs less than [`NoisyMax`] in a concentrated budget and is less
/// exact at the same ε. The samples are exact: a uniform candidate is kept with probability
/// `exp((score - highest) / scale)`, else drawn again.
///
/// # Guarantees
///
/// 1. One selection from scores that move by at most the stated change is ε-private and, its privacy loss having a range
///    of at most ε, ε²/8-zero-concentrated private (`exponential_follows_its_law`, `selections_keep_their_epsilon`).
///
/// # Limits
///
/// The time a draw takes depends on the scores: as many tries as there are candidates when one leads by far.
///
/// # Source
///
/// McSherry and Talwar, FOCS 2007; Cesar and Rogers, *Bounding, Concentrating, and Truncating*, ALT 2021, Lemma 3.4
/// (ε²/8).
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, ExponentialMechanism, ScoreChange, SecretKey};
///
/// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
/// let mut stream = SecretKey::from_os()?.stream("best model", &[]);
/// let mechanism = ExponentialMechanism::new(ScoreChange::Range(1), Epsilon::new(0.2)?)?;
/// // Right answers of three models on the same private rows.
/// let best = budget.reserve(mechanism.cost())?.answer(|| mechanism.select(&[910, 120, 85], &mut stream))?;
/// assert_eq!(best, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExponentialMechanism {
    scale: Scale,
    change: ScoreChange,
}

impl ExponentialMechanism {
    /// The mechanism that spends at most `epsilon` on scores that move by at most `change`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `change` is 0, or unless `range / epsilon` lies in `[2^-10, 2^40]`.
    pub fn new(change: ScoreChange, epsilon: Epsilon) -> Result<Self, Error> {
        Ok(Self { scale: Scale::covering(change.range(), epsilon)?, change })
    }

    /// ε of one selection, at most the one asked for.
    pub fn epsilon(&self) -> Epsilon {
        self.scale.spends(self.change.range())
    }

    /// What one selection costs: `ε²/8`, concentrated.
    pub fn cost(&self) -> Cost {
        let epsilon = self.epsilon().value();
        Cost::Concentrated(epsilon * epsilon / 8.0 * (1.0 + 4.0 * f64::EPSILON))
    }

    /// Index of the candidate chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] without scores.
    pub fn select(&self, scores: &[i64], stream: &mut SecretStream) -> Result<usize, Error> {
        let gaps = gaps(scores)?;
        loop {
            // OK because it is below the number of gaps.
            let candidate = uniform(stream, gaps.len() as u128) as usize;
            if kept(gaps[candidate], self.scale, stream) {
                return Ok(candidate);
            }
        }
    }
}

fn permute_and_flip(gaps: &[u64], scale: Scale, stream: &mut SecretStream) -> Result<usize, Error> {
    let mut left: Vec<usize> = (0..gaps.len()).collect();
    while !left.is_empty() {
        // OK because it is below the number of candidates left.
        let candidate = left.swap_remove(uniform(stream, left.len() as u128) as usize);
        if kept(gaps[candidate], scale, stream) {
            return Ok(candidate);
        }
    }
    // The highest score, gap 0, is always kept: only no candidate at all leads here.
    Err(Error::Nothing { what: "candidate to select from" })
}

/// True with probability `exp(-gap / scale)`.
fn kept(gap: u64, scale: Scale, stream: &mut SecretStream) -> bool {
    bernoulli_exp_neg(stream, Scale::whole(gap), scale.units())
}

/// How far each score lies below the highest.
fn gaps(scores: &[i64]) -> Result<Vec<u64>, Error> {
    let highest = scores.iter().max().ok_or(Error::Nothing { what: "candidate to select from" })?;
    Ok(scores.iter().map(|score| highest.abs_diff(*score)).collect())
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
