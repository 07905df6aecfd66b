//! Controls of inversion attacks: a model made of its classes' templates, and one made of noise.

use underpin_core::{Attack, Control, Seed, Shape};

use super::bounds::{at_least, at_most, deviations};
use super::targets::{Softmax, around, pattern, white};
use crate::Error;
use crate::inversion::{GradientInversion, QueryInversion, Reconstructions, likeness};
use crate::random::stream;

/// Classes of the targets.
const CLASSES: usize = 5;
/// Held-out members of each class.
const MEMBERS: usize = 20;

/// Controls of gradient inversion on examples of `shape`: inversion score on a linear model whose weights are its
/// classes' templates, and on one whose weights have nothing to do with them.
///
/// # Errors
///
/// Those of the attack.
pub fn gradient_inversion(attack: &GradientInversion, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    controls(attack, shape, seed)
}

/// Controls of query inversion, as those of [`gradient_inversion`]; both targets answer with scores.
///
/// # Errors
///
/// Those of the attack.
pub fn query_inversion(attack: &QueryInversion, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error> {
    controls(attack, shape, seed)
}

fn controls<A>(attack: &A, shape: &Shape, seed: Seed) -> Result<Vec<Control>, Error>
where
    A: Attack<Softmax, Outcome = Reconstructions, Error = Error>,
{
    let mut rng = stream(seed.derive("planted"));
    let smooth: Vec<_> = (0..CLASSES).map(|_| pattern(shape, &mut rng)).collect();
    let unrelated: Vec<_> = (0..CLASSES).map(|_| white(shape, &mut rng)).collect();
    let random: Vec<_> = (0..CLASSES).map(|_| white(shape, &mut rng)).collect();
    let mut score = |templates: &[Vec<f64>], weights: &[Vec<f64>]| -> Result<f64, Error> {
        let members = around(templates, shape, CLASSES * MEMBERS, 0.2, 0.1, &mut rng)?;
        let found = attack.run(&model(weights, shape), &members, seed.derive("control"))?;
        likeness(&found, &members)
    };
    // A random direction in d dimensions has a cosine of variance 1 / d to any other; one for each class.
    let chance = deviations() / ((shape.size() * CLASSES) as f64).sqrt();
    Ok(vec![
        at_least("linear model whose weights are the class templates", score(&smooth, &smooth)?, 0.2),
        at_most("linear model whose weights are unrelated to the classes", score(&random, &unrelated)?, chance),
    ])
}

/// Logits of 4 at a template of contrast 0.2.
fn model(weights: &[Vec<f64>], shape: &Shape) -> Softmax {
    let scaled = |weights: &Vec<f64>| {
        let square: f64 = weights.iter().map(|w| w * w).sum();
        weights.iter().map(|w| 20.0 * w / square).collect::<Vec<f64>>()
    };
    let weights: Vec<Vec<f64>> = weights.iter().map(scaled).collect();
    let bias = weights.iter().map(|weights| -0.5 * weights.iter().sum::<f64>()).collect();
    Softmax { shape: shape.clone(), weights, bias }
}
