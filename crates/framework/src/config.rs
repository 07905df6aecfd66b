//! How a run is made: every setting, with defaults that fit the data, changed by a TOML file.

mod asked;
mod error;
mod merge;
mod private;
mod range;
mod strength;

use serde::{Deserialize, Serialize};
use underpin_core::{Norm, Policy, Shape};
use underpin_data::Sanitizers;
use underpin_serve::{Perturb, Quota};
use underpin_train::{Architecture, DeviceKind, Regime, Settings};

pub use error::ConfigError;
pub use private::{Clipping, Privacy};

use crate::Error;
use asked::Asked;

/// How a run is made.
///
/// A configuration file names only what it changes; unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How rows are cleaned.
    pub collection: Collection,
    /// How models are fitted.
    pub training: Settings,
    /// How the undefended baseline is fitted; as the model itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefended: Option<Settings>,
    /// Differential privacy; none trains without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Adversarial training; none trains on the rows as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adversary: Option<Adversary>,
    /// What stands around the model in deployment.
    pub serving: Serving,
    /// The attacks.
    pub attacks: Attacks,
}

/// How rows are cleaned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// The sanitizers.
    pub sanitizers: Sanitizers,
    /// Fraction of rows that the red team injects of each fault, in a copy that never trains.
    pub injected_fraction: f64,
}

/// Adversarial training by projected gradient descent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversary {
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Its largest size, in the unit of features in `[0, 1]`.
    pub radius: f64,
    /// Gradient steps per batch.
    pub steps: usize,
}

/// What stands around the model in deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    /// What each client may ask.
    pub quota: Quota,
    /// What is done to answers, the first innermost.
    pub perturb: Vec<Perturb>,
}

/// The attacks and their strength. Bars in the policy name the least perturbation that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attacks {
    /// Keys that the adversary holds for every attack by queries, each with a quota of its own.
    pub keys: u64,
    /// Evasion.
    pub evasion: Evasion,
    /// Membership inference.
    pub membership: Membership,
    /// Inversion.
    pub inversion: Inversion,
    /// Extraction.
    pub extraction: Extraction,
    /// Poisoning.
    pub poisoning: Poisoning,
}

/// Evasion attacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evasion {
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Its largest size.
    pub radius: f64,
    /// Radii of the curve of accuracy against radius.
    pub radii: Vec<f64>,
    /// Gradient steps of PGD.
    pub steps: usize,
    /// Random starts of PGD.
    pub restarts: usize,
    /// Most samples attacked with gradients.
    pub samples: usize,
    /// Most samples attacked with queries.
    pub square_samples: usize,
    /// Queries per sample of Square, as far as quotas allow.
    pub queries: usize,
}

/// Membership inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Shadow models per system.
    pub shadows: usize,
    /// Most candidates, half of them members.
    pub candidates: usize,
    /// The low false-positive rate at which the true-positive rate is reported.
    pub false_positive_rate: f64,
}

/// Inversion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inversion {
    /// Gradient steps per class.
    pub steps: usize,
    /// Queries per class, as far as quotas allow.
    pub queries: usize,
}

/// Extraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extraction {
    /// Labelled rows that the adversary owns beforehand.
    pub owned: usize,
    /// Independent attacks; their mean is reported.
    pub attackers: usize,
    /// Rows of a batch when an extracted model or a surrogate is trained; at most `owned`.
    pub batch_size: usize,
    /// Queries for each extracted model on the curve; the largest is what is asked of a system without a quota. Of the
    /// defended one all is asked that the adversary's keys allow.
    pub budgets: Vec<usize>,
}

/// Poisoning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poisoning {
    /// Fraction of the training rows that wear the trigger and the target's label.
    pub fraction: f64,
    /// The class that triggered inputs shall be read as; by default one that is drawn among all but the most frequent,
    /// which a model may answer without a trigger.
    pub target: usize,
}

