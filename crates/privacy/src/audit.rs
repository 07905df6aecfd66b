//! What one run with canaries proves about its ε.

use underpin_core::Delta;

use crate::Error;
use crate::error::within;

/// How an adversary did who guessed, of canaries that were each included by a fair coin, which ones were.
///
/// # Guarantees
///
/// 1. Whatever a mechanism that is (ε, δ)-differentially private for each canary released, and however the guesses
///    were made from it, [`epsilon_lower`](Self::epsilon_lower) exceeds ε with a probability of at most
///    `1 - confidence` (`an_honest_answer_is_rarely_refuted`).
///
/// The adversary may know everything but the coins and what the mechanism keeps secret (noise, Poisson samples). It
/// decides beforehand how many guesses it makes.
///
/// # Source
///
/// Steinke, Nasr and Jagielski, *Privacy Auditing with One (1) Training Run*, NeurIPS 2023, theorem 5.2 (theorem 3.1
/// for δ = 0): with `f(k) = P[Binomial(r, 1 / (1 + exp(-ε))) >= k]`, `v` of `r` guesses about `m` canaries are right
/// with a probability of at most `f(v) + 2 m δ max_i (f(v - i) - f(v)) / i`.
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::Guesses;
///
/// let guesses = Guesses { canaries: 1000, made: 200, right: 190 };
/// assert!(guesses.epsilon_lower(Delta::new(1e-5)?, 0.95)? > 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Guesses {
    /// Canaries, each included with probability ½, whether guessed or not; m in the paper.
    pub canaries: u32,
    /// Canaries that were guessed, r in the paper; about the others the adversary says nothing.
    pub made: u32,
    /// Guesses that were right, v in the paper.
    pub right: u32,
}

impl Guesses {
    /// Guesses by score: the `made / 2` highest were included, the `made / 2` lowest were not.
    ///
    /// `scores` and `included` are one per canary. Equal scores, and NaN as the highest, rank in the canaries' order,
    /// which the coins do not know.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless there are as many coins as scores, `2^32 - 1` at most, and `made` is even and not
    /// above their number.
    pub fn by_score(scores: &[f64], included: &[bool], made: u32) -> Result<Self, Error> {
        let canaries = u32::try_from(scores.len()).ok().filter(|_| scores.len() == included.len());
        let canaries = canaries.ok_or(Error::out_of_range(
            "coins",
            included.len() as f64,
            "one for each score, 2^32 - 1 at most",
        ))?;
        within("guesses", f64::from(made), "an even number, at most that of canaries", |_| {
            made.is_multiple_of(2) && made <= canaries
        })?;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let side = made as usize / 2;
        let out = order[..side].iter().filter(|canary| !included[**canary]).count();
        let inside = order[order.len() - side..].iter().filter(|canary| included[**canary]).count();
        Ok(Self { canaries, made, right: (out + inside) as u32 })
    }

    /// The probability, or more, with which a mechanism that is (`epsilon`, `delta`)-private lets so many guesses be
    /// right; in `[0, 1]`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for more right than made, or made than canaries, or an `epsilon` that is negative or NaN.
    pub fn p_value(&self, epsilon: f64, delta: f64) -> Result<f64, Error> {
        within("guesses", f64::from(self.made), "[right, canaries]", |_| {
            self.right <= self.made && self.made <= self.canaries
        })?;
        within("epsilon", epsilon, "[0, inf]", |epsilon| epsilon >= 0.0)?;
        within("delta", delta, "[0, 1]", |delta| (0.0..=1.0).contains(&delta))?;
        let (made, right) = (self.made, self.right);
        let tail: f64 = (right..=made).rev().map(|count| probability(made, count, epsilon)).sum();
        let (mut below, mut steepest) = (0.0, 0.0_f64);
        for i in 1..=right {
            below += probability(made, right - i, epsilon);
            steepest = steepest.max(below / f64::from(i));
        }
        // The logarithms are off by less than 1e-8.
        Ok(((tail + 2.0 * f64::from(self.canaries) * delta * steepest) * (1.0 + 1e-6)).min(1.0))
    }

