//! Output perturbation: scores rounded, cut to the top k or the label, or with noise.

use std::fmt;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict};
use underpin_privacy::{DiscreteGaussian, DiscreteLaplace, SecretKey, SecretStream};

use crate::Error;

/// Scores and noise are added on multiples of `2^-20`, as integers: no floating-point bits reveal the score.
const GRID: f64 = (1 << 20) as f64;

/// How wide noise on scores is. Range: `[2^-16, 16]`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Scale(f64);

impl Scale {
    /// Checks the range.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] outside `[2^-16, 16]`; NaN always.
    pub fn new(value: f64) -> Result<Self, Error> {
        if (0.5_f64.powi(16)..=16.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Error::out_of_range("scale of noise", value, "[2^-16, 16]"))
        }
    }

    /// The number itself.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Scale {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self, Error> {
        Self::new(value)
    }
}

impl From<Scale> for f64 {
    fn from(scale: Scale) -> Self {
        scale.0
    }
}

/// What is done to scores before a client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Perturb {
    /// Nothing.
    None,
    /// Each score is rounded to the nearest multiple of `10^-decimals`; halves away from 0.
    Round {
        /// Decimals kept; 7 and more change nothing that an `f32` shows.
        decimals: u8,
    },
    /// The `k` best scores stay, the others become 0; of equals the lower class stays.
    TopK {
        /// Classes disclosed; more than there are is all of them.
        k: NonZeroUsize,
    },
    /// The best class becomes 1, the others 0; of equals the lower class wins.
    Label,
    /// Discrete Laplace noise is added to each score, and the sum cut to `[0, 1]`.
    Laplace {
        /// Scale `b`: noise `x` has density about `exp(-|x|/b) / 2b`.
        scale: Scale,
    },
    /// Discrete Gaussian noise is added to each score, and the sum cut to `[0, 1]`.
    Gaussian {
        /// Standard deviation.
        sigma: Scale,
    },
}

impl fmt::Display for Perturb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Round { decimals } => write!(f, "rounded to {decimals} decimals"),
            Self::TopK { k } => write!(f, "top {k}"),
            Self::Label => f.write_str("label only"),
            Self::Laplace { scale } => write!(f, "Laplace noise of scale {}", scale.0),
            Self::Gaussian { sigma } => write!(f, "Gaussian noise of sigma {}", sigma.0),
        }
    }
}

/// Perturbs the answers of `inner`; the best class is that of the perturbed scores.
///
/// Makes scores a poorer teacher (extraction) and a poorer witness (membership inference, inversion).
///
/// # Guarantees
///
/// 1. Scores given lie in `[0, 1]`; if `inner` gives another, or NaN, nothing is answered
///    (`scores_stay_in_the_unit_interval`).
/// 2. The same input gets the same answer for the same key, so that asking again averages nothing away
///    (`the_same_question_gets_the_same_noise`).
/// 3. What `inner` withholds stays withheld (`what_is_withheld_stays_withheld`).
///
/// # Limits
///
/// No ε is claimed for any mode, noise included: nothing bounds how far one training row moves a score, and inputs that differ in the last bit get noise of their own, so an
/// adversary who asks for many near neighbours averages it away at one query each. The query limit bounds that; the
/// attacks of `underpin-metrics` measure what is left. Rounding, top-k and label-only leave label-only attacks as they
/// are.
///
/// # Examples
///
/// ```
/// use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
/// use underpin_privacy::SecretKey;
/// use underpin_serve::{OutputPerturbation, Perturb};
///
/// struct Model;
/// impl Predict for Model {
///     fn predict(&self, _: &Inputs) -> Result<Outputs, Denied> {
///         Ok(Outputs::new(3, vec![0.125, 0.25, 0.625], Disclosure::Scores).expect("three scores"))
///     }
/// }
///
/// let guarded = OutputPerturbation::new(Model, Perturb::Round { decimals: 1 }, SecretKey::from_os()?);
/// let answer = guarded.predict(&Inputs::new(Shape::new([1])?, vec![0.5])?)?;
/// assert_eq!(answer.scores(), [0.1, 0.3, 0.6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OutputPerturbation<P> {
    inner: P,
    perturb: Perturb,
    key: SecretKey,
}

impl<P> OutputPerturbation<P> {
    /// Perturbs the answers of `inner` as `perturb` says; noise is drawn from `key`.
    ///
    /// The key must be this model's alone (derive it from the model's digest) and outlive a restart: with two keys
    /// a client averages, and with two models under one key it subtracts.
    pub fn new(inner: P, perturb: Perturb, key: SecretKey) -> Self {
        Self { inner, perturb, key }
    }

