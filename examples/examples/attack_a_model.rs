//! metrics: PGD on a model of one's own, with an interval and with controls that show that the attack works.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use underpin_core::{
    Attack, Confidence, Denied, Disclosure, Examples, Inputs, LossGradient, Metric, Norm, Outputs, Predict, Radius,
    Seed, Shape, System,
};
use underpin_metrics::controls;
use underpin_metrics::evasion::{Pgd, RobustAccuracy, judge};

/// Answers class 1 where the only feature is above one half.
struct Threshold;

impl Threshold {
    fn class_1(x: f32) -> f32 {
        1.0 / (1.0 + (-20.0 * (x - 0.5)).exp())
    }
}

impl Predict for Threshold {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let scores = inputs.values().iter().flat_map(|x| [1.0 - Self::class_1(*x), Self::class_1(*x)]).collect();
        Outputs::new(2, scores, Disclosure::Scores).map_err(|error| Denied::Unavailable { reason: error.to_string() })
    }
}

impl LossGradient for Threshold {
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        let mut gradients = inputs.clone();
        for (x, label) in gradients.values_mut().iter_mut().zip(labels) {
            *x = 20.0 * (Self::class_1(*x) - if *label == 1 { 1.0 } else { 0.0 });
        }
        Ok(gradients)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let shape = Shape::new([1])?;
    let inputs = Inputs::new(shape.clone(), vec![0.1, 0.45, 0.55, 0.9])?;
    let samples = Examples::new(inputs, vec![0, 0, 1, 1], 2)?;

    let pgd = Pgd::new(Norm::Linf, Radius::new(0.1)?, 20, 2);
    let perturbed = pgd.run(&Threshold, &samples, Seed(1))?;
    let evaded = judge(&Threshold, &samples, &perturbed)?;
    let metric = RobustAccuracy { setting: pgd.setting(System::Defended, Confidence::new(0.95)?) };
    let mut measurement = metric.measure(&evaded)?;
    measurement.controls = controls::pgd(&pgd, &shape, Seed(1))?;
    println!("{measurement}; valid: {}", measurement.is_valid());
    // The two samples within 0.1 of the threshold are misclassified.
    assert_eq!(measurement.value.to_bits(), 0.5_f64.to_bits());
    Ok(())
}
