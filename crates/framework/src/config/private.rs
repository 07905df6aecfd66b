//! How private training bounds gradients and makes its noise.

use serde::{Deserialize, Serialize};
use underpin_core::{Delta, Epsilon, OutOfRange};
use underpin_privacy::NoiseSource;
use underpin_train::{Mechanism, Optimiser, Settings};

use super::ConfigError;
use crate::Error;

/// Differential privacy of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Largest ε of everything released about the training rows: the model, and the counts of the classes on its card.
    pub epsilon: Epsilon,
    /// The δ at which ε is stated.
    pub delta: Delta,
    /// L2 norm to which each example's gradient is clipped, in `[1e-12, 1e12]`.
    pub clipping_norm: f64,
    /// How it is clipped.
    #[serde(default)]
    pub clipping: Clipping,
    /// Where batches and noise come from.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// The part of ε that the counts of the classes may spend; with 0 none are released.
    #[serde(default)]
    pub statistics: f64,
    /// Canaries by which each private training audits itself, 6 at least; 0 for none. They change neither ε nor accuracy.
    #[serde(default)]
    pub canaries: u32,
}

/// How each example's gradient is bounded to [`Privacy::clipping_norm`]: [`underpin_train::Clipping`], the norm apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clipping {
    /// The whole gradient.
    #[default]
    Flat,
    /// Each layer on its own, to equal shares of the square.
    PerLayer,
    /// Every gradient to nearly the same length.
    Automatic {
        /// What is added to the length; in `[1e-6, 1e6]`.
        stability: f64,
    },
    /// The threshold follows a quantile of the lengths, from the norm on.
    Adaptive {
        /// Fraction of examples that are to be below the threshold, in `[0, 1]`.
        quantile: f64,
        /// How fast the threshold moves, in `(0, 1]`.
        rate: f64,
        /// Fraction of the norm that the count fills, in `(0, 0.9]`.
        fraction: f64,
    },
}

impl Clipping {
    /// Whether the clipping norm stays as it is.
    const fn is_fixed(self) -> bool {
        !matches!(self, Self::Adaptive { .. })
    }
}

impl Privacy {
    /// ε = 8 at a δ well below 1 / rows: the largest power of ten that is at most 1 / (10 rows), and at most 1e-4.
    pub(super) fn recommended(rows: usize) -> Self {
        let delta = underpin_privacy::recommended_delta(rows);
        Self {
            epsilon: Epsilon::new(8.0).expect("invariant: 8 is a positive number"),
            delta,
            clipping_norm: 1.0,
            clipping: Clipping::Flat,
            mechanism: Mechanism::Poisson,
            statistics: 0.1,
            canaries: 0,
        }
    }
}

impl Privacy {
    /// Private training that spends at most `target`, with noise from `noise`.
    pub(crate) fn training(&self, target: Epsilon, noise: NoiseSource) -> underpin_train::Privacy {
        let flat = underpin_train::Privacy::flat(target, self.delta, self.clipping_norm, noise);
        underpin_train::Privacy { clipping: self.bound(), mechanism: self.mechanism, canaries: self.canaries, ..flat }
    }

    fn bound(&self) -> underpin_train::Clipping {
        let norm = self.clipping_norm;
        match self.clipping {
            Clipping::Flat => underpin_train::Clipping::Flat { norm },
            Clipping::PerLayer => underpin_train::Clipping::PerLayer { norm },
            Clipping::Automatic { stability } => underpin_train::Clipping::Automatic { norm, stability },
            Clipping::Adaptive { quantile, rate, fraction } => {
                underpin_train::Clipping::Adaptive { initial: norm, quantile, rate, fraction }
            }
        }
    }

