//! Utility: a model that is of no use withstands every attack.

use underpin_core::{About, Measurement, Phase, Predict, Record, System};
use underpin_metrics::{Setting, correct, utility};

use super::scene::Scene;
use crate::Error;

/// Clean, balanced and worst-class accuracy of both systems as clients meet them, and what the defences cost.
pub(super) fn measure(scene: &Scene<'_>, undefended: &impl Predict, defended: &impl Predict) -> Result<Record, Error> {
    let test = scene.collected.test();
    let setting = |system| Setting::test(system, Phase::Deployment, "held_out", scene.confidence);
    let (before, after) = (correct(undefended, &test)?, correct(defended, &test)?);
    let constant = utility::constant_accuracy(test.labels());
    let mut measurements = Vec::new();
    for (system, correct) in [(System::Undefended, &before), (System::Defended, &after)] {
        let setting = setting(system);
        let accuracy = utility::clean_accuracy(&setting, correct)?;
        measurements.push(Measurement { constant: Some(constant), ..accuracy });
        measurements.push(utility::balanced_accuracy(&setting, correct, test.labels())?);
        measurements.push(Measurement {
            about: About::Utility,
            constant: None,
            ..utility::worst_group_accuracy(&setting, correct, test.labels())?
        });
    }
    let loss = setting(System::Defended).with("baseline_recipe", scene.baseline_recipe);
    measurements.push(utility::accuracy_loss(&loss, &before, &after)?);
    Ok(Record { measurements, ..Record::default() })
}