    /// What is done to scores.
    pub fn perturb(&self) -> Perturb {
        self.perturb
    }

    /// Random bits of this input, mode and key alone.
    fn stream(&self, input: &[f32]) -> SecretStream {
        let (mode, scale) = match self.perturb {
            Perturb::Laplace { scale } => (b"laplace".as_slice(), scale.0),
            Perturb::Gaussian { sigma } => (b"gaussian".as_slice(), sigma.0),
            _ => (b"".as_slice(), 0.0),
        };
        // Adding 0 makes -0 and 0, which no model distinguishes, one input.
        let bytes: Vec<u8> = input.iter().flat_map(|value| (value + 0.0).to_le_bytes()).collect();
        self.key.stream("output perturbation", &[mode, &scale.to_le_bytes(), &bytes])
    }

    fn row(&self, input: &[f32], scores: &[f32], disclosed: Disclosure) -> Vec<f32> {
        let noisy = |mut sample: Box<dyn FnMut() -> i64>| {
            // What was withheld, a 0, stays withheld.
            let shown = |score: f32| disclosed == Disclosure::Scores || score > 0.0;
            scores.iter().map(|score| if shown(*score) { add(*score, sample()) } else { 0.0 }).collect()
        };
        match self.perturb {
            Perturb::None => scores.to_vec(),
            Perturb::Round { decimals } => scores.iter().map(|score| round(*score, decimals)).collect(),
            Perturb::TopK { k } => best(scores, k.get(), |score| score),
            Perturb::Label => best(scores, 1, |_| 1.0),
            Perturb::Laplace { scale } => {
                let noise = DiscreteLaplace::new(scale.0 * GRID).expect("invariant: 2^4 <= scale on the grid <= 2^24");
                let mut stream = self.stream(input);
                noisy(Box::new(move || noise.sample(&mut stream)))
            }
            Perturb::Gaussian { sigma } => {
                let noise = DiscreteGaussian::new(sigma.0 * GRID).expect("invariant: 2^4 <= sigma on the grid <= 2^24");
                let mut stream = self.stream(input);
                noisy(Box::new(move || noise.sample(&mut stream)))
            }
        }
    }
}

impl<P: Predict> Predict for OutputPerturbation<P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let outputs = self.inner.predict(inputs)?;
        let broken = |reason: &str| Denied::Unavailable { reason: format!("the model {reason}") };
        if outputs.len() != inputs.len() {
            return Err(broken("does not answer each input"));
        }
        if !outputs.scores().iter().all(|score| (0.0..=1.0).contains(score)) {
            return Err(broken("gives a score outside [0, 1]"));
        }
        let disclosed = outputs.disclosure();
        let rows = inputs.rows().zip(outputs.rows());
        let scores = rows.flat_map(|(input, scores)| self.row(input, scores, disclosed)).collect();
        Outputs::new(outputs.classes(), scores, narrower(disclosed, self.perturb)).map_err(|_| broken("has no class"))
    }
}

/// The lesser of what was disclosed so far and what `perturb` lets through.
fn narrower(disclosure: Disclosure, perturb: Perturb) -> Disclosure {
    match (disclosure, perturb) {
        (Disclosure::Label, _) | (_, Perturb::Label) => Disclosure::Label,
        (Disclosure::TopK(most), Perturb::TopK { k }) => Disclosure::TopK(most.min(k.get())),
        (Disclosure::Scores, Perturb::TopK { k }) => Disclosure::TopK(k.get()),
        (disclosure, _) => disclosure,
    }
}

/// Score and noise summed on the grid, cut to `[0, 1]`.
#[allow(clippy::cast_possible_truncation, reason = "the score is in [0, 1]; a multiple of 2^-20 there is an f32")]
fn add(score: f32, noise: i64) -> f32 {
    let sum = ((f64::from(score) * GRID).round() as i64).saturating_add(noise);
    (sum.clamp(0, GRID as i64) as f64 / GRID) as f32
}

#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what is asked for")]
fn round(score: f32, decimals: u8) -> f32 {
    let unit = 10_f64.powi(decimals.into());
    ((f64::from(score) * unit).round() / unit) as f32
}

/// The `k` best scores as `shown`, the others 0; of equals the lower class is better.
fn best(scores: &[f32], k: usize, shown: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // OK because scores are numbers in [0, 1]; adding 0 makes -0 and 0 equals.
    order.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    let mut kept = vec![0.0; scores.len()];
    order.into_iter().take(k).for_each(|class| kept[class] = shown(scores[class]));
    kept
}

#[cfg(test)]
#[path = "perturb_tests.rs"]
mod tests;