impl Config {
    /// Defaults for `rows` rows of `shape` in `classes` classes; the smallest set that any attack trains on has `fewest`.
    pub fn recommended(
        shape: &Shape,
        [rows, fewest]: [usize; 2],
        classes: usize,
        device: DeviceKind,
        policy: &Policy,
    ) -> Self {
        let small = rows < 10_000;
        let (norm, radius) = radius(policy);
        // One network for the model and its baseline, so that only the defences differ.
        let plain = Settings::recommended(shape, rows, Regime::Plain, device);
        let private = Settings::recommended(shape, rows, Regime::Private, device);
        let batch_size = |settings: &Settings| settings.batch_size.min(fewest).max(1);
        // Dozens of models are trained against an adversary: convolutions would take hours on two cores.
        let architecture = match &plain.architecture {
            Architecture::Cnn { .. } => Architecture::Mlp { hidden: vec![128] },
            other => other.clone(),
        };
        let plain = Settings { architecture, batch_size: batch_size(&plain), ..plain };
        let training =
            Settings { architecture: plain.architecture.clone(), batch_size: batch_size(&private), ..private };
        let owned = (5 * classes).min(fewest / 2).max(1);
        let asked = Asked::by(policy);
        let keys = asked.keys(2);
        Self {
            collection: Collection { sanitizers: Sanitizers::default(), injected_fraction: 0.05 },
            undefended: Some(plain),
            training,
            privacy: Some(Privacy::recommended(rows)),
            adversary: Some(Adversary { norm, radius, steps: 7 }),
            serving: Serving {
                // An adversary whose keys may together ask a 64th of what the model was trained on learns little more than
                // it owns.
                quota: Quota { queries: (rows as u64 / 64 / keys).max(8), per_second: None },
                perturb: vec![Perturb::Round { decimals: 1 }],
            },
            attacks: Attacks {
                keys,
                evasion: Evasion {
                    norm,
                    radius,
                    radii: radii(radius),
                    steps: asked.count(&["pgd", "transfer"], "steps", 40),
                    restarts: asked.count(&["pgd", "transfer"], "restarts", 2),
                    samples: asked.samples(&["pgd", "transfer"], 1000),
                    square_samples: asked.samples(&["square"], 200),
                    queries: asked.count(&["square"], "queries_per_sample", 1000),
                },
                membership: Membership {
                    shadows: asked.count(&["lira"], "shadows", if small { 64 } else { 8 }),
                    candidates: asked.samples(&["lira"], 2000).saturating_mul(2),
                    false_positive_rate: asked.false_positive_rate(0.01),
                },
                inversion: Inversion {
                    steps: asked.count(&["gradient_inversion"], "steps", 100),
                    queries: asked.count(&["query_inversion"], "queries_per_class", 2000),
                },
                extraction: Extraction {
                    owned,
                    attackers: asked.count(&["knockoff"], "attackers", 8),
                    batch_size: owned.min(32),
                    budgets: vec![50, 100, 200, 500, 1000],
                },
                poisoning: Poisoning { fraction: asked.fraction("poisoned_fraction", 0.05), target: 0 },
            },
        }
    }

    /// How the undefended baseline is fitted.
    pub fn training_undefended(&self) -> &Settings {
        self.undefended.as_ref().unwrap_or(&self.training)
    }

    /// Takes every defence away.
    pub(crate) fn undefend(&mut self) {
        self.training = self.training_undefended().clone();
        self.privacy = None;
        self.adversary = None;
        self.serving = Serving { quota: Quota { queries: u64::MAX, per_second: None }, perturb: Vec::new() };
    }

    /// These settings as a text for [`Config::changed`] that gives them again over the recommended ones: what they do without
    /// is taken away there.
    pub(crate) fn as_changes(&self) -> Result<String, ConfigError> {
        let mut table = toml::Table::try_from(self).map_err(ConfigError::NotWritten)?;
        for optional in ["undefended", "privacy", "adversary"] {
            table.entry(optional).or_insert(false.into());
        }
        toml::to_string(&table).map_err(ConfigError::NotWritten)
    }

    /// These settings with what the TOML text changes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] on text that is no TOML, an unknown key, or a value outside its range, naming the place.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin::{Config, DeviceKind, seal::policy};
    /// use underpin_core::Shape;
    ///
    /// let (policy, _) = policy::read(policy::BASELINE.as_bytes())?;
    /// let defaults = Config::recommended(&Shape::new([30])?, [500, 100], 2, DeviceKind::Flex, &policy);
    /// let config = defaults.changed("[attacks.membership]\nshadows = 4")?;
    /// assert_eq!(config.attacks.membership.shadows, 4);
    /// assert!(defaults.changed("[attacks]\nsurprise = 1").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed(&self, text: &str) -> Result<Self, Error> {
        let changes: toml::Table = text.parse().map_err(ConfigError::Toml)?;
        let table = toml::Table::try_from(self).map_err(ConfigError::NotWritten)?;
        Ok(merge::changed(&table, &changes).map_err(ConfigError::Toml)?)
    }
}

/// Radii of the curve, around the one that is judged.
fn radii(radius: f64) -> Vec<f64> {
    [0.25, 0.5, 0.75, 1.0, 1.5, 2.0].map(|part| part * radius).to_vec()
}

impl Evasion {
    /// Attacks at the radius that `policy` asks for.
    pub(crate) fn follow(&mut self, policy: &Policy) {
        (self.norm, self.radius) = radius(policy);
        self.radii = radii(self.radius);
    }
}

/// The radius at which evasion is measured and trained against: twice the largest that the policy names, so that a model
/// that passes does so with a margin; and its norm.
fn radius(policy: &Policy) -> (Norm, f64) {
    Asked::by(policy).perturbation().map_or((Norm::Linf, 0.1), |(norm, radius)| (norm, 2.0 * radius))
}
