//! Utility: a model that is of no use withstands every attack.

use underpin_core::{Phase, Predict, Record, System};
use underpin_metrics::{Setting, correct, utility};

use super::scene::Scene;
use crate::Error;

/// Clean accuracy of both systems as clients meet them, and what the defences cost.
pub(super) fn measure(scene: &Scene<'_>, undefended: &impl Predict, defended: &impl Predict) -> Result<Record, Error> {
    let test = scene.collected.test();
    let setting = |system| Setting::test(system, Phase::Deployment, "held_out", scene.confidence);
    let (before, after) = (correct(undefended, &test)?, correct(defended, &test)?);
    let measurements = vec![
        utility::clean_accuracy(&setting(System::Undefended), &before)?,
        utility::clean_accuracy(&setting(System::Defended), &after)?,
        utility::accuracy_loss(&setting(System::Defended), &before, &after)?,
    ];
    Ok(Record { measurements, ..Record::default() })
}
