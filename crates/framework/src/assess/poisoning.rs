//! Poisoning: what injected rows do to the model that each pipeline ends up with.

use underpin_core::{Attack, Metric, Record, Seed};
use underpin_metrics::controls;
use underpin_metrics::poisoning::{AttackSuccessRate, Backdoor, accuracy_drop};

use super::scene::Scene;
use super::side::Side;
use crate::Error;
use crate::model::{Model, without_progress};

pub(super) fn measure<M: Model, R>(scene: &Scene<'_>, side: &Side<'_, M, R>, seed: Seed) -> Result<Record, Error> {
    let test = scene.collected.test();
    let backdoor = Backdoor { trigger: scene.collected.poisoned.trigger.clone() };
    let setting =
        backdoor.setting(side.system, scene.confidence).with("poisoned_fraction", scene.plan.poisoning.fraction);
    let triggered = backdoor.run(side.poisoned, &test, seed)?;
    let checked = without_progress(|| {
        controls::backdoor(&backdoor, test.inputs().shape(), test.classes(), seed.derive("controls"))
    })?;
    let success = AttackSuccessRate { setting: setting.clone() }.measure(&triggered)?;
    let drop = accuracy_drop(&setting, side.model, side.poisoned, &test)?;
    let mut measurements = vec![success, drop];
    for measurement in &mut measurements {
        measurement.controls.clone_from(&checked);
    }
    Ok(Record { measurements, ..Record::default() })
}
