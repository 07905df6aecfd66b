//! `underpin verify`: whether a run folder holds what it claims.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use underpin::seal::{self, ClearanceStatus};

use crate::console::Console;
use crate::pipeline::existing;
use crate::{clock, keys};

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin verify runs/mine\n  underpin verify runs/mine --trust colleague.pub.pem --json\n\n\
                        Exit codes: 0 a clearance in force, 2 a refusal whose evidence holds, 1 anything wrong (a changed byte, \
                        an unknown signer, an expired or revoked clearance)."
)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Public keys whose signatures are trusted (PEM; may be repeated). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
}

/// Exit codes: 0 a clearance in force, 2 a sound refusal; 1 is anything wrong.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.folder)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let now = clock::now()?;
    let run = seal::inspect(&arguments.folder, &trusted)?;
    // In force, or what ended it.
    let fault = seal::in_force(&run, now).err();
    let (word, detail, code) = match (run.status(), &fault) {
        (ClearanceStatus::Refused(unmet), _) => ("refused", format!("{} bars are not met", unmet.len()), 2),
        (ClearanceStatus::Cleared(clearance), None) => {
            let days = clearance.expires_at.saturating_sub(now) / 86_400;
            ("cleared", format!("expires in {days} days"), 0)
        }
        (ClearanceStatus::Cleared(_), Some(fault)) => ("not in force", fault.to_string(), 1),
        (ClearanceStatus::Revoked(revocation), _) => ("revoked", revocation.reason.clone(), 1),
    };
    if console.json {
        let policy = run.policy().name();
        let result = serde_json::json!({
            "outcome": word, "detail": detail, "policy": policy, "signer": run.signer().to_string(),
            "measurements": run.evidence().record.measurements.len(),
        });
        console.print(&format_args!("{result:#}"))?;
    } else if let Some(fault) = fault {
        return Err(fault.into());
    } else if !console.quiet {
        console.print(&format_args!(
            "{word} under {}: {detail}\nevery signature, digest and verdict holds; signed by {}",
            run.policy().name(),
            run.signer()
        ))?;
    }
    Ok(ExitCode::from(code))
}
