//! `underpin train`: recipes, private training with a known expected result.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use underpin::recipes::Plan;
use underpin_core::{Digest, Seed};
use underpin_privacy::{NoiseSource, SecretKey};

use crate::console::Console;
use crate::provenance::REVISION;
use crate::{budget, clock, files, keys};

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  underpin train --recipe adult-eps1 --data shared/data/adult\n  \
                        underpin --json train --recipe mnist-cnn-eps3 --data shared/data/mnist --seed 2\n\n\
                        Exit codes: 0 the expected result, or data of which none is stated; 2 the expected result was missed; \
                        1 an error.")]
pub(crate) struct Arguments {
    /// The recipe: one that comes with the program (mnist-scatter-eps3, fashion-scatter-eps3, mnist-cnn-eps3,
    /// fashion-cnn-eps3, adult-eps1) or a TOML file.
    #[arg(long, value_name = "NAME")]
    recipe: String,
    /// The folder that holds the rows, in the files that the recipe names.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Number that all public randomness starts from (splits, initial weights, attacks): the same seed gives the same run. Default: the recipe's own.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    budget: budget::Options,
    /// The private key that noise and samples are derived from (PEM). Default: your own, kept in your configuration folder.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
}

/// What a run of a recipe came to, as `--json` prints it and `readme --recipes` reads it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeResult {
    /// The recipe, as it was asked for.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// Fraction of the test rows classified correctly.
    pub accuracy: f64,
    /// The same of the baseline without privacy, if the recipe trains one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_accuracy: Option<f64>,
    /// ε, from both sides, at `delta`; neighbours differ in whether one row contributes.
    pub epsilon_upper: f64,
    /// Lower bound on ε.
    pub epsilon_lower: f64,
    /// ε that the run's own canaries prove it exceeds, with a probability of `audit_confidence` over their coins, the
    /// samples and the noise; absent without canaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon_audited: Option<f64>,
    /// Confidence of `epsilon_audited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_confidence: Option<f64>,
    /// Canaries of the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canaries: Option<u64>,
    /// The δ at which ε is stated.
    pub delta: f64,
    /// Training steps.
    pub steps: u64,
    /// Trained parameters.
    pub parameters: usize,
    /// Training rows.
    pub rows: usize,
    /// Test rows.
    pub test_rows: usize,
    /// SHA-256 of the test rows.
    pub data: Digest,
    /// Time by the clock, reading and preparing the rows included.
    pub seconds: f64,
    /// Time of all processors together; absent where the system does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The commit that was built from.
    pub revision: String,
    /// What of the expected result was missed.
    pub missed: Vec<String>,
}

/// Exit codes: 0 the expected result, or data of which none is stated; 2 the expected result was missed; 1 is an error.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let plan = plan(&arguments.recipe)?;
    let seed = arguments.seed.unwrap_or(plan.seed);
    let key = keys::signing(arguments.key.as_deref())?;
    let started = clock::Stopwatch::start();
    let noise = NoiseSource::fresh(SecretKey::new(key.secret("underpin recipes")));
    let achieved = match arguments.budget.file()? {
        Some(file) => plan.run_charged(&arguments.data, Seed(seed), noise, &file)?,
        None => plan.run(&arguments.data, Seed(seed), noise)?,
    };
    let ran = RecipeResult {
        recipe: arguments.recipe.clone(),
        seed,
        accuracy: achieved.accuracy,
        baseline_accuracy: achieved.baseline_accuracy,
        epsilon_upper: achieved.epsilon.upper,
        epsilon_lower: achieved.epsilon.lower,
        epsilon_audited: achieved.audit.map(|audit| audit.epsilon_lower),
        audit_confidence: achieved.audit.map(|audit| audit.confidence),
        canaries: achieved.audit.map(|audit| audit.canaries),
        delta: achieved.delta.value(),
        steps: achieved.steps,
        parameters: achieved.parameters,
        rows: achieved.rows,
        test_rows: achieved.test_rows,
        data: achieved.data,
        seconds: started.seconds(),
        cpu_seconds: clock::cpu_seconds(),
        revision: REVISION.to_owned(),
        missed: plan.missed(&achieved),
    };
    if console.json {
        console.print(&format_args!("{:#}", serde_json::to_value(&ran)?))?;
    } else if !console.quiet {
        console.print(&lines(&ran, achieved.data == plan.expected.data).join("\n"))?;
    }
    if !console.quiet {
        ran.missed.iter().for_each(|missed| eprintln!("missed: {missed}"));
    }
    Ok(ExitCode::from(if ran.missed.is_empty() { 0 } else { 2 }))
}

fn plan(name: &str) -> Result<Plan> {
    if std::path::Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        let text = files::text("--recipe", std::path::Path::new(name))?;
        return Plan::read(&text).with_context(|| format!("--recipe {name}"));
    }
    Ok(Plan::named(name)?)
}

fn lines(ran: &RecipeResult, known: bool) -> Vec<String> {
    let mut lines = vec![
        format!("{} on {} rows, seed {}", ran.recipe, ran.rows, ran.seed),
        format!("accuracy  {:.2} % of {} test rows", 100.0 * ran.accuracy, ran.test_rows),
    ];
    if let Some(baseline) = ran.baseline_accuracy {
        lines.push(format!("baseline  {:.2} % without privacy", 100.0 * baseline));
    }
    lines.push(format!(
        "epsilon   at most {:.4}, at least {:.4} by the accountant, at delta {:e}",
        ran.epsilon_upper, ran.epsilon_lower, ran.delta
    ));
    if let (Some(lower), Some(confidence), Some(canaries)) = (ran.epsilon_audited, ran.audit_confidence, ran.canaries) {
        lines.push(format!(
            "audit     above {lower:.2} by the run's own {canaries} canaries, with {confidence} confidence"
        ));
    }
    lines.push(format!("training  {} steps on {} parameters, {:.0} s in all", ran.steps, ran.parameters, ran.seconds));
    if !known {
        lines.push("no result is stated for these data".to_owned());
    }
    lines
}
