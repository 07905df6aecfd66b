//! Controls of evasion attacks: linear models, whose robustness is known exactly.

use underpin_core::{Attack, Control, Examples, Inputs, Norm, Perturbed, Radius, Seed, Shape};

use super::bounds::{at_least, at_most};
use super::targets::{Softmax, pattern};
use crate::Error;
use crate::evasion::{Pgd, RayS, Square, Transfer, judge};
use crate::interval::Proportion;
use crate::random::{normal, stream};

/// Samples per control.
const SAMPLES: usize = 50;
/// Margin of the weak model, as a fraction of what the ball can move it by.
const WEAK: f64 = 0.25;
/// Margin of the ideal model, likewise: no perturbation within the ball can turn it.
const IDEAL: f64 = 1.1;
/// Robust accuracy that an attack that works leaves of the weak model, at most.
const LEFT: f64 = 0.1;

/// Controls of PGD on examples of `shape`: robust accuracy on a linear model that a quarter of the radius breaks, and
/// on one with a margin beyond the radius, where anything but 1 means that the radius was not kept.
///
/// # Errors
///
/// Those of the attack.
pub fn pgd(attack: &Pgd, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    let known = KnownMargin::new(attack.norm, attack.radius, shape, seed)?;
    known.controls(attack, seed)
}

/// Controls of the square attack, as those of [`pgd`].
///
/// # Errors
///
/// Those of the attack.
pub fn square(attack: &Square, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    let known = KnownMargin::new(attack.norm, attack.radius, shape, seed)?;
    known.controls(attack, seed)
}

/// Controls of RayS, as those of [`pgd`].
///
/// # Errors
///
/// Those of the attack.
pub fn rays(attack: &RayS, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    let known = KnownMargin::new(Norm::Linf, attack.radius, shape, seed)?;
    known.controls(attack, seed)
}

/// Controls of the transfer attack, as those of [`pgd`]; the surrogate is the target with noise on its weights, and
/// the same mean margin.
///
/// # Errors
///
/// Those of the attack.
pub fn transfer(attack: &Pgd, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    let known = KnownMargin::new(attack.norm, attack.radius, shape, seed)?;
    let mut rng = stream(seed.derive("surrogate"));
    let mut surrogate = known.model(WEAK);
    let weights = &mut surrogate.weights[0];
    let noise = 0.3 * (weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64).sqrt();
    let mean = |weights: &[f64]| known.values(weights).sum::<f64>() / SAMPLES as f64;
    let before = mean(weights);
    for weight in weights.iter_mut() {
        *weight += noise * normal(&mut rng);
    }
    surrogate.bias[0] += before - mean(weights);
    known.controls(&Transfer { surrogate: &surrogate, attack: *attack }, seed)
}

/// Samples and a linear model whose margin on them is known.
struct KnownMargin {
    samples: Examples,
    /// Weights of the margin `class 0 - class 1`.
    weights: Vec<f64>,
    /// What the ball can move the margin by.
    reach: f64,
}

impl KnownMargin {
    /// Samples that vary at right angles to the weights, so that all have one margin.
    fn new(norm: Norm, radius: Radius, shape: &Shape, seed: Seed) -> Result<Self, Error> {
        let mut rng = stream(seed.derive("planted"));
        let mut weights = pattern(shape, &mut rng);
        let square: f64 = weights.iter().map(|w| w * w).sum();
        let mut values = Vec::with_capacity(SAMPLES * shape.size());
        for _ in 0..SAMPLES {
            let noise: Vec<f64> = weights.iter().map(|_| 0.1 * normal(&mut rng)).collect();
            let along = noise.iter().zip(&weights).map(|(n, w)| n * w).sum::<f64>() / square;
            #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
            let feature = |(n, w): (&f64, &f64)| (0.5 + n - along * w).clamp(0.0, 1.0) as f32;
            values.extend(noise.iter().zip(&weights).map(feature));
        }
        let size = match norm {
            Norm::Linf => weights.iter().map(|w| w.abs()).sum::<f64>(),
            Norm::L2 => square.sqrt(),
        };
        // The weak margin is 2 in logits, which leaves gradients their digits.
        let unit = 2.0 / (WEAK * radius.value() * size).max(1e-9);
        for weight in &mut weights {
            *weight *= unit;
        }
        let samples = Examples::new(Inputs::new(shape.clone(), values)?, vec![0; SAMPLES], 2)?;
        Ok(Self { samples, weights, reach: radius.value() * size * unit })
    }

