//! train: a classifier trained with differential privacy, and the ε that it spent.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use underpin_core::{Delta, Epsilon, Examples, Inputs, Predict, Seed, Shape, Trainer};
use underpin_privacy::NoiseSource;
use underpin_train::{Architecture, Averaging, DeviceKind, NoAdversary, Optimiser, Privacy, Schedule, Settings, Sgd};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // 200 rows of one feature; the class is whether it lies above one half.
    let values: Vec<f32> = (0..200_u16).map(|row| f32::from(row) / 200.0).collect();
    let labels = values.iter().map(|value| usize::from(*value > 0.5)).collect();
    let data = Examples::new(Inputs::new(Shape::new([1])?, values)?, labels, 2)?;
    let settings = Settings {
        architecture: Architecture::Linear,
        epochs: 40,
        batch_size: 50,
        optimiser: Optimiser::Adam { learning_rate: 0.1 },
        schedule: Schedule::Constant,
        augmentation: None,
        warm_up: 0.0,
        averaging: Averaging::Last(0.5),
        device: DeviceKind::Flex,
    };
    let privacy = Privacy::flat(Epsilon::new(3.0)?, Delta::new(1e-5)?, 1.0, NoiseSource::from_os()?);
    let trainer = Sgd::<NoAdversary> { settings, privacy: Some(privacy), adversary: None };
    let trained = trainer.train(&data, Seed(7))?;

    let answers = trained.value.predict(data.inputs())?.labels();
    let correct = answers.iter().zip(data.labels()).filter(|(answer, label)| answer == label).count();
    println!("{correct} of 200 rows are classified correctly");
    println!("{}", trained.record.measurements[0]);
    assert!(trained.record.measurements[0].interval.upper <= 3.0);
    Ok(())
}
