//! Preparation of collection: the file is read and split, the contract inferred, and the settings that fit are chosen.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use underpin_core::{Audited, Digest, Policy, Seed, Subject};
use underpin_data::{Collection, Contract, Floor, Limits, NamedBytes, RawTable, Rows, Source, Split};

use crate::Error;
use crate::config::Config;
use crate::job::{Input, Job, Protection};
use crate::judgement::Judge;

/// Most queries that the extraction attack spends.
const MOST_QUERIES: u64 = 50_000;

const DIGITS_FILE: &str = "digits.csv.gz";
const DIGITS: &[u8] = include_bytes!("../data/digits/digits.csv.gz");

/// Fewest rows of each class that must be set aside: two to measure on, two for the adversary.
const FEWEST_HELD_OUT: usize = 4;

/// What is known before any row is judged by sanitizers.
pub(crate) struct Prepared {
    /// Raw rows of the training side.
    pub(crate) train: RawTable,
    /// How the file was split, and all its raw rows; none when the test rows came in a file of their own.
    pub(crate) split: Option<(Split, RawTable)>,
    /// What every row has to be, inferred from the rows set aside alone.
    pub(crate) contract: Contract,
    /// The rows set aside, by the contract.
    pub(crate) set_aside: Collection,
    /// Half of the rows set aside: what is measured is measured on them.
    pub(crate) holdout: Rows,
    /// The other half: the adversary owns them.
    pub(crate) auxiliary: Rows,
    /// The settings that fit the data, with the job's changes.
    pub(crate) config: Config,
    /// The settings that follow from the policy and the data, without the job's changes: no attack may be weaker.
    pub(crate) recommended: Config,
    /// How much must be left of the training side.
    pub(crate) least: Floor,
}

impl Prepared {
    /// Judges rows of this preparation as `job` says.
    pub(crate) fn judge(&self, job: &Job) -> Judge<'_> {
        let seed = job.seed.derive("collection");
        Judge { config: &self.config, protection: job.protection, contract: &self.contract, seed }
    }

    /// Sanitizes the rows of the training side.
    ///
    /// # Errors
    ///
    /// When more rows are rejected than the policy allows, too few are left, or none of a class.
    pub(crate) fn sanitize(&self, judge: &Judge<'_>) -> Result<Audited<Collection>, Error> {
        underpin_data::admit(self.train.clone(), &self.contract)?.value.check(&self.least)?;
        let sanitized = judge.judge(self.train.clone(), self.set_aside.rows().clone())?;
        sanitized.value.check(&self.least)?;
        let counts = sanitized.value.rows().examples().counts();
        match counts.iter().position(|count| *count == 0) {
            Some(class) => Err(Error::UntrainedClass {
                file: self.set_aside.raw_table().name().to_owned(),
                class: self.contract.classes()[class].clone(),
            }),
            None => Ok(sanitized),
        }
    }
}

/// Reads the rows of `job`, sets some aside, and chooses settings; of either side the fraction `max_rejected` of the rows
/// may be rejected.
///
/// # Errors
///
/// When the file as a whole is of no use, more of the rows set aside are rejected than that, too few are
/// left, or the job's configuration does not fit.
pub(crate) fn prepare(job: &Job, policy: &Policy, max_rejected: f64) -> Result<Prepared, Error> {
    let RawTables { train, test, split } = raw_tables(job)?;
    let test = if split.is_none() { same_columns(&train, test)? } else { test };
    // Nothing is left out without a word.
    for left_out in train.left_out() {
        tracing::warn!(file = train.name(), "{left_out}");
    }
    let contract = Contract::infer(&test)?;
    let rows = train.rows().len();
    let name = test.name().to_owned();
    let set_aside = underpin_data::admit(test, &contract)?.value;
    set_aside.check(&Floor { max_rejected, min_rows: 2 })?;
    check_held_out(&name, set_aside.rows(), &contract)?;
    let (holdout, auxiliary) = halves(set_aside.rows());
    let sizes = [rows, auxiliary.len()];
    let mut defaults = Config::recommended(contract.shape(), sizes, contract.classes().len(), job.device, policy);
    defaults.attacks.poisoning.target = target(&set_aside.rows().examples().counts(), job.seed);
    let mut config = job.config.as_deref().map_or(Ok(defaults.clone()), |text| defaults.changed(text))?;
    if job.protection == Protection::Defended {
        affordable(&config, &defaults)?;
    }
    config.check(contract.shape(), contract.classes().len(), auxiliary.len())?;
    if job.protection == Protection::Undefended {
        config.undefend();
    }
    for (name, settings) in
        [("training.batch_size", &config.training), ("undefended.batch_size", config.training_undefended())]
    {
        if !(1..=auxiliary.len()).contains(&settings.batch_size) {
            let range =
                format!("[1, {}]: the adversary's surrogate trains on {} rows", auxiliary.len(), auxiliary.len());
            return Err(Error::out_of_range(name, settings.batch_size as f64, range));
        }
    }
    let least = Floor { max_rejected, min_rows: config.training.batch_size.max(2) };
    Ok(Prepared { train, split, contract, set_aside, holdout, auxiliary, config, recommended: defaults, least })
}

