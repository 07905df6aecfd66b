//! Poisoning: backdoors and lost accuracy of models trained on poisoned rows.

use underpin_core::{
    About, Access, Attack, Confidence, Examples, Inputs, Measurement, Metric, Phase, Predict, Quantity, Seed, System,
    Threat, Trigger,
};

use crate::answers::{answers, check_samples, correct};
use crate::interval::{Proportion, paired_difference};
use crate::progress::ended;
use crate::{Error, Setting};

/// Backdoor attack (BadNets): puts the trigger on inputs of a model that was trained on poisoned rows.
///
/// Inputs of the target class are left out: that they are classified as it proves nothing.
///
/// # Source
///
/// Gu, Dolan-Gavitt and Garg, BadNets, 2017 (arXiv 1708.06733).
#[derive(Clone, Debug, PartialEq)]
pub struct Backdoor {
    /// The trigger that the poisoned rows bore.
    pub trigger: Trigger,
}

/// Outcome of a backdoor attack, one entry per input not of the target class.
#[derive(Clone, Debug, PartialEq)]
pub struct Triggered {
    /// Classified as the target class without the trigger.
    pub before: Vec<bool>,
    /// Classified as the target class with it.
    pub fooled: Vec<bool>,
    /// Queries with the trigger.
    pub queries: u64,
}

impl Backdoor {
    /// The setting of measurements of this attack: the adversary acts in collection and sees answers only.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters =
            [("target_class", self.trigger.target.into()), ("trigger_features", self.trigger.features.len().into())];
        let setting = Setting::attack(system, Access::BlackBox, "badnets", confidence, parameters);
        Setting { phase: Phase::Collection, ..setting }
    }

    /// The same inputs, each with the trigger.
    pub fn stamp(&self, inputs: &Inputs) -> Inputs {
        let mut stamped = inputs.clone();
        let size = stamped.shape().size();
        stamped.values_mut().chunks_exact_mut(size).for_each(|row| self.trigger.stamp(row));
        stamped
    }
}

impl<T: Predict + ?Sized> Attack<T> for Backdoor {
    type Outcome = Triggered;
    type Error = Error;

    /// Attacks with those of `samples` that are not of the target class.
    fn run(&self, target: &T, samples: &Examples, _: Seed) -> Result<Triggered, Error> {
        check_samples(samples)?;
        let class = self.trigger.target;
        if class >= samples.classes() {
            let value = class as f64;
            return Err(Error::out_of_range("target class", value, "[0, classes)"));
        }
        let others: Vec<usize> = (0..samples.len()).filter(|example| samples.labels()[*example] != class).collect();
        if others.is_empty() {
            return Err(Error::NoObservations { what: "samples not of the target class" });
        }
        let others = samples.select(&others);
        let as_target = |inputs: &Inputs| -> Result<Vec<bool>, Error> {
            let outputs = answers(target, inputs, samples.classes())?;
            Ok(outputs.labels().into_iter().map(|label| label == class).collect())
        };
        let before = as_target(others.inputs())?;
        let fooled = as_target(&self.stamp(others.inputs()))?;
        ended(Threat::Poisoning, Access::BlackBox, "badnets", others.len() as u64);
        Ok(Triggered { before, fooled, queries: others.len() as u64 })
    }
}

/// Attack success rate: fraction of triggered inputs classified as the target class; chance is their fraction without the
/// trigger. Lower is safer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackSuccessRate {
    /// What it is measured under.
    pub setting: Setting,
}

impl Metric<Triggered> for AttackSuccessRate {
    type Error = Error;

    fn measure(&self, triggered: &Triggered) -> Result<Measurement, Error> {
        let measurement = self.setting.proportion(
            About::Poisoning,
            Quantity::AttackSuccessRate,
            Proportion::of(&triggered.fooled),
        )?;
        let chance = Proportion::of(&triggered.before).value();
        Ok(Measurement { chance: Some(chance), queries: Some(triggered.queries), ..measurement })
    }
}

/// Accuracy drop: accuracy of a model trained on clean rows less that of one trained on poisoned rows, on the same test samples.
///
/// Unit: difference, in `[-1, 1]`; chance 0; lower is safer.
///
/// # Errors
///
/// Those of [`correct`], for either model.
pub fn accuracy_drop<C: Predict + ?Sized, P: Predict + ?Sized>(
    setting: &Setting,
    clean: &C,
    poisoned: &P,
    test: &Examples,
) -> Result<Measurement, Error> {
    let (before, after) = (correct(clean, test)?, correct(poisoned, test)?);
    let interval = paired_difference(&before, &after, setting.confidence)?;
    let value = Proportion::of(&before).value() - Proportion::of(&after).value();
    let n = test.len() as u64;
    let measurement = setting.measurement(About::Poisoning, Quantity::PoisonAccuracyDrop, value, interval, n);
    Ok(Measurement { chance: Some(0.0), ..measurement })
}
