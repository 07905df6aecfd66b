//! The options of a privacy budget file, of every command that trains privately.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use underpin::BudgetFile;
use underpin_core::{Delta, Epsilon};

/// Options that name a privacy budget file and what it holds.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A privacy budget file that the ε and δ of private training and class counts are charged to before the model trains,
    /// so that runs on the same data file add up. Made if it is absent.
    #[arg(long, value_name = "FILE")]
    budget: Option<PathBuf>,
    /// The whole ε of the budget file; with --budget-delta. Default: what the file has; of a new one, the ε of this run.
    #[arg(long, value_name = "EPSILON", requires = "budget", requires = "budget_delta")]
    budget_epsilon: Option<f64>,
    /// The whole δ of the budget file; with --budget-epsilon. A hundredth of it is set aside, so k runs at δ need k δ / 0.99.
    /// Default: what the file has; of a new one, the δ of this run and a fiftieth more.
    #[arg(long, value_name = "DELTA", requires = "budget", requires = "budget_epsilon")]
    budget_delta: Option<f64>,
}

impl Options {
    /// The budget file, if one is named.
    ///
    /// # Errors
    ///
    /// When the whole ε or δ is out of range.
    pub(crate) fn file(&self) -> Result<Option<BudgetFile>> {
        let Some(path) = &self.budget else { return Ok(None) };
        let whole = match (self.budget_epsilon, self.budget_delta) {
            (Some(epsilon), Some(delta)) => {
                Some((Epsilon::new(epsilon).context("--budget-epsilon")?, Delta::new(delta).context("--budget-delta")?))
            }
            _ => None,
        };
        Ok(Some(BudgetFile { whole, ..BudgetFile::new(path) }))
    }
}
