//! Controls of extraction: a victim that can be learnt, and one that answers at random.

use rand::RngExt;
use underpin_core::{Attack, Control, Examples, Predict, Seed, Trainer};

use super::bounds::{at_least, at_most, deviations};
use super::targets::{Rule, around, class_of, pattern};
use crate::Error;
use crate::extraction::{Knockoff, agreement};
use crate::interval::Proportion;
use crate::random::stream;

/// Inputs on which the extracted models are compared with the victim.
const HELD_OUT: usize = 300;
/// Most queries spent on a victim.
const MOST_QUERIES: usize = 1000;

/// Controls of `attack`, with its surrogate, its budget (at most 1,000) and as many owned rows: fidelity on a victim
/// that names the nearest of its templates, one per class, and fidelity gain on one that answers by a hash of the
/// input.
///
/// The labels of the owned rows are drawn at random, so they carry no information on either victim. The first must be extracted
/// to 0.4 of the way from guessing to certainty.
///
/// # Errors
///
/// Those of the attack; [`Error::OutOfRange`] with fewer than two classes.
pub fn knockoff<R>(attack: &Knockoff<'_, R>, seed: Seed) -> Result<Vec<Control>, Error>
where
    R: Trainer + ?Sized,
    R::Model: Predict,
{
    let (shape, classes) = (attack.owned.inputs().shape().clone(), attack.owned.classes());
    if classes < 2 {
        return Err(Error::out_of_range("classes", classes as f64, "[2, inf)"));
    }
    let mut rng = stream(seed.derive("planted"));
    let templates: Vec<_> = (0..classes).map(|_| pattern(&shape, &mut rng)).collect();
    let budget = attack.budget.min(MOST_QUERIES);
    let rows = attack.owned.len() + budget + HELD_OUT;
    let all = around(&templates, &shape, rows, 0.3, 0.1, &mut rng)?;
    let part = |from: usize, to: usize| all.select(&(from..to).collect::<Vec<_>>());
    let owned = part(0, attack.owned.len());
    let owned = owned.with_labels(owned.labels().iter().map(|_| rng.random_range(0..classes)).collect())?;
    let trial = Trial {
        attack: Knockoff { surrogate: attack.surrogate, budget, owned: &owned },
        pool: part(owned.len(), owned.len() + budget),
        held_out: part(owned.len() + budget, rows),
        seed,
    };
    let nearest = |row: &[f32]| {
        let distance = |template: &[f64]| {
            template.iter().zip(row).map(|(t, x)| (0.5 + 0.3 * t - f64::from(*x)).powi(2)).sum::<f64>()
        };
        let distances: Vec<f64> = templates.iter().map(|template| distance(template)).collect();
        (0..classes).min_by(|a, b| distances[*a].total_cmp(&distances[*b])).unwrap_or(0)
    };
    let random = |row: &[f32]| class_of(row, classes, seed.derive("answers"));
    // Two agreements of chance 1 / classes; their difference spreads most where they oppose each other.
    let guess = 1.0 / classes as f64;
    let chance = 2.0 * deviations() * (guess * (1.0 - guess) / HELD_OUT as f64).sqrt();
    let (learnt, _) = trial.fidelity(&Rule { classes, label: nearest })?;
    let (guessed, baseline) = trial.fidelity(&Rule { classes, label: random })?;
    Ok(vec![
        at_least("victim that names the nearest template", learnt, guess + 0.4 * (1.0 - guess)),
        at_most("victim that answers by a hash of the input", guessed - baseline, chance),
    ])
}

/// The attack, its pool of inputs, and the inputs it is judged on.
struct Trial<'a, R: ?Sized> {
    attack: Knockoff<'a, R>,
    pool: Examples,
    held_out: Examples,
    seed: Seed,
}

impl<R: Trainer + ?Sized> Trial<'_, R>
where
    R::Model: Predict,
{
    /// Fidelity of the extracted model and of the baseline.
    fn fidelity<V: Predict>(&self, victim: &V) -> Result<(f64, f64), Error> {
        let seed = self.seed.derive("control");
        let extracted = self.attack.run(victim, &self.pool, seed)?;
        let baseline = self.attack.baseline(seed)?;
        let classes = self.held_out.classes();
        let inputs = self.held_out.inputs();
        let agreement = agreement(victim, &extracted.model, &baseline, inputs, classes, extracted.queries)?;
        Ok((Proportion::of(&agreement.extracted).value(), Proportion::of(&agreement.baseline).value()))
    }
}
