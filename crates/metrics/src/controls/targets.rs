//! Targets of controls: a linear model, patterns, and labels by hash.

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Denied, Disclosure, Examples, Inputs, LossGradient, Outputs, Predict, Seed, Shape};

use crate::Error;
use crate::random::normal;

/// A linear softmax model.
#[derive(Clone, Debug)]
pub(crate) struct Softmax {
    /// Shape of one example.
    pub(crate) shape: Shape,
    /// `[class][feature]`.
    pub(crate) weights: Vec<Vec<f64>>,
    /// `[class]`.
    pub(crate) bias: Vec<f64>,
}

impl Softmax {
    fn probabilities(&self, row: &[f32]) -> Vec<f64> {
        let logit = |(weights, bias): (&Vec<f64>, &f64)| {
            weights.iter().zip(row).map(|(weight, value)| weight * f64::from(*value)).sum::<f64>() + bias
        };
        let logits: Vec<f64> = self.weights.iter().zip(&self.bias).map(logit).collect();
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let total: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|e| e / total).collect()
    }
}

impl Predict for Softmax {
    #[allow(clippy::cast_possible_truncation, reason = "scores are 32 bits wide")]
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Denied::unless_valid(inputs, &self.shape)?;
        let scores = inputs.rows().flat_map(|row| self.probabilities(row)).map(|p| p as f32).collect();
        scores_of(self.bias.len(), scores, Disclosure::Scores)
    }
}

impl LossGradient for Softmax {
    #[allow(clippy::cast_possible_truncation, reason = "gradients are 32 bits wide")]
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        Denied::unless_valid(inputs, &self.shape)?;
        let mut gradients = inputs.clone();
        for ((row, label), gradient) in
            inputs.rows().zip(labels).zip(gradients.values_mut().chunks_exact_mut(self.shape.size()))
        {
            let mut errors = self.probabilities(row);
            errors[*label] -= 1.0;
            for (at, gradient) in gradient.iter_mut().enumerate() {
                *gradient = errors.iter().zip(&self.weights).map(|(e, weights)| e * weights[at]).sum::<f64>() as f32;
            }
        }
        Ok(gradients)
    }
}

/// A predictor by a function of one input that gives its label; the label alone is disclosed.
pub(super) struct Rule<F> {
    pub(super) classes: usize,
    pub(super) label: F,
}

impl<F: Fn(&[f32]) -> usize> Predict for Rule<F> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let mut scores = vec![0.0; inputs.len() * self.classes];
        for (row, scores) in inputs.rows().zip(scores.chunks_exact_mut(self.classes)) {
            scores[(self.label)(row)] = 1.0;
        }
        scores_of(self.classes, scores, Disclosure::Label)
    }
}

pub(super) fn scores_of(classes: usize, scores: Vec<f32>, disclosure: Disclosure) -> Result<Outputs, Denied> {
    Outputs::new(classes, scores, disclosure).map_err(|error| Denied::Unavailable { reason: error.to_string() })
}

/// A seed that depends on every value of a row.
pub(super) fn hash(row: &[f32], seed: Seed) -> Seed {
    row.iter().fold(seed, |seed, value| seed.nth(u64::from(value.to_bits())))
}

/// A class by hash, uniform over `classes`.
pub(super) fn class_of(row: &[f32], classes: usize, seed: Seed) -> usize {
    // OK because a remainder is below the number of classes.
    usize::try_from(hash(row, seed).0 % classes as u64).unwrap_or(0)
}

/// A pattern in `[-1, 1]`: three random waves across an image, white noise of ±1 on a table.
pub(super) fn pattern(shape: &Shape, rng: &mut ChaCha12Rng) -> Vec<f64> {
    let Some([channels, height, width]) = shape.image() else {
        return white(shape, rng);
    };
    let mut values = vec![0.0; shape.size()];
    for channel in values.chunks_exact_mut(height * width) {
        for _ in 0..3 {
            let frequency = |rng: &mut ChaCha12Rng, length: usize| {
                std::f64::consts::TAU * rng.random_range(-1.5..1.5) / length as f64
            };
            let (down, right) = (frequency(rng, height), frequency(rng, width));
            let phase = std::f64::consts::TAU * rng.random::<f64>();
            for (at, value) in channel.iter_mut().enumerate() {
                *value += (down * (at / width) as f64 + right * (at % width) as f64 + phase).cos() / 3.0;
            }
        }
    }
    debug_assert_eq!(values.len(), channels * height * width);
    values
}

/// A pattern of ±1, each feature by itself.
pub(super) fn white(shape: &Shape, rng: &mut ChaCha12Rng) -> Vec<f64> {
    (0..shape.size()).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect()
}

/// Inputs around one template per class, in turn: grey, plus `contrast` times the template, plus noise.
#[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
pub(super) fn around(
    templates: &[Vec<f64>],
    shape: &Shape,
    count: usize,
    contrast: f64,
    noise: f64,
    rng: &mut ChaCha12Rng,
) -> Result<Examples, Error> {
    let labels: Vec<usize> = (0..count).map(|example| example % templates.len()).collect();
    let mut values = Vec::with_capacity(count * shape.size());
    for label in &labels {
        for template in &templates[*label] {
            values.push((0.5 + contrast * template + noise * normal(rng)).clamp(0.0, 1.0) as f32);
        }
    }
    Ok(Examples::new(Inputs::new(shape.clone(), values)?, labels, templates.len())?)
}
