//! A predictor that says less than it knows.

use std::fmt;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict};
use underpin_privacy::SecretKey;

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
}

impl fmt::Display for Perturb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Round { decimals } => write!(f, "rounded to {decimals} decimals"),
            Self::TopK { k } => write!(f, "top {k}"),
            Self::Label => f.write_str("label only"),
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
/// No ε is claimed for any mode, noise included: inputs that differ in the last bit get noise of their own, so an
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
    /// The key must be this model's alone (derive it from the model's digest) and outlive a restart: with two keys,
    /// or two models under one key, a client can subtract what the noise hides.
    pub fn new(inner: P, perturb: Perturb, key: SecretKey) -> Self {
        Self { inner, perturb, key }
    }

    /// What is done to scores.
    pub fn perturb(&self) -> Perturb {
        self.perturb
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
        let disclosure = narrower(outputs.disclosure(), self.perturb);
        let mut scores = Vec::with_capacity(outputs.scores().len());
        for row in outputs.rows() {
            scores.extend(self.perturb.row(row));
        }
        Outputs::new(outputs.classes(), scores, disclosure).map_err(|_| broken("has no class"))
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

impl Perturb {
    fn row(self, scores: &[f32]) -> Vec<f32> {
        match self {
            Self::None => scores.to_vec(),
            Self::Round { decimals } => scores.iter().map(|score| round(*score, decimals)).collect(),
            Self::TopK { k } => best(scores, k.get(), |score| score),
            Self::Label => best(scores, 1, |_| 1.0),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what is asked for")]
fn round(score: f32, decimals: u8) -> f32 {
    let unit = 10_f64.powi(decimals.into());
    ((f64::from(score) * unit).round() / unit) as f32
}

/// The `k` best scores as `shown`, the others 0; of equals the lower class is better.
fn best(scores: &[f32], k: usize, shown: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut kept = vec![0.0; scores.len()];
    order.into_iter().take(k).for_each(|class| kept[class] = shown(scores[class]));
    kept
}
