//! How to train.

use serde::{Deserialize, Serialize};
use underpin_core::{Record, Shape, Value};

use crate::{Architecture, Augmentation, Averaging, DeviceKind, Error, Regime, Schedule};

/// The rule that turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size; finite, above 0.
        learning_rate: f64,
        /// Fraction of the last velocity that is kept, in `[0, 1)`; 0 is none.
        momentum: f64,
    },
    /// Adam (Kingma and Ba 2015) with β₁ = 0.9, β₂ = 0.999.
    Adam {
        /// Step size; finite, above 0.
        learning_rate: f64,
    },
    /// Adam with the noise's variance taken out of the second moment ([`crate::CorrectedAdam`]); only for private training
    /// with Poisson sampling and a clipping norm that stays.
    CorrectedAdam {
        /// Step size; finite, above 0.
        learning_rate: f64,
        /// The least second moment, γ' in the paper; finite, above 0.
        floor: f64,
    },
}

impl Optimiser {
    /// Its step size.
    pub const fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd { learning_rate, .. }
            | Self::Adam { learning_rate }
            | Self::CorrectedAdam { learning_rate, .. } => *learning_rate,
        }
    }
}

/// What is trained, and how; the same settings, data, seed and key give the same model on the same device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The network.
    pub architecture: Architecture,
    /// Passes over the data; in private training, the expected number of times a row is drawn.
    pub epochs: u32,
    /// Rows of a batch; in private training, the expected number.
    pub batch_size: usize,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// How the step size moves.
    pub schedule: Schedule,
    /// Random versions of each image in a step; none takes each row as it is.
    pub augmentation: Option<Augmentation>,
    /// Fraction of the steps, in `[0, 1]`, over which an adversary's perturbations grow from nothing to their full size.
    ///
    /// Without an adversary it has no effect.
    pub warm_up: f64,
    /// Which weights the model has.
    pub averaging: Averaging,
    /// Where it runs.
    pub device: DeviceKind,
}

impl Settings {
    /// Settings that fit `rows` rows of `shape`, with the network of [`Architecture::recommended`].
    ///
    /// A start, found on the 1,000-row digits (see the experiments in the crate's README); tune on public data.
    /// Private training takes batches of a quarter of the rows, 32 at least and 1,024 at most, and 60 epochs at most.
    pub fn recommended(shape: &Shape, rows: usize, regime: Regime, device: DeviceKind) -> Self {
        let architecture = Architecture::recommended(shape, rows, regime);
        let few = rows.max(1);
        // Passes so that small data sees enough steps and large data does not take minutes.
        let epochs = |most: u32, passes: usize| u32::try_from(passes / few).unwrap_or(most).clamp(3, most);
        let (epochs, batch_size, learning_rate, last) = match regime {
            Regime::Plain | Regime::Adversarial => (epochs(40, 400_000), 64, 0.005, 0.0),
            Regime::Private => (epochs(60, 600_000), (rows / 4).clamp(32, 1024), 0.02, 0.3),
        };
        let optimiser = Optimiser::Adam { learning_rate };
        Self {
            architecture,
            epochs,
            batch_size: batch_size.min(few),
            optimiser,
            schedule: Schedule::Constant,
            augmentation: None,
            warm_up: 0.3,
            averaging: Averaging::Last(last),
            device,
        }
    }

    /// Number of steps for `rows` rows: each epoch takes `rows / batch_size`, rounded up.
    pub fn steps(&self, rows: usize) -> u64 {
        u64::from(self.epochs) * rows.div_ceil(self.batch_size.max(1)) as u64
    }

    /// Checks the settings for rows of `shape` in `classes` classes, however many rows there are.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] naming the setting, and those of an architecture that does not fit `shape`.
    pub fn check_for(&self, shape: &Shape, classes: usize) -> Result<(), Error> {
        self.check(usize::MAX)?;
        self.architecture.layers(shape, classes).map(drop)
    }

    /// Refuses settings out of range, and too few rows.
    pub(crate) fn check(&self, rows: usize) -> Result<(), Error> {
        let refuse = |name, value, allowed| Err(Error::out_of_range(name, value, allowed));
        let rate = self.optimiser.learning_rate();
        let momentum = if let Optimiser::Sgd { momentum, .. } = self.optimiser { momentum } else { 0.0 };
        if !(rate.is_finite() && rate > 0.0) {
            return refuse("learning_rate", rate, "(0, inf)");
        }
        if !(0.0..1.0).contains(&momentum) {
            return refuse("momentum", momentum, "[0, 1)");
        }
        if !(0.0..=1.0).contains(&self.warm_up) {
            return refuse("warm_up", self.warm_up, "[0, 1]");
        }
        self.schedule.check()?;
        self.averaging.check()?;
        if self.epochs == 0 {
            return refuse("epochs", 0.0, "[1, inf)");
        }
        if self.batch_size == 0 {
            return refuse("batch_size", 0.0, "[1, inf)");
        }
        if rows < self.batch_size {
            return Err(Error::TooFewRows { rows, batch_size: self.batch_size });
        }
        Ok(())
    }

    /// Writes itself down as `training.*`.
    pub(crate) fn record(&self, record: &mut Record, rows: usize) {
        let mut set = |name: &str, value: Value| record.set(format!("training.{name}"), value);
        set("architecture", format!("{:?}", self.architecture).into());
        set("epochs", u64::from(self.epochs).into());
        set("batch_size", self.batch_size.into());
        set("steps", self.steps(rows).into());
        match self.averaging {
            Averaging::Last(fraction) => set("averaging", fraction.into()),
            Averaging::Exponential(decay) => set("averaging_decay", decay.into()),
        }
        if self.schedule != Schedule::Constant {
            set("schedule", format!("{:?}", self.schedule).into());
        }
        if let Some(augmentation) = self.augmentation {
            set("augmentation", format!("{augmentation:?}").into());
        }
        set("device", self.device.word().into());
        set("learning_rate", self.optimiser.learning_rate().into());
        let name = match self.optimiser {
            Optimiser::Sgd { momentum, .. } => {
                set("momentum", momentum.into());
                "sgd"
            }
            Optimiser::Adam { .. } => "adam",
            Optimiser::CorrectedAdam { floor, .. } => {
                set("floor", floor.into());
                "corrected_adam"
            }
        };
        set("optimiser", name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_settings_can_train() {
        for axes in [[1].as_slice(), &[30], &[1, 3, 3], &[1, 8, 8], &[3, 32, 32]] {
            let shape = Shape::new(axes).unwrap();
            for rows in [1, 40, 1000, 60_000, 10_000_000] {
                for regime in [Regime::Plain, Regime::Adversarial, Regime::Private] {
                    let settings = Settings::recommended(&shape, rows, regime, DeviceKind::Flex);
                    settings.check(rows).unwrap();
                    settings.architecture.layers(&shape, 10).unwrap();
                }
            }
        }
    }

    #[test]
    fn settings_survive_a_file() {
        let shape = Shape::new([1, 8, 8]).unwrap();
        let settings = Settings::recommended(&shape, 1000, Regime::Private, *DeviceKind::ALL.last().unwrap());
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        assert!(serde_json::from_str::<Settings>(&text.replace("epochs", "epoch")).is_err());
    }

    #[test]
    fn an_epoch_takes_every_row() {
        let shape = Shape::new([4]).unwrap();
        let settings = Settings::recommended(&shape, 1000, Regime::Plain, DeviceKind::Flex);
        let settings = Settings { epochs: 3, batch_size: 64, ..settings };
        assert_eq!((settings.steps(64), settings.steps(65), settings.steps(1000)), (3, 6, 48));
    }
}