    /// The ε that the mechanism exceeds at `delta`, with `confidence`; 0 where nothing is proven.
    ///
    /// Unit: nats. A mechanism that is private at some ε is so at every larger one, so that refuting one value refutes
    /// all below it.
    ///
    /// # Errors
    ///
    /// As for [`p_value`](Self::p_value); [`Error::OutOfRange`] unless `confidence` lies in `[0.5, 1)`.
    pub fn epsilon_lower(&self, delta: Delta, confidence: f64) -> Result<f64, Error> {
        let confidence = within("confidence", confidence, "[0.5, 1)", |level| (0.5..1.0).contains(&level))?;
        let refuted = |epsilon| Ok::<_, Error>(self.p_value(epsilon, delta.value())? <= 1.0 - confidence);
        let (mut low, mut high) = (0.0, 64.0);
        if !refuted(low)? {
            return Ok(0.0);
        }
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if refuted(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// `P[Binomial(trials, 1 / (1 + exp(-epsilon))) = count]`.
fn probability(trials: u32, count: u32, epsilon: f64) -> f64 {
    let wrong = trials - count;
    let factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
    let choose = factorial(trials) - factorial(count) - factorial(wrong);
    // ln q = -ln(1 + e^-ε), ln (1 - q) = ln q - ε; an infinite ε times no wrong guess is 0.
    let log_right = -(-epsilon).exp().ln_1p();
    let wrong = if wrong == 0 { 0.0 } else { f64::from(wrong) * epsilon };
    (choose + f64::from(trials) * log_right - wrong).exp()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn delta(value: f64) -> Delta {
        Delta::new(value).unwrap()
    }

    /// Exact sums by hand: 3 of 4 right at ε = ln 3, so q = 3/4: f(3) = 189/256, f(2) - f(3) = 54/256,
    /// f(1) - f(3) = 66/256, f(0) - f(3) = 67/256.
    #[test]
    fn probabilities_are_those_worked_out_by_hand() {
        let guesses = Guesses { canaries: 10, made: 4, right: 3 };
        let found = guesses.p_value(3f64.ln(), 0.01).unwrap();
        let expected = 189.0 / 256.0 + 2.0 * 10.0 * 0.01 * 54.0 / 256.0;
        assert!(found >= expected && found < expected * (1.0 + 3e-6), "{found} {expected}");
        let all = Guesses { canaries: 20, made: 20, right: 20 };
        assert!((all.p_value(0.0, 0.0).unwrap() * 2f64.powi(20) - 1.0).abs() < 1e-5);
        assert_eq!(all.p_value(f64::INFINITY, 0.0).unwrap(), 1.0);
    }

    /// All of 100 guesses right at δ = 0: refuted below the ε with `(1 + exp(-ε))^-100 = 0.05`.
    #[test]
    fn the_bound_is_the_known_one_without_delta() {
        let guesses = Guesses { canaries: 100, made: 100, right: 100 };
        let found = guesses.epsilon_lower(delta(1e-300), 0.95).unwrap();
        let expected = -(0.05f64.powf(-0.01) - 1.0).ln();
        assert!(found <= expected && found > expected - 1e-4, "{found} {expected}");
        let loose = guesses.epsilon_lower(delta(1e-3), 0.95).unwrap();
        assert!(loose < found && loose > 0.0);
        assert_eq!(Guesses { right: 50, ..guesses }.epsilon_lower(delta(1e-5), 0.95).unwrap(), 0.0);
    }

    /// Guarantee 1, at the mechanism that reaches the bound: each answer is right with probability `1/(1 + exp(-ε))`.
    /// 2,000 audits at confidence 0.9: more than 200 + 6 * 13.4 false alarms have a probability below 1e-8.
    #[test]
    fn an_honest_answer_is_rarely_refuted() {
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([5; 32]);
        let (epsilon, made) = (1.0f64, 200);
        let truth = 1.0 / (1.0 + (-epsilon).exp());
        let alarms = (0..2000).filter(|_| {
            let right = (0..made).filter(|_| rng.random::<f64>() < truth).count() as u32;
            let guesses = Guesses { canaries: made, made, right };
            guesses.epsilon_lower(delta(1e-9), 0.9).unwrap() > epsilon
        });
        let alarms = alarms.count();
        assert!((50..281).contains(&alarms), "{alarms}");
    }

    #[test]
    fn scores_are_ranked() {
        let included = [true, false, true, false, false, true];
        let scores = [3.0, -1.0, 2.5, 0.0, 0.1, f64::NEG_INFINITY];
        let guesses = Guesses::by_score(&scores, &included, 4).unwrap();
        assert_eq!(guesses, Guesses { canaries: 6, made: 4, right: 3 });
        assert!(Guesses::by_score(&scores, &included, 3).is_err());
        assert!(Guesses::by_score(&scores, &included, 8).is_err());
        assert!(Guesses::by_score(&scores, &included[..5], 2).is_err());
        assert!(Guesses { canaries: 4, made: 5, right: 1 }.p_value(1.0, 0.0).is_err());
        assert!(Guesses { canaries: 9, made: 5, right: 6 }.p_value(1.0, 0.0).is_err());
        assert!(guesses.p_value(f64::NAN, 0.0).is_err());
        assert!(guesses.epsilon_lower(delta(0.1), 1.0).is_err());
    }
}
