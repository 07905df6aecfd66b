//! The setting of a measurement: system, access, phase, attack, confidence, parameters.

use std::collections::BTreeMap;

use underpin_core::{About, Access, Confidence, Interval, Measurement, Phase, Quantity, System, Value};

use crate::Error;
use crate::interval::{Proportion, clopper_pearson};

/// What a measurement is made under; it goes into the measurement as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// On which system.
    pub system: System,
    /// What the adversary holds; none for what needs no adversary.
    pub access: Option<Access>,
    /// Where in the lifecycle the adversary acts.
    pub phase: Phase,
    /// The attack or the test, by the name of its paper.
    pub attack: String,
    /// Confidence of the interval.
    pub confidence: Confidence,
    /// Everything else needed to repeat it.
    pub parameters: BTreeMap<String, Value>,
}

impl Setting {
    /// A test without an adversary.
    pub fn test(system: System, phase: Phase, name: impl Into<String>, confidence: Confidence) -> Self {
        Self { system, access: None, phase, attack: name.into(), confidence, parameters: BTreeMap::new() }
    }

    /// An attack on a deployed model.
    pub(crate) fn attack<const N: usize>(
        system: System,
        access: Access,
        attack: &str,
        confidence: Confidence,
        parameters: [(&str, Value); N],
    ) -> Self {
        Self {
            access: Some(access),
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Self::test(system, Phase::Deployment, attack, confidence)
        }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// A measurement made under this setting; queries, radius, norm and controls are left for the caller to add.
    pub fn measurement(&self, about: About, quantity: Quantity, value: f64, interval: Interval, n: u64) -> Measurement {
        Measurement {
            about,
            quantity,
            system: self.system,
            access: self.access,
            phase: self.phase,
            attack: self.attack.clone(),
            value,
            interval,
            n,
            chance: None,
            constant: None,
            queries: None,
            radius: None,
            norm: None,
            parameters: self.parameters.clone(),
            controls: Vec::new(),
            weakened: Vec::new(),
        }
    }

    /// A measured fraction with its exact (Clopper-Pearson) interval.
    ///
    /// # Errors
    ///
    /// [`Error::NoObservations`] without a trial, [`Error::OutOfRange`] with more successes than trials.
    pub fn proportion(&self, about: About, quantity: Quantity, counted: Proportion) -> Result<Measurement, Error> {
        let interval = clopper_pearson(counted.successes, counted.trials, self.confidence)?;
        Ok(self.measurement(about, quantity, counted.value(), interval, counted.trials))
    }
}
