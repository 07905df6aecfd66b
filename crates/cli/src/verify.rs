//! `underpin verify`: whether a run folder holds what it claims.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use underpin::seal::{self, ClearanceStatus};
use underpin_core::Waiver;

use crate::console::Console;
use crate::pipeline::{accepted, existing};
use crate::{clock, keys};

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin verify runs/mine\n  underpin verify runs/mine --trust colleague.pub.pem --json\n\n\
                        Exit codes: 0 released and in force, 3 cleared but not released, 2 a refusal whose evidence holds, 1 anything \
                        wrong (a changed byte, an unknown signer, a policy that was not named, an expired or revoked clearance)."
)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Public keys whose signatures are trusted (PEM; may be repeated). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Policies under which a clearance is accepted: `baseline`, `strict`, a file, or `sha256:` and the digest of one (may be
    /// repeated). Default: the shipped policies.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
}

/// Exit codes: 0 released and in force, 3 cleared but not released, 2 a sound refusal; 1 is anything wrong.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.folder)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let now = clock::now()?;
    let run = seal::inspect(&arguments.folder, &trusted)?;
    let policies = accepted(&arguments.policy)?;
    // Under a policy that was named, in force, or what speaks against it.
    let fault = seal::accepted(&run, &policies).and_then(|()| seal::in_force(&run, now)).err();
    let (word, detail, code) = match (run.status(), &fault) {
        (ClearanceStatus::Refused(unmet), None) => ("refused", format!("{} bars are not met", unmet.len()), 2),
        (ClearanceStatus::Cleared(clearance), None) => {
            let days = clearance.expires_at.saturating_sub(now) / 86_400;
            if clearance.is_released() {
                ("released", format!("expires in {days} days"), 0)
            } else {
                ("cleared", format!("a limit of the policy's intent is not met; expires in {days} days"), 3)
            }
        }
        (ClearanceStatus::Cleared(_), Some(fault)) => ("not in force", fault.to_string(), 1),
        (ClearanceStatus::Refused(_), Some(fault)) => ("not accepted", fault.to_string(), 1),
        (ClearanceStatus::Revoked(revocation), _) => ("revoked", revocation.reason.clone(), 1),
    };
    if console.json {
        let policy = run.policy().name();
        let result = serde_json::json!({
            "outcome": word, "detail": detail, "policy": policy,
            "policy_digest": run.evidence().policy, "waivers": run.policy().waivers(), "signer": run.signer().to_string(),
            "attempt": run.evidence().attempt,
            "measurements": run.evidence().record.measurements.len(),
        });
        console.print(&format_args!("{result:#}"))?;
    } else if let Some(fault) = fault {
        return Err(fault.into());
    } else if !console.quiet {
        console.print(&format_args!(
            "{word} under {} (sha256:{}): {detail}\nevery signature, digest and verdict holds; signed by {}",
            run.policy().name(),
            run.evidence().policy,
            run.signer()
        ))?;
        match run.evidence().attempt {
            Some(attempt) => console.print(&attempt)?,
            None => console.print(&"attempts on these data were not counted")?,
        }
        for Waiver { threat, access, reason } in run.policy().waivers() {
            console.print(&format_args!("waived: {threat} ({access}): {reason}"))?;
        }
    }
    Ok(ExitCode::from(code))
}
