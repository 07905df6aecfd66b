//! Collection: rows set aside, judged, and the same judgement measured on injected faults.

use std::collections::BTreeMap;

use underpin_core::{Audited, Examples, Inputs, Policy, Record, Seed};
use underpin_data::{
    Collection, Contract, Floor, Limits, Manifest, NamedBytes, RawTable, RowLedger, Rows, Source, Split,
};
use underpin_train::Classifier;

use crate::config::{Attacks, Config};
use crate::pipeline::{Input, Protection, to_json};
use crate::redteam::{self, Poisoned};
use crate::report::{Class, DataSummary, Dropped, Picture};
use crate::seal::files;
use crate::{DeviceKind, Error};

const DIGITS: &[u8] = include_bytes!("../data/digits/digits.csv.gz");

/// Fewest rows of each class that must be set aside: two to measure on, two for the adversary.
const FEWEST_HELD_OUT: usize = 4;

/// Quarantined rows that the report shows.
const SHOWN: usize = 12;

/// Rows that collection judged, and all that is known of them.
#[derive(Debug)]
pub struct CollectedData {
    /// Rows that train.
    pub(crate) train: Rows,
    /// Every row's decision.
    pub(crate) ledger: RowLedger,
    /// Rows that never train; what is measured is measured on them.
    pub(crate) holdout: Rows,
    /// Rows of the same distribution that the adversary owns; they never train either.
    pub(crate) auxiliary: Rows,
    /// What both pipelines would have trained on, had the rows been poisoned.
    pub(crate) poisoned: Poisoned,
    /// What collection did and how well it detects.
    pub(crate) record: Record,
    /// Files of the run that collection wrote: manifest, ledger, quarantine.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    /// For the report.
    pub(crate) summary: DataSummary,
    pub(crate) contract: Contract,
    /// The strength that attacks must have to vouch for anything.
    pub(crate) floor: Attacks,
}

impl CollectedData {
    /// Rows that train.
    pub fn train(&self) -> &Rows {
        &self.train
    }

    /// Every row's decision.
    pub fn ledger(&self) -> &RowLedger {
        &self.ledger
    }

    /// Names of the classes, in the order of their labels.
    pub fn classes(&self) -> &[String] {
        self.contract.classes()
    }

    /// Rows that never trained, on which models are measured.
    pub fn test(&self) -> Examples {
        self.holdout.examples().clone()
    }

    /// All rows that never trained: the held-out ones and those that the adversary owns.
    pub(crate) fn held_out(&self) -> Examples {
        joined(self.holdout.examples(), self.auxiliary.examples()).expect("invariant: two parts of one set of rows")
    }
}

/// The examples of `first`, then those of `second`.
pub(crate) fn joined(first: &Examples, second: &Examples) -> Result<Examples, Error> {
    let values = [first.inputs().values(), second.inputs().values()].concat();
    let labels = [first.labels(), second.labels()].concat();
    let inputs = Inputs::new(first.inputs().shape().clone(), values)?;
    Ok(Examples::new(inputs, labels, first.classes())?)
}

/// What a run asks of collection.
#[derive(Clone, Copy, Debug)]
pub struct CollectRequest<'a> {
    /// Where rows come from.
    pub input: &'a Input,
    /// Changes to the configuration, in TOML.
    pub config: Option<&'a str>,
    /// Where public randomness starts.
    pub seed: Seed,
    /// Where tensors are computed.
    pub device: DeviceKind,
    /// Whether rows are sanitized.
    pub protection: Protection,
}

