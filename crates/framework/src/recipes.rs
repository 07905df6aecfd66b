//! Recipes: private trainings whose result is known, each a file.
//!
//! A recipe says how the rows lie in a folder, what is made of them, how the model is trained, how private it is, and
//! what is to be expected. It runs on any data of the same layout; what is to be expected is said of one data set alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use underpin_core::{Delta, Digest, Examples, Interval, Quantity, Record, Seed, Trainer, Value};
use underpin_data::{Contract, Floor, Limits, Source, admit, open};
use underpin_privacy::{Bounds, NoiseSource};
use underpin_train::{Preprocessing, Settings, Sgd};

use crate::Error;
use crate::config::{ConfigError, Privacy};
use crate::data_budget::{self, BudgetFile};

/// The recipes that come with the program, by name.
const NAMED: &[(&str, &str)] = &[
    ("mnist-scatter-eps3", include_str!("../recipes/mnist-scatter-eps3.toml")),
    ("fashion-scatter-eps3", include_str!("../recipes/fashion-scatter-eps3.toml")),
    ("mnist-cnn-eps3", include_str!("../recipes/mnist-cnn-eps3.toml")),
    ("fashion-cnn-eps3", include_str!("../recipes/fashion-cnn-eps3.toml")),
    ("adult-eps1", include_str!("../recipes/adult-eps1.toml")),
];

/// The greatest fraction of rows that may break the contract.
const MAX_REJECTED: f64 = 0.1;

/// One recipe.
///
/// # Guarantees
///
/// 1. The ε that is reported is the upper bound, by the accountant of `underpin-privacy`, of the sampler, clipping and noise
///    that ran, and at most that of the recipe (`the_epsilon_told_is_that_of_the_run`).
/// 2. With canaries, the run reports a lower bound on its own ε that holds with the stated confidence (Steinke, Nasr and
///    Jagielski, NeurIPS 2023); a run that they refute fails (`the_audited_epsilon_is_below_the_accountants`).
/// 3. Contract and preprocessing come from the file alone: no training row has a say in how another one is encoded
///    (`rows_have_no_say_in_each_others_encoding`).
///
/// # Limits
///
/// What was chosen by looking at data of the same kind is stated in `tuned`; no ε counts it. Neither the baseline nor the loss
/// that progress events report meanwhile is private. Accuracy, then and at the end, is that of private weights: it costs
/// the training rows nothing more, and reports the test rows without privacy.
///
/// # Examples
///
/// ```
/// use underpin::recipes::Plan;
///
/// let plan = Plan::named("mnist-scatter-eps3")?;
/// assert_eq!(plan.privacy.epsilon.value(), 3.0);
/// # Ok::<(), underpin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where public randomness starts, unless another seed is asked for.
    pub seed: u64,
    /// What was chosen by looking at which data.
    pub tuned: String,
    /// The rows that the batch size is meant for. With fewer, batches are smaller in proportion, so that sampling rate,
    /// number of steps and noise stay the same.
    pub rows: usize,
    /// What is made of each example.
    pub preprocessing: Preprocessing,
    /// How the rows lie in the folder.
    pub data: Layout,
    /// How the model is trained.
    pub training: Settings,
    /// How its baseline without privacy is trained; none is trained if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Settings>,
    /// How private the model is.
    pub privacy: Privacy,
    /// What is to be expected.
    pub expected: Expected,
}

/// How rows lie in a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Name of the file of training rows; `.gz` may follow. Of IDX the images; the labels lie beside them.
    pub train: String,
    /// Name of the file of test rows.
    pub test: String,
    /// What a row must be.
    pub contract: Contract,
}

/// What a recipe comes to on the data that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// SHA-256 of those test rows, as [`Achieved::data`] has it; other data meet no expectation and miss none.
    pub data: Digest,
    /// Fraction of the test rows classified correctly, the mean over seeds.
    pub accuracy: f64,
    /// How far a single seed may fall below it.
    pub tolerance: f64,
    /// How much better the baseline may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_baseline: Option<f64>,
}