    /// The product of each sample with `weights`.
    fn values(&self, weights: &[f64]) -> impl Iterator<Item = f64> {
        let value = |row: &[f32]| row.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>();
        self.samples.inputs().rows().map(value).collect::<Vec<_>>().into_iter()
    }

    /// The model whose margin, on the sample where it is least, is `margin` times the reach.
    fn model(&self, margin: f64) -> Softmax {
        let least = self.values(&self.weights).fold(f64::INFINITY, f64::min);
        Softmax {
            shape: self.samples.inputs().shape().clone(),
            weights: vec![self.weights.clone(), vec![0.0; self.weights.len()]],
            bias: vec![margin * self.reach - least, 0.0],
        }
    }

    fn controls<A>(&self, attack: &A, seed: Seed) -> Result<Vec<Control>, Error>
    where
        A: Attack<Softmax, Outcome = Perturbed, Error = Error>,
    {
        let robust = |model: Softmax| -> Result<f64, Error> {
            let perturbed = attack.run(&model, &self.samples, seed.derive("control"))?;
            Ok(Proportion::of(&judge(&model, &self.samples, &perturbed)?.robust).value())
        };
        Ok(vec![
            at_most("linear model with a margin of a quarter of the radius", robust(self.model(WEAK))?, LEFT),
            at_least("linear model with a margin beyond the radius", robust(self.model(IDEAL))?, 1.0),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves every feature by twice the radius against the weights.
    struct Cheat(Radius);

    impl Attack<Softmax> for Cheat {
        type Outcome = Perturbed;
        type Error = Error;

        #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
        fn run(&self, target: &Softmax, samples: &Examples, _: Seed) -> Result<Perturbed, Error> {
            let mut inputs = samples.inputs().clone();
            for row in inputs.values_mut().chunks_exact_mut(target.weights[0].len()) {
                for (value, weight) in row.iter_mut().zip(&target.weights[0]) {
                    *value = (f64::from(*value) - 2.0 * self.0.value() * weight.signum()).clamp(0.0, 1.0) as f32;
                }
            }
            Ok(Perturbed { inputs, norm: Norm::Linf, radius: self.0, queries: 0 })
        }
    }

    #[test]
    fn an_attack_that_breaks_the_radius_breaks_the_ideal_control() {
        let (radius, shape) = (Radius::new(0.1).unwrap(), Shape::new([1, 8, 8]).unwrap());
        let known = KnownMargin::new(Norm::Linf, radius, &shape, Seed(1)).unwrap();
        let found = known.controls(&Cheat(radius), Seed(1)).unwrap();
        assert!(found[0].passed() && !found[1].passed(), "{found:?}");
    }

    #[test]
    fn margins_are_what_they_are_said_to_be() {
        let (radius, shape) = (Radius::new(0.1).unwrap(), Shape::new([30]).unwrap());
        let known = KnownMargin::new(Norm::Linf, radius, &shape, Seed(1)).unwrap();
        let size: f64 = known.weights.iter().map(|w| w.abs()).sum();
        assert!((known.reach - 0.1 * size).abs() < 1e-9);
        let model = known.model(IDEAL);
        let margins = known.values(&known.weights).map(|value| value + model.bias[0]);
        let least = margins.fold(f64::INFINITY, f64::min);
        assert!((least - 1.1 * known.reach).abs() < 1e-9);
    }
}
