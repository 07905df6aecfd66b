//! `cargo xtask verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use underpin::seal::{self, Outcome};

use crate::console::Console;
use crate::{clock, keys};

/// Options of `verify`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Public keys to trust (PEM). Default: your own.
    #[arg(long, value_name = "PEM")]
    key: Vec<PathBuf>,
}

/// Exit codes: 0 a clearance in force, 2 a sound refusal; 1 is anything wrong.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    super::existing(&arguments.folder)?;
    let trusted = keys::trusted(&arguments.key)?;
    let now = clock::now()?;
    let run = seal::verify(&arguments.folder, &trusted, now)?.into_run();
    let (word, detail, code) = match run.outcome() {
        Outcome::Cleared(clearance) => {
            let days = clearance.expires_at.saturating_sub(now) / 86_400;
            ("cleared", format!("expires in {days} days"), 0)
        }
        Outcome::Refused(unmet) => ("refused", format!("{} bars are not met", unmet.len()), 2),
        Outcome::Revoked(revocation) => ("revoked", revocation.reason.clone(), 1),
    };
    if console.json {
        let policy = run.policy().name();
        let result = serde_json::json!({
            "outcome": word, "detail": detail, "policy": policy, "signer": run.signer().to_string(),
            "measurements": run.evidence().record.measurements.len(),
        });
        println!("{result:#}");
    } else if !console.quiet {
        println!("{word} under {}: {detail}", run.policy().name());
        println!("every signature, digest and verdict holds; signed by {}", run.signer());
    }
    Ok(ExitCode::from(code))
}
