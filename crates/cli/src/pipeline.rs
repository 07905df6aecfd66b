//! `underpin pipeline`: one run, from rows to a sealed folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use underpin::seal::policy::AcceptedPolicies;
use underpin::{DeviceKind, Error, Input, Job, Protection, seal};
use underpin_core::{Digest, Seed, Shape};
use underpin_data::{Format, Source};

use crate::console::Console;
use crate::provenance::{REVISION, versions, who};
use crate::{budget, clock, dry_run, files, keys, known, signals, table};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileFormat {
    /// Comma-separated text.
    Csv,
    /// MNIST's own format.
    Idx,
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
    /// One flat JSON object per line.
    JsonLines,
}

/// Options of `pipeline`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin pipeline\n  underpin pipeline --data rows.csv --label income --policy strict \
                        --out runs/income\n  underpin --json pipeline --undefended\n  underpin pipeline --data rows.csv --dry-run\n\n\
                        Exit codes: 0 cleared and released (or a dry run), 3 cleared but not released, 2 refused, 1 an error; 130 and 143 when SIGINT (Ctrl-C) or SIGTERM ended it: \
                        then no folder is left behind.\n\n\
                        Attempts on the same data under the same key are counted in $UNDERPIN_STATE, else $XDG_STATE_HOME/underpin, \
                        else ~/.local/state/underpin; the evidence says which one a run is."
)]
pub(crate) struct Arguments {
    /// Rows to train on (CSV, IDX, Parquet, Arrow or JSON lines, .gz allowed). Default: the UCI digits that come with the program.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Rows to test on. Default: a stratified fraction of the data, set aside first.
    #[arg(long, value_name = "FILE", requires = "data")]
    test_data: Option<PathBuf>,
    /// Format of the data, where the file's name does not show it.
    #[arg(long, value_enum, requires = "data")]
    format: Option<FileFormat>,
    /// The column that holds the class, by name or position.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    label: Option<String>,
    /// Shape of an image.
    #[arg(long, value_name = "CxHxW", requires = "data")]
    shape: Option<String>,
    /// The policy: a TOML file, or `baseline` or `strict`, which come with the program.
    #[arg(long, value_name = "FILE", default_value = "baseline")]
    policy: String,
    /// Changes to the recommended settings: a TOML file (docs/reference/configuration.md lists all of them).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show what a run would read, reject, train and attack, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The folder to leave behind; it must not exist.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Number that all public randomness starts from (splits, initial weights, attacks): the same seed gives the same run.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Library that computes tensors on the CPU.
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: String,
    #[command(flatten)]
    budget: budget::Options,
    /// The folder in which the run keeps its state: killed at any moment and called again with the same options, it ends as
    /// if it had not been. Made if it is absent; secret. Needs `--out`, so that both calls speak of one run folder.
    #[arg(long, value_name = "DIR", requires = "out")]
    resume: Option<PathBuf>,
    /// No defence at all, for comparison; a policy should refuse it.
    #[arg(long)]
    undefended: bool,
    /// The private key to sign with (PEM). Default: your own, kept in your configuration folder (made at first use).
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
}

impl Arguments {
    fn input(&self) -> Result<Input> {
        let Some(path) = &self.data else { return Ok(Input::Digits) };
        let shape = self.shape.as_deref().map(shape).transpose()?;
        let source = |option: &str, path: &Path| -> Result<Box<Source>> {
            files::regular(option, path)?;
            // Absolute, so that a reassessment finds the rows from wherever it is called.
            let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
            let format = self.format.map(|format| match format {
                FileFormat::Csv => Format::Csv,
                FileFormat::Idx => Format::Idx,
                FileFormat::Parquet => Format::Parquet,
                FileFormat::Arrow => Format::Arrow,
                FileFormat::JsonLines => Format::JsonLines,
            });
            Ok(Box::new(Source { format, label: self.label.clone(), shape: shape.clone(), ..Source::new(path) }))
        };
        let train = source("--data", path)?;
        let test = self.test_data.as_deref().map(|path| source("--test-data", path)).transpose()?;
        Ok(Input::Files { train, test })
    }
}

