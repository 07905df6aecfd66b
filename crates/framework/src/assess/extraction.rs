//! Extraction: a copy bought with the queries that the endpoint allows.

use underpin_core::{Metric, Record, Seed, Trainer};
use underpin_metrics::controls;
use underpin_metrics::extraction::{Fidelity, FidelityGain, Knockoff, agreement, fidelity_curve};

use super::{Scene, Side};
use crate::Error;
use crate::model::{Hushed, Model, hushed};

pub(super) fn measure<M, R, S>(
    scene: &Scene<'_>,
    side: &Side<'_, M, R>,
    surrogate: &S,
    seed: Seed,
) -> Result<Record, Error>
where
    M: Model,
    S: Trainer<Model = M>,
{
    let plan = &scene.plan.extraction;
    let auxiliary = scene.material.auxiliary.examples();
    let rows = plan.owned.min(auxiliary.len() / 2);
    let owned = auxiliary.select(&(0..rows).collect::<Vec<_>>());
    let pool = auxiliary.inputs().select(&(rows..auxiliary.len()).collect::<Vec<_>>());
    let budget = plan.budgets.iter().copied().max().unwrap_or(0).min(pool.len());
    let surrogate = Hushed(surrogate);
    let knockoff = Knockoff { surrogate: &surrogate, budget, owned: &owned };
    let answered = side.as_client(|endpoint| knockoff.ask(endpoint, &pool, seed.derive("queries")))??;
    let queries = answered.examples.len();
    let copy = knockoff.copy(&answered, queries, seed.derive("copy"))?;
    let baseline = knockoff.baseline(seed.derive("copy"))?;
    let test = scene.material.test();
    let held_out = test.inputs();
    let classes = test.classes();
    let agreed = agreement(side.model, &copy, &baseline, held_out, classes, queries as u64)?;
    let planted = hushed(|| controls::knockoff(&knockoff, seed.derive("controls")))?;
    let setting = knockoff.setting(side.system, scene.confidence);
    let mut measurements =
        vec![Fidelity { setting: setting.clone() }.measure(&agreed)?, FidelityGain { setting }.measure(&agreed)?];
    measurements.iter_mut().for_each(|measurement| measurement.controls.clone_from(&planted));
    let label = side.system.to_string();
    let curve = fidelity_curve(&knockoff, &answered, &plan.budgets, side.model, held_out, label, seed.derive("copy"))?;
    Ok(Record { measurements, series: vec![curve], ..Record::default() })
}
