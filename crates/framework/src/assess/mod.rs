//! The attacks, run against the undefended and the defended system alike.

mod evasion;
mod extraction;
mod inversion;
mod membership;
mod poisoning;
mod scene;
mod side;
mod utility;

use underpin_core::{Confidence, Control, Record, Seed, System, Trainer};
use underpin_privacy::SecretKey;

use crate::Error;
use crate::collected::CollectedData;
use crate::config::{Attacks, Serving};
use crate::model::{Model, Recipe};

use scene::Scene;

pub(crate) use side::{Answers, Endpoint, Guard, Side, perturbed};

use crate::summary::{Picture, Reconstruction};
use underpin_metrics::inversion::Reconstructions;

/// Everything that is attacked.
pub(crate) struct Systems<'a, M, D, U> {
    pub(crate) collected: &'a CollectedData,
    pub(crate) model: &'a M,
    pub(crate) baseline: &'a M,
    pub(crate) recipe: &'a Recipe<D, U>,
    pub(crate) serving: &'a Serving,
    pub(crate) key: &'a SecretKey,
}

/// Runs every attack against both systems.
pub(crate) fn measure<M, D, U>(
    systems: &Systems<'_, M, D, U>,
    plan: &Attacks,
    confidence: Confidence,
    seed: Seed,
) -> Result<(Record, Vec<Reconstruction>), Error>
where
    M: Model,
    D: Trainer<Model = M> + Sync,
    U: Trainer<Model = M> + Sync,
{
    let Systems { collected, model, baseline, recipe, serving, key } = *systems;
    let scene = Scene { collected, plan, confidence };
    // The label of a random stream: another word would change the numbers of every seed.
    let fit = recipe.undefended.train(&collected.poisoned.raw, seed.derive("poisoned twin"));
    let poisoned_baseline = fit.map_err(|error| Error::training("poisoned baseline", error))?.value;
    let fit = recipe.defended.train(&collected.poisoned.sanitized, seed.derive("poisoned model"));
    let poisoned_model = fit.map_err(|error| Error::training("poisoned model", error))?.value;
    let undefended = Side {
        system: System::Undefended,
        model: baseline,
        trainer: &recipe.undefended,
        poisoned: &poisoned_baseline,
        endpoint: Endpoint::Bare(baseline),
        guard: None,
    };
    let guard = Guard { perturb: &serving.perturb, quota: serving.quota, key };
    let defended = Side {
        system: System::Defended,
        model,
        trainer: &recipe.defended,
        poisoned: &poisoned_model,
        endpoint: guard.around(model),
        guard: Some(guard),
    };
    let mut record = utility::measure(&scene, &undefended.endpoint, &defended.endpoint)?;
    let attacker = &recipe.adversary;
    let (attacked, before) = attack(&scene, &undefended, attacker, seed.derive("undefended"))?;
    record.merge(attacked);
    let (attacked, after) = attack(&scene, &defended, attacker, seed.derive("defended"))?;
    record.merge(attacked);
    weigh(&mut record, &plan.weaker_than(&collected.floor));
    Ok((record, pictures(collected, &before, &after)))
}

/// Attacks weaker than those that fit the data vouch for nothing: each result gets a control that it fails.
fn weigh(record: &mut Record, weaker: &[&str]) {
    if weaker.is_empty() {
        return;
    }
    let names = weaker.join(", ");
    tracing::warn!(settings = names, "attacks weaker than the defaults meet no bar");
    let control = Control {
        target: format!("strength of the defaults; weaker: {names}"),
        value: weaker.len() as f64,
        at_least: None,
        at_most: Some(0.0),
    };
    for measurement in record.measurements.iter_mut().filter(|measurement| measurement.about.threat().is_some()) {
        measurement.controls.push(control.clone());
    }
}

/// Runs every attack against one system; surrogates are trained by `attacker`, an adversary who cares for fidelity alone.
fn attack<M, R, S>(
    scene: &Scene<'_>,
    side: &Side<'_, M, R>,
    attacker: &S,
    seed: Seed,
) -> Result<(Record, Reconstructions), Error>
where
    M: Model,
    R: Trainer<Model = M> + Sync,
    S: Trainer<Model = M>,
{
    let _span = tracing::info_span!("assessment", phase = "deployment", system = %side.system).entered();
    let task = format!("attacks, {}", side.system);
    let done = |step: u64, last: &'static str| {
        tracing::info!(target: "progress", task, step, of = 5_u64, last);
    };
    let mut record = evasion::measure(scene, side, seed.derive("evasion"))?;
    done(1, "evasion");
    record.merge(membership::measure(scene, side, seed.derive("membership"))?);
    done(2, "membership inference");
    let (inverted, reconstructions) = inversion::measure(scene, side, seed.derive("inversion"))?;
    record.merge(inverted);
    done(3, "inversion");
    record.merge(extraction::measure(scene, side, attacker, seed.derive("extraction"))?);
    done(4, "extraction");
    record.merge(poisoning::measure(scene, side, seed.derive("poisoning"))?);
    done(5, "poisoning");
    for measurement in &record.measurements {
        tracing::info!(
            threat = %measurement.about,
            system = %side.system,
            access = measurement.access.map(tracing::field::display),
            queries = measurement.queries,
            %measurement,
            "measured"
        );
    }
    Ok((record, reconstructions))
}

/// Reconstructions of each class beside the class's mean, where rows are images.
fn pictures(collected: &CollectedData, before: &Reconstructions, after: &Reconstructions) -> Vec<Reconstruction> {
    let held_out = collected.held_out();
    let Some(shape) = held_out.inputs().shape().image() else { return Vec::new() };
    let picture = |values: &[f32], caption: &str| Picture { shape, values: values.to_vec(), caption: caption.into() };
    let class = |(class, name): (usize, &String)| {
        let members: Vec<usize> = (0..held_out.len()).filter(|row| held_out.labels()[*row] == class).collect();
        let mut mean = vec![0.0; held_out.inputs().shape().size()];
        for member in &members {
            let row = held_out.inputs().row(*member);
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / members.len() as f32);
        }
        Reconstruction {
            class: name.clone(),
            mean: picture(&mean, "mean of held-out members"),
            undefended: Some(picture(before.inputs.row(class), "from the undefended model")),
            defended: Some(picture(after.inputs.row(class), "from the defended model")),
        }
    };
    collected.classes().iter().enumerate().map(class).collect()
}