/// Reads rows, sets a test fraction aside, judges the others, and measures the judgement on injected faults.
///
/// Undefended, rows only have to parse.
///
/// # Errors
///
/// When the file as a whole is of no use, too many rows are rejected, or too few are left; and on a configuration that
/// does not fit.
pub fn collect(order: &CollectRequest<'_>, policy: &Policy) -> Result<(CollectedData, Config), Error> {
    let RawTables { train, test, split } = raw_tables(order)?;
    let contract = Contract::infer(&test)?;
    let rows = train.rows().len();
    let name = test.name().to_owned();
    if split.is_none() {
        same_columns(&train, &test)?;
    }
    let set_aside = underpin_data::admit(test, &contract)?.value;
    set_aside.check(&Floor { max_rejected: policy.max_rejected(), min_rows: 2 })?;
    let held_out = set_aside.rows().clone();
    check_held_out(&name, &held_out, &contract)?;
    let (holdout, auxiliary) = halves(&held_out);
    let sizes = [rows, auxiliary.len()];
    let defaults = Config::recommended(contract.shape(), sizes, contract.classes().len(), order.device, policy);
    let mut config = order.config.map_or(Ok(defaults.clone()), |text| defaults.changed(text))?;
    config.check(contract.classes().len(), auxiliary.len())?;
    if order.protection == Protection::Undefended {
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
    let seed = order.seed.derive("collection");
    let floor = Floor { max_rejected: policy.max_rejected(), min_rows: config.training.batch_size.max(2) };
    let judge = Judge { config: &config, protection: order.protection, contract: &contract, seed };
    underpin_data::admit(train.clone(), &contract)?.value.check(&floor)?;
    let Audited { value: collection, mut record } = judge.judge(train.clone(), held_out.clone())?;
    collection.check(&floor)?;
    record.set("collection.held_out.read", set_aside.ledger().read());
    record.set("collection.held_out.kept", set_aside.ledger().kept());
    let counts = collection.rows().examples().counts();
    if let Some(class) = counts.iter().position(|count| *count == 0) {
        return Err(Error::UntrainedClass { file: name, class: contract.classes()[class].clone() });
    }
    let (poisoned, detected) = redteam::poison(&judge, &train, split.as_ref(), held_out)?;
    record.merge(detected);
    let manifest = Manifest::new(&collection, split.map(|(split, _)| split))?;
    let summary = summary(&collection, &set_aside, &contract);
    let files = written(&collection, &set_aside, &manifest)?;
    let collected = CollectedData {
        ledger: collection.ledger().clone(),
        train: collection.into_rows(),
        holdout,
        auxiliary,
        poisoned,
        record,
        files,
        summary,
        contract,
        floor: defaults.attacks,
    };
    Ok((collected, config))
}

/// Judges rows as the configuration says; the red team's copy is judged by the same.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a Config,
    pub(crate) protection: Protection,
    pub(crate) contract: &'a Contract,
    pub(crate) seed: Seed,
}

impl Judge<'_> {
    pub(crate) fn judge(&self, raw_table: RawTable, held_out: Rows) -> Result<Audited<Collection>, Error> {
        let Audited { value, mut record } = underpin_data::admit(raw_table, self.contract)?;
        let collection = value.hold_out(held_out)?;
        if self.protection == Protection::Undefended || collection.rows().is_empty() {
            return Ok(Audited { value: collection, record });
        }
        let looked_at = self.representation(&collection)?;
        let judged =
            self.config.collection.sanitizers.sanitize(collection, &looked_at, self.seed.derive("sanitizers"))?;
        record.merge(judged.record);
        Ok(Audited { value: judged.value, record })
    }

    /// The last hidden layer of a model fitted to the rows as they came: where a backdoor must show if it works.
    fn representation(&self, collection: &Collection) -> Result<impl Fn(&Inputs) -> Inputs + use<>, Error> {
        let trainer = underpin_train::Sgd::plain(self.config.training_undefended().clone());
        let trainer = crate::model::WithoutProgress(&trainer);
        let data = collection.rows().examples();
        let fit = underpin_core::Trainer::train(&trainer, data, self.seed.derive("representation"));
        let model: Classifier = fit.map_err(|error| Error::training("model that detectors look through", error))?.value;
        Ok(move |inputs: &Inputs| model.features(inputs).expect("invariant: rows that kept the contract fit the model"))
    }
}

/// Raw rows to train on, raw rows to test on, and how they were parted if they came as one.
struct RawTables {
    train: RawTable,
    test: RawTable,
    split: Option<(Split, RawTable)>,
}

