//! Inversion: what an input of each class looks like to the model.

use underpin_core::{Attack, Control, Record, Seed, Trainer};
use underpin_metrics::interval::Bootstrap;
use underpin_metrics::inversion::{GradientInversion, InversionScore, QueryInversion, Reconstructions};
use underpin_metrics::{Setting, controls};

use super::scene::Scene;
use super::side::Side;
use crate::Error;
use crate::model::{Model, without_progress};

/// Measurements, and the reconstructions of the white-box attack.
pub(super) fn measure<M, R>(
    scene: &Scene<'_>,
    side: &Side<'_, M, R>,
    seed: Seed,
) -> Result<(Record, Reconstructions), Error>
where
    M: Model,
    R: Trainer<Model = M> + Sync,
{
    let plan = &scene.plan.inversion;
    let held_out = scene.collected.held_out();
    let shape = held_out.inputs().shape().clone();
    let mut record = Record::default();
    let mut add = |setting: Setting, found: &Reconstructions, controls: Vec<Control>| -> Result<(), Error> {
        let bootstrap = Bootstrap::seeded(seed.derive("bootstrap"));
        let mut measurement = InversionScore { setting, bootstrap }.measure(found, &held_out)?;
        measurement.controls = controls;
        record.measurements.push(measurement);
        Ok(())
    };
    let gradient = GradientInversion { steps: plan.steps, ..GradientInversion::new() };
    let found = gradient.run(side.model, &held_out, seed.derive("gradient"))?;
    let checked = without_progress(|| controls::gradient_inversion(&gradient, &shape, seed.derive("controls")))?;
    add(gradient.setting(side.system, scene.confidence), &found, checked)?;

    // Each class is attacked with all the keys that the adversary holds.
    let query = QueryInversion::new(side.affordable(plan.queries, scene.plan.keys));
    // Targets whose answer is known have no quota: they show that the attack works, not what a quota leaves of it.
    let unlimited = QueryInversion::new(plan.queries);
    let asked = query.run(&side.endpoint, &held_out, seed.derive("query"))?;
    let checked = without_progress(|| controls::query_inversion(&unlimited, &shape, seed.derive("query controls")))?;
    let setting = side.with_keys(query.setting(side.system, scene.confidence), scene.plan.keys);
    add(setting, &asked, checked)?;
    Ok((record, found))
}
