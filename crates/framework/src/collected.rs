//! Collected data: the rows that train, those held out, the ledger, and what collection measured.

use std::collections::BTreeMap;

use underpin_core::{Examples, Inputs, Record};
use underpin_data::{Contract, RowLedger, Rows};

use crate::Error;
use crate::config::Config;
use crate::redteam::Poisoned;
use crate::summary::DataSummary;

/// Rows that collection sanitized, and all that is known of them. Only [`crate::stages::Declared::collect`] makes them.
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
    /// The settings that follow from the policy and the data: attacks weaker than these meet no bar.
    pub(crate) recommended: Config,
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

    /// Rows of the same distribution that the adversary owns.
    pub(crate) fn auxiliary(&self) -> &Examples {
        self.auxiliary.examples()
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
