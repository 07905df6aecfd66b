//! Randomized response: a category that is perturbed where it is.

use underpin_core::Epsilon;

use crate::discrete::{bernoulli_exp_neg, uniform};
use crate::error::within;
use crate::{Cost, Error, SecretStream};

/// Resolution of ε: multiples of `2^-20`.
const EPSILON_BITS: u32 = 20;

/// Randomized response over `k` categories: the true one with probability `e^ε / (e^ε + k - 1)`, each other one with
/// probability `1 / (e^ε + k - 1)`.
///
/// Needs no sensitivity: whatever the true category depends on may change altogether. A predicted label given out this
/// way is ε-private in the model and in every row it learned from, however it learned; the label of a row sent to a
/// curator is ε-private in that row (local privacy). The samples are exact: a uniform category other than the true one
/// is kept with probability `e^-ε`, ε being a fraction, else drawn again.
///
/// # Guarantees
///
/// 1. One answer is ε-private, ε being that of [`cost`](Self::cost), at most the one asked for
///    (`responses_follow_their_law`).
///
/// # Limits
///
/// Asked twice about the same label with fresh randomness, it spends twice: each answer needs its cost, or the same
/// stream for the same question (as in `underpin-serve`), which gives the same answer again. The time a draw takes
/// depends on the draw.
///
/// # Source
///
/// Warner, JASA 1965; Kairouz, Oh and Viswanath, *Extremal Mechanisms for Local Differential Privacy*, JMLR 2016,
/// equation 2.
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, RandomizedResponse, SecretKey};
///
/// let budget = Budget::new(Epsilon::new(3.0)?, Delta::new(1e-6)?)?;
/// let response = RandomizedResponse::new(10, Epsilon::new(1.0)?)?;
/// let mut stream = SecretKey::from_os()?.stream("label", &[]);
/// let predicted = 7;
/// let told = budget.reserve(response.cost())?.answer(|| response.respond(predicted, &mut stream))?;
/// assert!(told < 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomizedResponse {
    categories: usize,
    /// ε in units of `2^-20`.
    epsilon: u64,
}

impl RandomizedResponse {
    /// Answers from `0..categories`; ε is rounded down to a multiple of `2^-20`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `categories` lies in `[2, 2^32]` and `epsilon` in `[2^-20, 64]`.
    pub fn new(categories: usize, epsilon: Epsilon) -> Result<Self, Error> {
        within("categories", categories as f64, "[2, 2^32]", |k| (2.0..=2f64.powi(32)).contains(&k))?;
        let unit = f64::from(1 << EPSILON_BITS);
        let epsilon = within("epsilon", epsilon.value(), "[2^-20, 64]", |e| (unit.recip()..=64.0).contains(&e))?;
        // OK because the product is exact, and at most 2^26.
        Ok(Self { categories, epsilon: (epsilon * unit) as u64 })
    }

    /// ε of one answer: exact.
    pub fn epsilon(&self) -> f64 {
        self.epsilon as f64 / f64::from(1 << EPSILON_BITS)
    }

    /// What one answer costs: pure ε.
    pub fn cost(&self) -> Cost {
        Cost::Pure(exactly(self.epsilon()))
    }

    /// Probability that the answer is the true category, to double precision; what estimates are corrected with.
    pub fn truth_probability(&self) -> f64 {
        1.0 / (1.0 + (self.categories as f64 - 1.0) * (-self.epsilon()).exp())
    }

    /// The answer for the category `truth`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `truth` lies below the number of categories.
    pub fn respond(&self, truth: usize, stream: &mut SecretStream) -> Result<usize, Error> {
        within("category", truth as f64, "[0, categories)", |_| truth < self.categories)?;
        loop {
            // OK because it is below the number of categories.
            let category = uniform(stream, self.categories as u128) as usize;
            let kept = category == truth || bernoulli_exp_neg(stream, self.epsilon.into(), 1 << EPSILON_BITS);
            if kept {
                return Ok(category);
            }
        }
    }
}

fn exactly(epsilon: f64) -> Epsilon {
    Epsilon::new(epsilon).expect("invariant: 2^-20 <= epsilon <= 64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    /// How often each category is answered, 400,000 times: within 6 standard deviations of its probability; false alarms
    /// below 1e-7 for the 19 checks together.
    #[test]
    fn responses_follow_their_law() {
        let mut stream = SecretKey::new([11; 32]).stream("responses", &[]);
        let draws = 400_000;
        for (categories, epsilon, truth) in [(2, 1.0986, 0), (2, 0.01, 1), (5, 2.5, 3), (10, 0.7, 9)] {
            let response = RandomizedResponse::new(categories, Epsilon::new(epsilon).unwrap()).unwrap();
            assert!(response.epsilon() <= epsilon && response.epsilon() > epsilon - 1e-6);
            let mut counts = vec![0u32; categories];
            for _ in 0..draws {
                counts[response.respond(truth, &mut stream).unwrap()] += 1;
            }
            let other = 1.0 / (response.epsilon().exp() + categories as f64 - 1.0);
            for (category, count) in counts.iter().enumerate() {
                let probability = if category == truth { response.truth_probability() } else { other };
                let deviation = (f64::from(draws) * probability * (1.0 - probability)).sqrt();
                let off = f64::from(*count) - f64::from(draws) * probability;
                assert!(off.abs() < 6.0 * deviation, "{category} of {categories}: {count}");
            }
            assert!((response.truth_probability() / other).ln() - response.epsilon() < 1e-12);
        }
    }

    #[test]
    fn categories_out_of_range_are_refused() {
        let epsilon = Epsilon::new(1.0).unwrap();
        assert!(RandomizedResponse::new(1, epsilon).is_err());
        assert!(RandomizedResponse::new(2, Epsilon::new(65.0).unwrap()).is_err());
        assert!(RandomizedResponse::new(2, Epsilon::new(1e-7).unwrap()).is_err());
        let mut stream = SecretKey::new([1; 32]).stream("response", &[]);
        assert!(RandomizedResponse::new(2, epsilon).unwrap().respond(2, &mut stream).is_err());
    }
}
