//! `underpin revoke`: takes a clearance back by signature alone, without data and without attacks.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use underpin::seal::{self, files};

use crate::console::Console;
use crate::pipeline::existing;
use crate::provenance::who;
use crate::{clock, keys, known};

/// Characters of a reason.
const LONGEST: usize = 500;

/// Options of `revoke`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  underpin revoke --run runs/mine --reason \"rows were withdrawn\"\n  \
                        underpin revoke --run runs/mine --reason \"key lost\" --key new.pem --trust old.pub.pem\n\n\
                        A server of this run denies every request from then on. A revocation is for good.\n\n\
                        Exit codes: 0 revoked, 1 an error (also when it was revoked before, or never cleared).")]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Why, for everyone who verifies the run or asks the server.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The private key to sign with (PEM). Default: your own, kept in your configuration folder.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Public keys that the run may be signed by, beside the one that signs the revocation (PEM; may be repeated).
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
}

/// Signs the revocation and puts it on record.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.run)?;
    let reason = arguments.reason.trim();
    ensure!(!reason.is_empty(), "--reason \"\": give the reason in a few words");
    ensure!(
        reason.chars().count() <= LONGEST && !reason.chars().any(char::is_control),
        "--reason: at most {LONGEST} characters in one line, without control characters"
    );
    let cleared = arguments.run.join(files::CLEARANCE).is_file();
    ensure!(cleared, "{} is not cleared: it has no {}", arguments.run.display(), files::CLEARANCE);
    ensure!(!arguments.run.join(files::REVOCATION).exists(), "{} is revoked already", arguments.run.display());
    let key = keys::existing(arguments.key.as_deref())?;
    let mut trusted = vec![key.public()];
    if !arguments.trust.is_empty() {
        trusted.extend(keys::trusted(&arguments.trust)?);
    }
    let at = clock::now()?;
    let known = known::runs()?;
    // Not its query ledger: a revocation is put on record whatever became of that.
    known.check(&seal::read_log(&arguments.run, &trusted)?)?;
    seal::revoke(&arguments.run, &trusted, &key, at, &who(), reason)?;
    let head = known.remember_folder(&arguments.run, &trusted, at)?;
    if console.json {
        let signer = key.public().id().to_string();
        let result =
            serde_json::json!({ "outcome": "revoked", "at": at, "reason": reason, "signer": signer, "head": head });
        console.print(&format_args!("{result:#}"))?;
    } else if !console.quiet {
        console.print(&format_args!("revoked {}: {reason}", arguments.run.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
