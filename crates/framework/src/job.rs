//! The job of a run: where rows come from, policy, configuration, seed, and how a run folder records them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use underpin_core::Seed;
use underpin_data::Source;
use underpin_serve::OwnerState;
use underpin_train::DeviceKind;

use crate::config::Config;
use crate::data_budget::BudgetFile;

/// Where rows come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// The UCI digits that come with the program: 1,797 grey images of 8 by 8.
    Digits,
    /// A file, and another to test on if there is one.
    Files {
        /// Rows to train on; without `test` a fraction of them is set aside.
        train: Box<Source>,
        /// Rows to test on.
        test: Option<Box<Source>>,
    },
}

/// Whether a run is defended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Every defence.
    Defended,
    /// None: rows that parse are trained on plainly and served bare. For comparison; a policy should refuse it.
    Undefended,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Defended => "defended",
            Self::Undefended => "undefended",
        })
    }
}

/// A run to make: everything that decides what it does, but for the key.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where rows come from.
    pub input: Input,
    /// The policy's bytes.
    pub policy: Vec<u8>,
    /// Changes to the configuration, in TOML.
    pub config: Option<String>,
    /// Where public randomness starts.
    pub seed: Seed,
    /// Where tensors are computed.
    pub device: DeviceKind,
    /// Whether it is defended.
    pub protection: Protection,
    /// The folder to leave behind.
    pub out: PathBuf,
    /// The privacy budget of the rows, which private training and class counts are charged to; none is charged if absent.
    pub budget: Option<BudgetFile>,
    /// The folder in which the run keeps its state, so that it can be killed at any moment and run again as if it had not
    /// been; made if it is absent, its owner's alone. Nothing is kept if absent.
    pub resume: Option<PathBuf>,
    /// The owner's state: attempts on the same data under the same key are counted there, and how far the run's log goes is
    /// remembered before the run is reported done. Nobody counts and nothing is remembered if absent; the evidence says so.
    pub state: Option<OwnerState>,
    /// Who runs it, for the log.
    pub who: String,
    /// Revision of the code.
    pub revision: String,
    /// Versions of what computes.
    pub versions: BTreeMap<String, String>,
}

impl Job {
    /// A defended run of `input` under the policy in `policy`, into the folder `out`: seed 7, the settings that fit the
    /// data, tensors on `flex`, nobody named, attempts not counted.
    pub fn new(input: Input, policy: Vec<u8>, out: impl Into<PathBuf>) -> Self {
        Self {
            input,
            policy,
            config: None,
            seed: Seed(7),
            device: DeviceKind::Flex,
            protection: Protection::Defended,
            out: out.into(),
            budget: None,
            resume: None,
            state: None,
            who: "unknown".into(),
            revision: "unknown".into(),
            versions: BTreeMap::new(),
        }
    }
}

/// How a run was made: all that is needed to make it again, but for the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedJob {
    pub(crate) input: Input,
    pub(crate) device: DeviceKind,
    pub(crate) protection: Protection,
    pub(crate) seed: Seed,
    pub(crate) config: Config,
}
