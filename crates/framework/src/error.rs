//! Errors of this crate.

use std::borrow::Cow;
use std::path::PathBuf;
use underpin_core::{Delta, Digest, Epsilon, ErrorOrigin, OutOfRange, Shortfall};

use crate::state_fault::StateFault;

/// Errors of `underpin`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vocabulary refused.
    #[error(transparent)]
    Core(#[from] underpin_core::Error),
    /// Collection refused.
    #[error(transparent)]
    Data(#[from] underpin_data::Error),
    /// An attack could not be run, or nothing could be measured.
    #[error(transparent)]
    Metrics(#[from] underpin_metrics::Error),
    /// A mechanism refused.
    #[error(transparent)]
    Privacy(#[from] underpin_privacy::Error),
    /// A guard could not be put up.
    #[error(transparent)]
    Serve(#[from] underpin_serve::Error),
    /// A model could not be made or read.
    #[error(transparent)]
    Train(#[from] underpin_train::Error),
    /// A run folder, a key or a policy was refused.
    #[error(transparent)]
    Seal(#[from] crate::seal::Error),
    /// A run folder does not hold what it claims.
    #[error(transparent)]
    Fault(#[from] crate::seal::Fault),
    /// A predictor of our own denied what the framework cannot do without.
    #[error("the model denied: {0}")]
    Denied(#[from] underpin_core::Denied),
    /// A model could not be trained.
    #[error("training of the {model} failed: {source}")]
    Training {
        /// Which model.
        model: &'static str,
        /// What the trainer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration file or a recipe was refused.
    #[error("configuration: {0}")]
    Config(#[from] crate::config::ConfigError),
    /// No recipe has that name.
    #[error("unknown recipe {name:?}; known: {}; or give a file", .known.join(", "))]
    UnknownRecipe {
        /// Rejected name.
        name: String,
        /// Names of the recipes that come with the program.
        known: Vec<&'static str>,
    },
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Too few rows of a class are set aside.
    #[error("{file}: class {class:?} has {found} rows set aside for testing; at least {needed} are needed")]
    TooFewHeldOut {
        /// The file.
        file: String,
        /// The class.
        class: String,
        /// Rows of it that were set aside.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// A test file has not the columns of the training file.
    #[error("{file}: no column {column:?}, which {other} has")]
    OtherColumns {
        /// The file.
        file: String,
        /// The column that it lacks.
        column: String,
        /// The file that has it.
        other: String,
    },
    /// A class is there to test on and not to train on.
    #[error("{file}: class {class:?} has rows set aside for testing and none left to train on")]
    UntrainedClass {
        /// The file of the rows set aside.
        file: String,
        /// The class.
        class: String,
    },
    /// Two sketches do not describe the same data.
    #[error(
        "the sketch has {} features and {} classes where the reference has {} and {}",
        .seen.0, .seen.1, .reference.0, .reference.1
    )]
    Sketch {
        /// Features and classes of the reference.
        reference: (usize, usize),
        /// Features and classes of what was given.
        seen: (usize, usize),
    },
    /// The policy's intent names what the data has not.
    #[error("the policy's intent names the class {class:?}; the data has: {}", .classes.join(", "))]
    UnknownClass {
        /// The name.
        class: String,
        /// The classes there are.
        classes: Vec<String>,
    },
    /// A folder for scratch files could not be made.
    #[error("no folder for temporary files: {0}")]
    Scratch(std::io::Error),
    /// A file could not be read or written.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run is no JSON, or of another kind than it should be.
    #[error("{file}: {source}")]
    Json {
        /// The file.
        file: String,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A run has not the file that is needed.
    #[error("{file}: missing")]
    MissingFile {
        /// The file.
        file: String,
    },
    /// The owner's state does not know an attempt that ended.
    #[error(
        "{}: the {known} attempts on these data that are remembered there are others than this run's, which began there: the \
         folder was put back or replaced meanwhile",
        .state.display()
    )]
    ForgottenAttempt {
        /// The owner's state folder.
        state: PathBuf,
        /// Attempts that the folder knows.
        known: usize,
    },
    /// A data file was changed between the run's first entry and its reading.
    #[error("{file}: it was changed while the run began: its SHA-256 is {found}, the run is bound to {expected}")]
    ChangedData {
        /// The file.
        file: String,
        /// The digest that the run is bound to.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
    },
    /// A recipe's data file is absent.
    #[error("{}: no such file, and none with .gz either: the recipe needs it", .path.display())]
    MissingData {
        /// The file, uncompressed.
        path: PathBuf,
    },
    /// The data of a run are not the ones it was made from.
    #[error("{file}: not the data that the run was made from (its manifest is another)")]
    OtherData {
        /// The data's name.
        file: String,
    },
    /// A budget file is for the rows of other data.
    #[error("budget {}: it is for {found}; this run trains on {needed}", .path.display())]
    OtherRows {
        /// The budget's file.
        path: PathBuf,
        /// What its unit is.
        found: String,
        /// What it would have to be.
        needed: String,
    },
    /// A budget file holds another ε and δ than was asked for.
    #[error(
        "budget {}: made with epsilon = {} at delta = {}; {} at {} is asked for",
        .path.display(), .stored.0, .stored.1, .given.0, .given.1
    )]
    OtherBudget {
        /// The budget's file.
        path: PathBuf,
        /// Its ε and δ.
        stored: (Epsilon, Delta),
        /// Those asked for.
        given: (Epsilon, Delta),
    },
    /// A run does not fit in what is left of the privacy budget of its rows. Nothing was trained.
    #[error(
        "budget {}: the run asks for epsilon = {} at delta = {:e}; left is epsilon = {:.4} at delta = {:.4e}, of the \
         whole epsilon = {} at delta = {:e}",
        .path.display(), .asked.0, .asked.1, .left.0, .left.1, .whole.0, .whole.1
    )]
    OverBudget {
        /// The budget's file.
        path: PathBuf,
        /// ε and δ of training and class counts together.
        asked: (f64, f64),
        /// ε and δ that are left for runs.
        left: (f64, f64),
        /// ε and δ of the whole budget.
        whole: (f64, f64),
    },
    /// A run without private training has nothing to charge to a budget.
    #[error("budget {}: the run does not train privately, so nothing can be charged", .path.display())]
    NotPrivate {
        /// The budget's file.
        path: PathBuf,
    },
    /// The served quota cannot be spent by the extraction attack, so what an adversary gains within it would not be known.
    #[error(
        "refused before training: serving.quota.queries = {quota} with attacks.keys = {keys} allows more than the {most} \
         queries that the extraction attack can spend{}",
        listed(.weaker)
    )]
    UnspendableQuota {
        /// Queries that each client is allowed.
        quota: u64,
        /// Keys that the adversary holds.
        keys: u64,
        /// Most queries that the attack spends.
        most: u64,
        /// What else is weaker than the policy asks.
        weaker: Vec<Shortfall>,
    },
    /// A run's state is of another job.
    #[error("the state in {} is of another run: its {what} is {kept}; this run's is {given}", .folder.display())]
    OtherJob {
        /// The state's folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
        /// As it is kept.
        kept: String,
        /// As it is now.
        given: String,
    },
    /// A run's state cannot be used.
    #[error("{}: {fault}", .path.display())]
    State {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why not.
        fault: StateFault,
    },
    /// A run that is not cleared has nothing to serve, renew or evaluate.
    #[error("this run was refused: {unmet} of its bars are not met; only a cleared run can be {wanted}")]
    NotCleared {
        /// Number of unmet bars.
        unmet: usize,
        /// What was asked for.
        wanted: &'static str,
    },
}

impl Error {
    /// Where the cause lies: with the caller, with an input, or with the system.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::Core(error) => error.origin(),
            Self::Data(error) => error.origin(),
            Self::Metrics(error) => error.origin(),
            Self::Privacy(error) => error.origin(),
            Self::Serve(error) => error.origin(),
            Self::Train(error) => error.origin(),
            Self::Seal(error) => error.origin(),
            Self::Config(_)
            | Self::UnknownRecipe { .. }
            | Self::OutOfRange(_)
            | Self::TooFewHeldOut { .. }
            | Self::OtherColumns { .. }
            | Self::UntrainedClass { .. }
            | Self::Sketch { .. }
            | Self::UnknownClass { .. }
            | Self::MissingData { .. }
            | Self::OtherRows { .. }
            | Self::OtherBudget { .. }
            | Self::OverBudget { .. }
            | Self::NotPrivate { .. }
            | Self::UnspendableQuota { .. }
            | Self::OtherJob { .. }
            | Self::ForgottenAttempt { .. }
            | Self::NotCleared { .. } => ErrorOrigin::Caller,
            Self::Fault(_)
            | Self::Json { .. }
            | Self::MissingFile { .. }
            | Self::OtherData { .. }
            | Self::ChangedData { .. }
            | Self::State { .. } => ErrorOrigin::Input,
            Self::Denied(_) | Self::Training { .. } | Self::Scratch(_) | Self::Io { .. } => ErrorOrigin::System,
        }
    }

    /// Whether this is a refusal by the policy, before anything was trained, and no failure.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::UnspendableQuota { .. })
    }

    /// `name` is `value`, which lies outside `range`.
    pub(crate) fn out_of_range(
        name: impl Into<Cow<'static, str>>,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::OutOfRange(OutOfRange::new(name, value, range))
    }

    pub(crate) fn training(model: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Training { model, source: Box::new(source) }
    }
}

fn listed(weaker: &[Shortfall]) -> String {
    let list: Vec<String> = weaker.iter().map(ToString::to_string).collect();
    if list.is_empty() { String::new() } else { format!("; weaker than the policy asks: {}", list.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_whose_fault_it_is() {
        assert_eq!(Error::out_of_range("a", 2.0, "[0, 1]").origin(), ErrorOrigin::Caller);
        assert_eq!(Error::MissingFile { file: "a".into() }.origin(), ErrorOrigin::Input);
        assert_eq!(Error::Scratch(std::io::Error::other("full")).origin(), ErrorOrigin::System);
        let within = Error::Seal(crate::seal::Error::Name { name: "../a".into() });
        assert_eq!(within.origin(), ErrorOrigin::Caller);
    }
}
