//! Evasion: PGD on the bare model, transfer from a surrogate, Square through the endpoint.

use underpin_core::{Attack, LossGradient, Metric, Perturbed, Radius, Record, Seed, Trainer};
use underpin_metrics::evasion::{Evaded, Pgd, RobustAccuracy, Square, Transfer, accuracy_curve, judge};
use underpin_metrics::utility::constant_accuracy;
use underpin_metrics::{Setting, controls};

use super::scene::Scene;
use super::side::Side;
use crate::Error;
use crate::model::{WithoutProgress, without_progress};

pub(super) fn measure<M, R>(scene: &Scene<'_>, side: &Side<'_, M, R>, seed: Seed) -> Result<Record, Error>
where
    M: LossGradient + Send + Sync,
    R: Trainer<Model = M> + Sync,
{
    let plan = &scene.plan.evasion;
    let radius = Radius::new(plan.radius)?;
    let pgd = Pgd::new(plan.norm, radius, plan.steps, plan.restarts);
    let samples = scene.sample(plan.samples, seed.derive("samples"));
    let shape = samples.inputs().shape();
    let mut record = Record::default();
    let mut add = |setting: Setting, evaded: &Evaded, labels: &[usize], controls| -> Result<(), Error> {
        let mut measurement = RobustAccuracy { setting }.measure(evaded)?;
        measurement.constant = Some(constant_accuracy(labels));
        measurement.controls = controls;
        tracing::info!(threat = "evasion", system = %side.system, %measurement, "measured");
        record.measurements.push(measurement);
        Ok(())
    };

    let perturbed = pgd.run(side.model, &samples, seed.derive("pgd"))?;
    let evaded = judge(side.model, &samples, &perturbed)?;
    add(
        pgd.setting(side.system, scene.confidence),
        &evaded,
        samples.labels(),
        without_progress(|| controls::pgd(&pgd, shape, seed.derive("controls")))?,
    )?;

    // The adversary trains a surrogate of the same architecture by the same recipe on data of its own.
    let surrogate = WithoutProgress(side.trainer).train(scene.collected.auxiliary.examples(), seed.derive("surrogate"));
    let surrogate = surrogate.map_err(|error| Error::training("surrogate", error))?.value;
    let transfer = Transfer { surrogate: &surrogate, attack: pgd };
    let perturbed: Perturbed = transfer.run(&side.endpoint, &samples, seed.derive("transfer"))?;
    let evaded = judge(&side.endpoint, &samples, &perturbed)?;
    add(
        transfer.setting(side.system, scene.confidence),
        &evaded,
        samples.labels(),
        without_progress(|| controls::transfer(&pgd, shape, seed.derive("controls")))?,
    )?;

    // Each sample is attacked with all the keys that the adversary holds.
    let square = Square::new(plan.norm, radius, side.affordable(plan.queries, scene.plan.keys));
    // Targets whose answer is known have no quota: they show that the attack works, not what a quota leaves of it.
    let unlimited = Square::new(plan.norm, radius, plan.queries);
    let few = scene.sample(plan.square_samples, seed.derive("square samples"));
    let perturbed = square.run(&side.endpoint, &few, seed.derive("square"))?;
    let evaded = judge(&side.endpoint, &few, &perturbed)?;
    add(
        side.with_keys(square.setting(side.system, scene.confidence), scene.plan.keys),
        &evaded,
        few.labels(),
        without_progress(|| controls::square(&unlimited, shape, seed.derive("controls")))?,
    )?;

    let radii = plan.radii.iter().map(|radius| Radius::new(*radius)).collect::<Result<Vec<_>, _>>()?;
    let attack = |radius| Pgd::new(plan.norm, radius, plan.steps, 1);
    let label = side.system.to_string();
    let curve = || accuracy_curve(side.model, side.model, &samples, &radii, attack, label, seed.derive("curve"));
    record.series.push(without_progress(curve)?);
    Ok(record)
}
