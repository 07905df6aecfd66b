//! Batches replaced by their perturbed versions (Madry et al. 2018).

use std::convert::Infallible;

use underpin_core::{Attack, Denied, Examples, Inputs, Perturbed, Seed};

use crate::{Classifier, Error, PerturbedFault};

/// No adversary: plain batches. There is no value of it.
#[derive(Clone, Copy, Debug)]
pub enum NoAdversary {}

impl Attack<Classifier> for NoAdversary {
    type Outcome = Perturbed;
    type Error = Infallible;

    fn run(&self, _: &Classifier, _: &Examples, _: Seed) -> Result<Perturbed, Infallible> {
        match *self {}
    }
}

/// The batch as `adversary` perturbs it against `model`, moved by `fraction` of each perturbation.
pub(crate) fn perturbed<A>(
    adversary: &A,
    model: &Classifier,
    batch: Examples,
    seed: Seed,
    fraction: f64,
    step: u64,
) -> Result<Examples, Error>
where
    A: Attack<Classifier, Outcome = Perturbed>,
{
    if batch.is_empty() {
        return Ok(batch);
    }
    let outcome = adversary.run(model, &batch, seed);
    let outcome = outcome.map_err(|source| Error::Adversary { step, source: Box::new(source) })?;
    let refused = |fault| Error::Perturbed { step, fault };
    let (from, mut to) = (batch.inputs(), outcome.inputs);
    if to.len() != from.len() {
        return Err(refused(PerturbedFault::Count { found: to.len(), expected: from.len() }));
    }
    Denied::unless_valid(&to, from.shape()).map_err(|denied| refused(PerturbedFault::Inputs(denied)))?;
    if fraction < 1.0 {
        blend(from, &mut to, fraction);
    }
    Ok(batch.with_inputs(to)?)
}

/// Moves `to` to the point at `fraction` of the way from `from`.
#[allow(clippy::cast_possible_truncation, reason = "a fraction in [0, 1]")]
fn blend(from: &Inputs, to: &mut Inputs, fraction: f64) {
    for (to, from) in to.values_mut().iter_mut().zip(from.values()) {
        *to = from + fraction as f32 * (*to - from);
    }
}
