//! `underpin reassess`: the same model attacked again; its clearance renewed or revoked.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use underpin::{ReassessmentResult, Request};

use crate::console::Console;
use crate::pipeline::{existing, policy};
use crate::provenance::{REVISION, versions, who};
use crate::{clock, keys, known, table};

/// Options of `reassess`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin reassess runs/mine\n  underpin reassess runs/mine --policy strict --traffic \
                        runs/mine.serving/traffic.json\n\n\
                        The rows are read again from where the run had them; they must be the same.\n\n\
                        Exit codes: 0 renewed, 2 revoked, 1 an error (then the clearance is as it was)."
)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The policy of the day: a TOML file, `baseline` or `strict`. Default: the run's own.
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Sketch of what the server saw (`DIR.serving/traffic.json`), to test for drift.
    #[arg(long, value_name = "SKETCH")]
    traffic: Option<PathBuf>,
    /// The private key to sign with (PEM). Default: your own, kept in your configuration folder.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
}

/// Exit codes: 0 renewed, 2 revoked; 1 is an error.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.folder)?;
    let started = clock::now()?;
    let key = keys::signing(arguments.key.as_deref())?;
    let trusted = [key.public()];
    let bytes = arguments.policy.as_deref().map(policy).transpose()?;
    let traffic = match &arguments.traffic {
        Some(path) => Some(
            underpin_serve::read_sketch(path)?
                .with_context(|| format!("--traffic {}: no such file", path.display()))?,
        ),
        None => None,
    };
    let known = known::runs()?;
    let request = Request {
        folder: &arguments.folder,
        trusted: &trusted,
        policy: bytes.as_deref(),
        traffic: traffic.as_ref(),
        known: Some(&known),
        who: &who(),
        revision: REVISION,
        versions: &versions(),
    };
    let reassessed = underpin::reassess(&request, &key, &|| clock::now().unwrap_or(started))?;
    if console.json {
        let mut result = table::json(&reassessed.finished);
        let reason = match &reassessed.outcome {
            ReassessmentResult::Renewed => None,
            ReassessmentResult::Revoked { reason } => Some(reason),
        };
        result["outcome"] = if reason.is_some() { "revoked" } else { "renewed" }.into();
        result["reason"] = serde_json::json!(reason);
        result["drift"] = serde_json::json!(reassessed.drift);
        console.print(&format_args!("{result:#}"))?;
    } else {
        table::print(&reassessed.finished, console)?;
    }
    if let (Some(drift), false) = (&reassessed.drift, console.quiet || console.json) {
        let (seen, shifted, compared) = (drift.seen, drift.shifts.len(), drift.compared);
        console.print(&format_args!("traffic: {seen} examples, {shifted} of {compared} histograms drifted"))?;
    }
    Ok(match &reassessed.outcome {
        ReassessmentResult::Renewed => ExitCode::SUCCESS,
        ReassessmentResult::Revoked { reason } => {
            if !console.quiet {
                eprintln!("revoked: {reason}");
            }
            ExitCode::from(2)
        }
    })
}