fn shape(text: &str) -> Result<Shape> {
    let axes: Option<Vec<usize>> = text.split('x').map(|axis| axis.parse().ok()).collect();
    match axes {
        Some(axes) if axes.len() == 3 => Ok(Shape::new(axes)?),
        _ => bail!("--shape {text:?}: give channels, height and width as 1x28x28"),
    }
}

pub(crate) fn policy(name: &str) -> Result<Vec<u8>> {
    match name {
        "baseline" => Ok(seal::policy::BASELINE.as_bytes().to_vec()),
        "strict" => Ok(seal::policy::STRICT.as_bytes().to_vec()),
        path => {
            let bytes = files::small("--policy", Path::new(path))?;
            seal::policy::read(&bytes).with_context(|| format!("--policy {path}"))?;
            Ok(bytes)
        }
    }
}

/// The policies that `--policy` names, each a name, a file or `sha256:DIGEST`; the shipped ones if there is none.
pub(crate) fn accepted(named: &[String]) -> Result<AcceptedPolicies> {
    if named.is_empty() {
        return Ok(AcceptedPolicies::shipped());
    }
    let digests =
        named.iter().map(|text| match AcceptedPolicies::named(text).with_context(|| format!("--policy {text}"))? {
            Some(policy) => Ok(policy),
            None => Ok(AcceptedPolicies::only([Digest::of(&policy(text)?)])),
        });
    digests.collect::<Result<Vec<_>>>().map(AcceptedPolicies::any)
}

/// Exit codes: 0 cleared and released, 2 refused, 3 cleared and not released; 1 is an error.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let started = clock::now()?;
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/{started}")));
    let config = arguments.config.as_deref().map(|path| files::text("--config", path)).transpose()?;
    if let Some(state) = &arguments.resume {
        files::apart(("--out", &out), ("--resume", state))?;
    }
    let mut job = Job {
        input: arguments.input()?,
        policy: policy(&arguments.policy)?,
        config,
        seed: Seed(arguments.seed),
        device: arguments.device.parse::<DeviceKind>()?,
        protection: if arguments.undefended { Protection::Undefended } else { Protection::Defended },
        out,
        budget: arguments.budget.file()?,
        resume: arguments.resume.clone(),
        state: None,
        who: who(),
        revision: REVISION.to_owned(),
        versions: versions(),
    };
    let in_config = |error: Error| match (&error, &arguments.config) {
        (Error::Config(_) | Error::OutOfRange(_), Some(path)) => {
            anyhow::Error::new(error).context(format!("--config {}", path.display()))
        }
        _ => error.into(),
    };
    if arguments.dry_run {
        // A key that is given is looked at; none is made.
        arguments.key.as_deref().map(|path| keys::signing(Some(path))).transpose()?;
        let plan = underpin::dry_run(&job).map_err(in_config)?;
        dry_run::print(&plan, console)?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = keys::signing(arguments.key.as_deref())?;
    job.state = Some(known::state()?);
    signals::remove_unfinished_runs()?;
    let finished = underpin::run(&job, &key, &|| clock::now().unwrap_or(started)).map_err(in_config)?;
    console.clear();
    table::print(&finished, console)?;
    Ok(ExitCode::from(match (finished.is_cleared(), finished.is_released()) {
        (_, true) => 0,
        (true, false) => 3,
        (false, false) => 2,
    }))
}

/// A run folder that exists.
pub(crate) fn existing(folder: &Path) -> Result<()> {
    let evidence = folder.join(seal::files::EVIDENCE);
    ensure!(evidence.is_file(), "{} is no run folder: it has no {}", folder.display(), seal::files::EVIDENCE);
    Ok(())
}