/// What a run of a recipe came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Achieved {
    /// SHA-256 over the test rows: values as 32-bit floats, then labels as 64-bit integers, little endian.
    pub data: Digest,
    /// Rows trained on.
    pub rows: usize,
    /// Rows tested on.
    pub test_rows: usize,
    /// Fraction of the test rows classified correctly.
    pub accuracy: f64,
    /// The same of the baseline without privacy.
    pub baseline_accuracy: Option<f64>,
    /// ε of the training at `delta`, from both sides.
    pub epsilon: Bounds,
    /// What the run's own canaries prove of its ε; none without canaries.
    pub audit: Option<Audit>,
    /// The δ at which ε is stated.
    pub delta: Delta,
    /// Steps taken.
    pub steps: u64,
    /// Parameters of the model.
    pub parameters: usize,
}

/// What the canaries of one run prove of its ε at its δ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Audit {
    /// The run is not (ε, δ)-private for any ε below this, in nats.
    pub epsilon_lower: f64,
    /// Probability, over the canaries' coins, samples and noise, with which that holds.
    pub confidence: f64,
    /// Canaries of the run.
    pub canaries: u64,
}

impl Plan {
    /// Names of the recipes that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// The recipe of that name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRecipe`].
    pub fn named(name: &str) -> Result<Self, Error> {
        match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::read(text),
            None => Err(Error::UnknownRecipe { name: name.to_owned(), known: Self::names().collect() }),
        }
    }

    /// Reads a recipe in TOML.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the place and what is wrong: an unknown or missing key, a value of another kind, a
    /// contract whose parts disagree, a baseline of another architecture, 0 rows; [`Error::OutOfRange`] for a clipping or
    /// mechanism out of range.
    pub fn read(text: &str) -> Result<Self, Error> {
        let plan: Self = toml::from_str(text).map_err(ConfigError::Toml)?;
        if plan.rows == 0 {
            return Err(ConfigError::NoRows.into());
        }
        plan.privacy.check(&plan.training, plan.rows)?;
        match &plan.baseline {
            Some(baseline) if baseline.architecture != plan.training.architecture => {
                let (baseline, training) = (&baseline.architecture, &plan.training.architecture);
                let (baseline, training) = (Box::new(baseline.clone()), Box::new(training.clone()));
                Err(ConfigError::OtherArchitecture { baseline, training }.into())
            }
            _ => Ok(plan),
        }
    }

    /// Trains on the rows in `folder` and tests; noise and samples come from `noise`.
    ///
    /// # Errors
    ///
    /// When a file is missing or of no use, more than a tenth of its rows break the contract, or the model cannot be
    /// trained on them.
    pub fn run(&self, folder: &Path, seed: Seed, noise: NoiseSource) -> Result<Achieved, Error> {
        self.run_with(folder, seed, noise, None)
    }

    /// As [`run`](Self::run), charged to a privacy budget before it trains: runs on the same training file add up.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run); [`Error::OverBudget`], [`Error::OtherRows`] and [`Error::OtherBudget`] before anything is
    /// trained.
    pub fn run_charged(
        &self,
        folder: &Path,
        seed: Seed,
        noise: NoiseSource,
        budget: &BudgetFile,
    ) -> Result<Achieved, Error> {
        self.run_with(folder, seed, noise, Some(budget))
    }

    fn run_with(
        &self,
        folder: &Path,
        seed: Seed,
        noise: NoiseSource,
        budget: Option<&BudgetFile>,
    ) -> Result<Achieved, Error> {
        let (train, files) = self.rows_of(folder, &self.data.train)?;
        let (test, _) = self.rows_of(folder, &self.data.test)?;
        let budget = budget.map(|file| file.open(data_budget::rows_of(&files), &self.privacy)).transpose()?;
        let (data, rows) = (digest(&test), train.len());
        let (train, test) = (self.prepared(&train)?, self.prepared(&test)?);
        let mut privacy = self.privacy.training(self.privacy.epsilon, noise);
        privacy.payment = budget.as_ref().map(|budget| budget.payment(privacy.delta));
        if self.privacy.delta.value() * rows as f64 >= 1.0 {
            let delta = self.privacy.delta.value();
            tracing::warn!(delta, rows, "delta is not below 1 / rows: at such a delta ε promises little");
        }
        let sgd = Sgd { settings: self.scaled(&self.training, rows), ..Sgd::plain(self.training.clone()) };
        let sgd = Sgd { privacy: Some(privacy), ..sgd };
        let trained = sgd.train_watched(&train, seed, &test).map_err(|error| match &budget {
            Some(budget) => budget.explained(error.into(), self.privacy.epsilon.value(), self.privacy.delta),
            None => error.into(),
        })?;
        let spent = spent(&trained.record);
        let baseline = self
            .baseline
            .as_ref()
            .map(|baseline| Sgd::plain(self.scaled(baseline, rows)).train(&train, seed))
            .transpose()?;
        Ok(Achieved {
            data,
            rows,
            test_rows: test.len(),
            accuracy: trained.value.accuracy(&test)?,
            baseline_accuracy: baseline.map(|baseline| baseline.value.accuracy(&test)).transpose()?,
            epsilon: Bounds { lower: spent.lower, upper: spent.upper },
            audit: audit(&trained.record),
            delta: self.privacy.delta,
            steps: sgd.settings.steps(rows),
            parameters: trained.value.parameters(),
        })
    }

    /// What of the expected result was missed; nothing is expected of other data.
    pub fn missed(&self, achieved: &Achieved) -> Vec<String> {
        let mut missed = Vec::new();
        let target = self.privacy.epsilon.value();
        if achieved.epsilon.upper > target {
            missed.push(format!("ε ≤ {} is above {target}", achieved.epsilon.upper));
        }
        if achieved.data != self.expected.data {
            return missed;
        }
        let Expected { accuracy, tolerance, behind_baseline, .. } = self.expected;
        if achieved.accuracy < accuracy - tolerance {
            missed.push(format!("accuracy {} is below {accuracy} - {tolerance}", achieved.accuracy));
        }
        if let (Some(allowed), Some(baseline)) = (behind_baseline, achieved.baseline_accuracy)
            && baseline - achieved.accuracy > allowed
        {
            missed.push(format!(
                "accuracy {} is more than {allowed} behind the undefended baseline's {baseline}",
                achieved.accuracy
            ));
        }
        missed
    }

    /// Batches as large for `rows` rows as the settings' are for the recipe's own.
    fn scaled(&self, settings: &Settings, rows: usize) -> Settings {
        let fraction = (rows as f64 / self.rows as f64).min(1.0);
        let batch_size = (settings.batch_size as f64 * fraction).round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the batch size it was")]
        Settings { batch_size: (batch_size as usize).max(1), ..settings.clone() }
    }

    /// The rows of a file, and the digests of the files read.
    fn rows_of(&self, folder: &Path, name: &str) -> Result<(Examples, Vec<Digest>), Error> {
        let path = file(folder, name)?;
        let mut source = Source::new(&path);
        if name.contains("images-idx3") {
            source.labels = Some(file(folder, &name.replace("images-idx3", "labels-idx1"))?);
        }
        let raw_table = open(&source, &Limits::default())?.without_final_points(self.data.contract.classes());
        let digests = raw_table.files().iter().map(|file| file.digest).collect();
        let admitted = admit(raw_table, &self.data.contract)?.value;
        admitted.check(&Floor { max_rejected: MAX_REJECTED, min_rows: 1 })?;
        Ok((admitted.into_rows().into_examples(), digests))
    }

    fn prepared(&self, examples: &Examples) -> Result<Examples, Error> {
        Ok(examples.with_inputs(self.preprocessing.of(examples.inputs())?)?)
    }
}

/// The file of that name in `folder`, plain or compressed.
fn file(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.gz"));
    [&plain, &packed]
        .into_iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or_else(|| Error::MissingData { path: plain.clone() })
}

/// ε of a private training, from both sides.
fn spent(record: &Record) -> Interval {
    let spent = record.measurements.iter().find(|measurement| measurement.quantity == Quantity::Epsilon);
    spent.expect("invariant: a private training reports its ε").interval
}

/// What the canaries of a private training prove.
fn audit(record: &Record) -> Option<Audit> {
    let number = |name: &str| match record.parameters.get(&format!("training.audit.{name}"))? {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    let Value::Count(canaries) = *record.parameters.get("training.audit.canaries")? else { return None };
    Some(Audit { epsilon_lower: number("epsilon_lower")?, confidence: number("confidence")?, canaries })
}

fn digest(examples: &Examples) -> Digest {
    let mut hasher = Sha256::new();
    for row in examples.inputs().rows() {
        hasher.update(row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    examples.labels().iter().for_each(|label| hasher.update((*label as u64).to_le_bytes()));
    Digest::new(hasher.finalize().into())
}

#[cfg(test)]
#[path = "recipes_tests.rs"]
mod tests;