fn raw_tables(order: &CollectRequest<'_>) -> Result<RawTables, Error> {
    let limits = Limits::default();
    let raw_table = match order.input {
        Input::Digits => {
            let shape = underpin_core::Shape::new([1, 8, 8])?;
            let source = Source { shape: Some(shape), ..Source::new("digits.csv.gz") };
            underpin_data::from_bytes(NamedBytes { name: "digits.csv.gz", bytes: DIGITS }, None, &source, &limits)?
        }
        Input::Files { train, test: None } => underpin_data::open(train, &limits)?,
        Input::Files { train, test: Some(test) } => {
            let (train, test) = (underpin_data::open(train, &limits)?, underpin_data::open(test, &limits)?);
            return Ok(RawTables { train, test, split: None });
        }
    };
    let small = raw_table.rows().len() < 10_000;
    let split = Split { test_fraction: if small { 0.4 } else { 0.2 }, seed: order.seed };
    let parts = underpin_data::split(raw_table.clone(), &split)?;
    Ok(RawTables { train: parts.train, test: parts.test, split: Some((split, raw_table)) })
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

fn written(
    collection: &Collection,
    set_aside: &Collection,
    manifest: &Manifest,
) -> Result<BTreeMap<&'static str, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let parts = [
        (collection, files::LEDGER, files::QUARANTINE),
        (set_aside, "held-out.ledger.jsonl", "held-out.quarantine.parquet"),
    ];
    for (collection, ledger, quarantine) in parts {
        let mut bytes = Vec::new();
        let failed = |source| Error::Io { action: "write", path: ledger.into(), source };
        collection.ledger().write(&mut bytes).map_err(failed)?;
        files.insert(ledger, bytes);
        let mut bytes = Vec::new();
        underpin_data::write_quarantine(collection, &mut bytes)?;
        files.insert(quarantine, bytes);
    }
    files.insert(files::MANIFEST, to_json(manifest, files::MANIFEST)?);
    Ok(files)
}

/// Refuses a test file whose columns are not those of the training file.
fn same_columns(train: &RawTable, test: &RawTable) -> Result<(), Error> {
    for (file, there) in [(test, train), (train, test)] {
        if let Some(column) = there.columns().iter().find(|column| !file.columns().contains(column)) {
            return Err(Error::OtherColumns {
                file: file.name().to_owned(),
                column: column.clone(),
                other: there.name().to_owned(),
            });
        }
    }
    Ok(())
}

fn summary(collection: &Collection, set_aside: &Collection, contract: &Contract) -> DataSummary {
    let (ledger, held_out) = (collection.ledger(), set_aside.ledger());
    let mut dropped: BTreeMap<(String, String), u64> = BTreeMap::new();
    for drop in ledger.decisions().iter().chain(held_out.decisions()).filter_map(|decision| decision.dropped.as_ref()) {
        *dropped.entry((drop.by.clone(), drop.reason.to_string())).or_default() += 1;
    }
    let counts = collection.rows().examples().counts();
    DataSummary {
        name: collection.raw_table().name().to_owned(),
        rows_read: (ledger.read() + held_out.read()) as u64,
        kept: (ledger.kept() + held_out.kept()) as u64,
        dropped: dropped.into_iter().map(|((by, reason), rows)| Dropped { by, reason, rows }).collect(),
        classes: contract
            .classes()
            .iter()
            .zip(counts)
            .map(|(name, rows)| Class { name: name.clone(), rows: rows as u64 })
            .collect(),
        examples: pictures(collection, contract),
    }
}

/// Some quarantined rows, where rows are images: a few of each reason.
fn pictures(collection: &Collection, contract: &Contract) -> Vec<Picture> {
    let Some(shape) = contract.shape().image() else { return Vec::new() };
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut pictures = Vec::new();
    for decision in collection.ledger().decisions() {
        let Some(drop) = &decision.dropped else { continue };
        let count = shown.entry(drop.reason.to_string()).or_default();
        if *count >= 4 || pictures.len() >= SHOWN {
            continue;
        }
        let Some((values, label)) = collection.encoded(contract, decision.id) else { continue };
        *count += 1;
        let caption = format!("row {}, labelled {}: {}", decision.id, contract.classes()[label], drop.reason);
        pictures.push(Picture { shape, values, caption });
    }
    pictures
}