/// The class that the backdoor shall make the model answer: drawn among those that a constant answer does not give.
fn target(counts: &[usize], seed: Seed) -> usize {
    let most = counts.iter().copied().max().unwrap_or(0);
    let all_alike = counts.iter().all(|count| *count == most);
    let few: Vec<usize> = (0..counts.len()).filter(|class| all_alike || counts[*class] < most).collect();
    let mut rng = ChaCha12Rng::seed_from_u64(seed.derive("backdoor target").0);
    few.get(rng.random_range(0..few.len().max(1))).copied().unwrap_or(0)
}

/// Refuses a quota that the extraction attack cannot spend: what an adversary gains within it would not be known.
///
/// All that is weaker than the plan is named besides, for then nothing is left of such a run.
fn affordable(config: &Config, plan: &Config) -> Result<(), Error> {
    let allowed = config.serving.quota.queries.saturating_mul(config.attacks.keys);
    if allowed <= MOST_QUERIES {
        return Ok(());
    }
    Err(Error::UnspendableQuota {
        quota: config.serving.quota.queries,
        keys: config.attacks.keys,
        most: MOST_QUERIES,
        weaker: config.shortfalls(plan),
    })
}

/// Raw rows to train on, raw rows to test on, and how they were parted if they came as one.
struct RawTables {
    train: RawTable,
    test: RawTable,
    split: Option<(Split, RawTable)>,
}

fn raw_tables(job: &Job) -> Result<RawTables, Error> {
    let limits = Limits::default();
    let raw_table = match &job.input {
        Input::Digits => {
            let shape = underpin_core::Shape::new([1, 8, 8])?;
            let source = Source { shape: Some(shape), ..Source::new(DIGITS_FILE) };
            underpin_data::from_bytes(NamedBytes { name: DIGITS_FILE, bytes: DIGITS }, None, &source, &limits)?
        }
        Input::Files { train, test: None } => underpin_data::open(train, &limits)?,
        Input::Files { train, test: Some(test) } => {
            let train = underpin_data::open(train, &limits)?;
            // The label is the training table's unless the test table's is named.
            let mut test = Source::clone(test);
            test.label.get_or_insert_with(|| train.columns()[train.label()].clone());
            let test = underpin_data::open(&test, &limits)?;
            return Ok(RawTables { train, test, split: None });
        }
    };
    let small = raw_table.rows().len() < 10_000;
    let split = Split { test_fraction: if small { 0.4 } else { 0.2 }, seed: job.seed };
    let parts = underpin_data::split(raw_table.clone(), &split)?;
    Ok(RawTables { train: parts.train, test: parts.test, split: Some((split, raw_table)) })
}

/// Names and digests of the files of a job before they are read: those that train, and those of the rows set aside where
/// they have files of their own.
pub(crate) fn data_files(input: &Input) -> Result<(Vec<Subject>, Vec<Subject>), Error> {
    match input {
        Input::Digits => Ok((vec![Subject { name: DIGITS_FILE.into(), digest: Digest::of(DIGITS) }], Vec::new())),
        Input::Files { train, test } => {
            let test = test.as_ref().map_or(Ok(Vec::new()), |test| underpin_data::fingerprint(test))?;
            Ok((underpin_data::fingerprint(train)?, test))
        }
    }
}

/// The test table with its columns in the order of the training table's; refuses one whose columns are others. A column
/// that one of the tables leaves out may be missing in the other.
fn same_columns(train: &RawTable, test: RawTable) -> Result<RawTable, Error> {
    for (file, there) in [(&test, train), (train, &test)] {
        let used = |column: &String| there.left_out().iter().all(|left_out| left_out.column != *column);
        let missing = there.columns().iter().find(|column| !file.columns().contains(column) && used(column));
        if let Some(column) = missing {
            return Err(Error::OtherColumns {
                file: file.name().to_owned(),
                column: column.clone(),
                other: there.name().to_owned(),
            });
        }
    }
    Ok(test.bound_to(train)?)
}

/// Refuses rows set aside that are too few to attack with and to measure on.
fn check_held_out(file: &str, held_out: &Rows, contract: &Contract) -> Result<(), Error> {
    let counts = held_out.examples().counts();
    match counts.iter().position(|count| *count < FEWEST_HELD_OUT) {
        Some(class) => Err(Error::TooFewHeldOut {
            file: file.to_owned(),
            class: contract.classes()[class].clone(),
            found: counts[class],
            needed: FEWEST_HELD_OUT,
        }),
        None => Ok(()),
    }
}

/// Every other row of each class to either half.
fn halves(rows: &Rows) -> (Rows, Rows) {
    let mut seen = vec![0_usize; rows.examples().classes()];
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (at, label) in rows.examples().labels().iter().enumerate() {
        // Classes start in turn, so that odd counts do not all favour one half.
        if (seen[*label] + label).is_multiple_of(2) {
            first.push(at);
        } else {
            second.push(at);
        }
        seen[*label] += 1;
    }
    (rows.select(&first), rows.select(&second))
}