    /// Refuses what no private training by `settings` can follow, the fewest rows that one has being `fewest`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a number out of range, [`Error::Config`] for a mechanism, clipping and optimiser that do
    /// not go together.
    pub(crate) fn check(&self, settings: &Settings, fewest: usize) -> Result<(), Error> {
        self.bound().start().map_err(|error| match error {
            underpin_train::Error::OutOfRange(OutOfRange { name, value, range }) => {
                Error::out_of_range("privacy.clipping", value, format!("{range}: its {name}"))
            }
            other => other.into(),
        })?;
        if let Mechanism::Banded { bands } = self.mechanism {
            let epoch = fewest.div_ceil(settings.batch_size.max(1)).min(1024);
            if !(1..=epoch).contains(&bands) {
                let range = format!("[1, {epoch}]: the steps of an epoch of {fewest} rows, 1024 at most");
                return Err(Error::out_of_range("privacy.mechanism.banded.bands", bands as f64, range));
            }
            if !self.clipping.is_fixed() {
                return Err(ConfigError::AdaptiveClippingWithBands.into());
            }
        }
        let one_deviation = self.clipping.is_fixed() && self.mechanism == Mechanism::Poisson;
        if matches!(settings.optimiser, Optimiser::CorrectedAdam { .. }) && !one_deviation {
            let allowed = "privacy.mechanism poisson, privacy.clipping flat, per_layer or automatic";
            return Err(ConfigError::CorrectedAdam { allowed }.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;
    use underpin_train::Clipping as Bound;

    use super::*;
    use crate::seal::policy;
    use crate::{Config, DeviceKind};

    fn changed(text: &str) -> Result<Config, Error> {
        let (policy, _) = policy::read(policy::BASELINE.as_bytes())?;
        let defaults = Config::recommended(&Shape::new([30])?, [500, 100], 3, DeviceKind::Flex, &policy);
        let config = defaults.changed(text)?;
        config.check(&Shape::new([30])?, 3, 100)?;
        Ok(config)
    }

    #[test]
    fn delta_is_well_below_one_over_the_rows() {
        for (rows, delta) in [(1, 1e-4), (999, 1e-4), (1_000, 1e-4), (1_001, 1e-5), (10_000, 1e-5), (60_000, 1e-6)] {
            assert_eq!(Privacy::recommended(rows).delta, Delta::new(delta).unwrap(), "{rows} rows");
        }
    }

    #[test]
    fn every_clipping_and_mechanism_is_read() {
        let trained = |text: &str| {
            let privacy = changed(text).unwrap().privacy.unwrap();
            let trained = privacy.training(privacy.epsilon, NoiseSource::dangerous_from_seed([0; 32]));
            assert_eq!((trained.delta, trained.target), (privacy.delta, privacy.epsilon));
            (trained.clipping, trained.mechanism)
        };
        let poisson = Mechanism::Poisson;
        for (text, expected) in [
            ("", (Bound::Flat { norm: 1.0 }, poisson)),
            ("privacy.clipping = 'per_layer'\nprivacy.clipping_norm = 0.5", (Bound::PerLayer { norm: 0.5 }, poisson)),
            (
                "[privacy.clipping.automatic]\nstability = 0.02",
                (Bound::Automatic { norm: 1.0, stability: 0.02 }, poisson),
            ),
            (
                "privacy.clipping.adaptive = { quantile = 0.5, rate = 0.2, fraction = 0.1 }",
                (Bound::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, fraction: 0.1 }, poisson),
            ),
            (
                "training.batch_size = 10\n[privacy.mechanism.banded]\nbands = 10",
                (Bound::Flat { norm: 1.0 }, Mechanism::Banded { bands: 10 }),
            ),
        ] {
            assert_eq!(trained(text), expected, "{text}");
        }
    }

    #[test]
    fn clippings_and_mechanisms_out_of_range_are_named() {
        let banded = "training.batch_size = 10\nprivacy.mechanism.banded.bands = ";
        let adaptive = "privacy.clipping.adaptive = { quantile = 0.5, rate = 0.2, fraction = 0.1 }";
        let corrected = "training.optimiser = { corrected_adam = { learning_rate = 0.1, floor = 1e-4 } }";
        let bands = "[1, 10]: the steps of an epoch of 100 rows, 1024 at most";
        for (change, expected) in [
            (
                "privacy.clipping_norm = 0.0".into(),
                "privacy.clipping = 0 is outside [1e-12, 1e12]: its clipping norm".into(),
            ),
            (
                "privacy.clipping_norm = nan".into(),
                "privacy.clipping = NaN is outside [1e-12, 1e12]: its clipping norm".into(),
            ),
            (
                "privacy.clipping.automatic.stability = 0.0".to_owned(),
                "privacy.clipping = 0 is outside [1e-6, 1e6]: its stability".to_owned(),
            ),
            (adaptive.replace("0.5", "1.5"), "privacy.clipping = 1.5 is outside [0, 1]: its quantile".into()),
            (adaptive.replace("0.2", "0.0"), "privacy.clipping = 0 is outside (0, 1]: its clipping rate".into()),
            (
                adaptive.replace("0.1", "1.0"),
                "privacy.clipping = 1 is outside (0, 0.9]: its fraction of the count".into(),
            ),
            (format!("{banded}0"), format!("privacy.mechanism.banded.bands = 0 is outside {bands}")),
            (format!("{banded}11"), format!("privacy.mechanism.banded.bands = 11 is outside {bands}")),
            (format!("{banded}2\n{adaptive}"), "configuration: privacy.clipping is adaptive".into()),
            (format!("{banded}2\n{corrected}"), "configuration: training.optimiser is corrected_adam".into()),
            (format!("{adaptive}\n{corrected}"), "configuration: training.optimiser is corrected_adam".into()),
            ("privacy.clipping = 'none'".into(), "configuration: unknown variant `none`".into()),
            ("privacy.clipping.flat.norm = 1.0".into(), "configuration: ".into()),
            ("privacy.mechanism = 'shuffled'".into(), "configuration: unknown variant `shuffled`".into()),
        ] {
            let refused = changed(&change).unwrap_err().to_string();
            assert!(refused.starts_with(&expected), "{change}: {refused}");
        }
        changed(&format!("{banded}10")).unwrap();
        changed(&format!("{corrected}\nprivacy.clipping = 'per_layer'")).unwrap();
    }
}
