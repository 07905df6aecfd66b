//! `underpin verify`: whether a run folder holds what it claims.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use underpin::seal::{self, ClearanceStatus, Exposed, LogHead};
use underpin_core::{Digest, Waiver};

use crate::console::Console;
use crate::pipeline::{accepted, existing};
use crate::{clock, keys, known};

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin verify runs/mine\n  underpin verify runs/mine --trust colleague.pub.pem --json\n  \
                        underpin verify runs/mine --trust colleague.pub.pem --head HEAD --witness auditor.pub.pem\n\n\
                        What you have seen of a run is remembered in $UNDERPIN_STATE, else $XDG_STATE_HOME/underpin, else \
                        ~/.local/state/underpin: one that went back to an earlier state is refused.\n\n\
                        Exit codes: 0 released and in force, 3 cleared but not released, 2 a refusal whose evidence holds, 1 anything \
                        wrong (a changed byte, an unknown signer, a policy that was not named, an expired or revoked clearance, a run that went back, a head or \
                        witness that is missing)."
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
    /// The head of the log that you were told, printed by `verify`: refused unless the log goes on from it.
    #[arg(long, value_name = "SHA256")]
    head: Option<Digest>,
    #[command(flatten)]
    witnesses: keys::Witnesses,
}

/// Exit codes: 0 released and in force, 3 cleared but not released, 2 a sound refusal; 1 is anything wrong.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.folder)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let now = clock::now()?;
    let witnesses = arguments.witnesses.load()?;
    let policies = accepted(&arguments.policy)?;
    let known = known::runs_if_any()?;
    let run = seal::inspect(&arguments.folder, &trusted)?;
    let warnings = warnings(&arguments.folder)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    // A run that went back holds together: it is looked for here.
    if let Some(known) = &known {
        known.check_run(&arguments.folder, run.log())?;
        known.remember(&arguments.folder, run.log(), now)?;
    }
    if let Some(head) = arguments.head {
        seal::extends(&run, head)?;
    }
    // Under a policy that was named, in force, or what speaks against it.
    let fault = seal::accepted(&run, &policies).and_then(|()| seal::in_force(&run, now));
    let fault = fault.and_then(|()| witnesses.check(&arguments.folder, &run).map(drop)).err();
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
        let LogHead { entries, digest, .. } = run.log().head();
        let result = serde_json::json!({
            "outcome": word, "detail": detail, "policy": policy,
            "policy_digest": run.evidence().policy, "waivers": run.policy().waivers(), "signer": run.signer().to_string(),
            "attempt": run.evidence().attempt,
            "measurements": run.evidence().record.measurements.len(),
            "head": digest, "entries": entries, "root": run.log().root(), "warnings": warnings,
        });
        console.print(&format_args!("{result:#}"))?;
    } else if let Some(fault) = fault {
        return Err(fault.into());
    } else if !console.quiet {
        console.print(&format_args!(
            "{word} under {} (sha256:{}): {detail}\nevery signature, digest, size and verdict holds; signed by {}\nhead {}",
            run.policy().name(),
            run.evidence().policy,
            run.signer(),
            run.log().head().digest
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

/// What others may change, in words: one line for each way.
fn warnings(folder: &Path) -> Result<Vec<String>> {
    let exposed = seal::exposures(folder).with_context(|| folder.display().to_string())?;
    let mut ways: Vec<(String, Vec<String>)> = Vec::new();
    for Exposed { file, exposure } in exposed {
        let (way, file) = (exposure.to_string(), file.escape_debug().to_string());
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, files)) => files.push(file),
            None => ways.push((way, vec![file])),
        }
    }
    let line = |(way, files): (String, Vec<String>)| {
        let file = folder.join(&files[0]);
        match files.len() - 1 {
            0 => format!("{}: {way}", file.display()),
            more => format!("{} and {more} more: {way}", file.display()),
        }
    };
    Ok(ways.into_iter().map(line).collect())
}
