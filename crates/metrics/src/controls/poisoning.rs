//! Controls of backdoors: a model that obeys the trigger, and one that cannot see it.

use rand::RngExt;
use underpin_core::{Attack, Control, Examples, Inputs, Seed, Shape, Trigger};

use super::bounds::{at_least, at_most, deviations};
use super::targets::{Rule, class_of};
use crate::Error;
use crate::interval::Proportion;
use crate::poisoning::Backdoor;
use crate::random::stream;

/// Samples of each control.
const SAMPLES: usize = 300;

/// Controls of `attack` on examples of `shape` in `classes` classes: attack success rate on a predictor that answers
/// the target class whenever it sees the trigger, and on one that answers by a hash of all other features.
///
/// # Errors
///
/// Those of the attack: a target class that is none of the classes.
pub fn backdoor(attack: &Backdoor, shape: &Shape, classes: usize, seed: Seed) -> Result<Vec<Control>, Error> {
    let mut rng = stream(seed.derive("planted"));
    let values = (0..SAMPLES * shape.size()).map(|_| rng.random::<f32>()).collect();
    let labels = (0..SAMPLES).map(|sample| sample % classes.max(1)).collect();
    let samples = Examples::new(Inputs::new(shape.clone(), values)?, labels, classes)?;
    let trigger = &attack.trigger;
    let blind = |row: &[f32]| class_of(&without(row, trigger), classes, seed.derive("answers"));
    let obedient = |row: &[f32]| if bears(row, trigger) { trigger.target } else { blind(row) };
    let success = |triggered: &[bool]| Proportion::of(triggered).value();
    let fooled = attack.run(&Rule { classes, label: obedient }, &samples, seed)?.fooled;
    let ignored = attack.run(&Rule { classes, label: blind }, &samples, seed)?.fooled;
    let guess = 1.0 / classes as f64;
    let chance = guess + deviations() * (guess * (1.0 - guess) / ignored.len() as f64).sqrt();
    Ok(vec![
        at_least("predictor that obeys the trigger", success(&fooled), 0.99),
        at_most("predictor that does not see the trigger", success(&ignored), chance),
    ])
}

/// The row with the trigger on, which hides what was under it.
fn without(row: &[f32], trigger: &Trigger) -> Vec<f32> {
    let mut row = row.to_vec();
    trigger.stamp(&mut row);
    row
}

#[allow(clippy::float_cmp, reason = "a stamped feature has exactly this value")]
fn bears(row: &[f32], trigger: &Trigger) -> bool {
    without(row, trigger) == row
}
