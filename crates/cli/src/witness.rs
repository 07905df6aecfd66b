//! `underpin witness`: a second party signs what it has seen of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use underpin::seal::{self, SigningKey, Witnesses};

use crate::console::Console;
use crate::pipeline::{accepted, existing};
use crate::{clock, keys, known};

/// Options of `witness`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  underpin witness runs/mine --key auditor.pem --trust owner.pub.pem\n  \
                        underpin verify runs/mine --witness auditor.pub.pem\n\n\
                        The statement lies beside the run, in DIR.witness/KEY-ID.dsse.json, where `verify --witness` and `serve \
                        --witness` look for it. A later entry that replaces evidence, clearance or safety evaluation is not covered: \
                        witness the run anew.\n\n\
                        Exit codes: 0 witnessed, 1 an error (also for a run that does not verify, is expired or revoked).")]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The witness's private key (PEM). It must have signed nothing of the run.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Public keys that the run may be signed by (PEM; may be repeated). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Policies under which a clearance is witnessed: `baseline`, `strict`, a file, or `sha256:` and the digest of one (may be
    /// repeated). Default: the shipped policies.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    /// The file of the statement; one that is there is replaced. Default: DIR.witness/KEY-ID.dsse.json.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Verifies the run and signs its head.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.folder)?;
    let key = SigningKey::load(&arguments.key)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let known = known::runs_if_any()?;
    let now = clock::now()?;
    let run = seal::verify(&arguments.folder, &trusted, now)?;
    seal::accepted(&run, &accepted(&arguments.policy)?)?;
    if let Some(known) = known {
        known.remember(&arguments.folder, run.log(), now)?;
    }
    let statement = seal::witness(&run, &key, now)?;
    let id = key.public().id();
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => Witnesses::default().path(&fs::canonicalize(&arguments.folder)?, id),
    };
    let run_folder = fs::canonicalize(&arguments.folder)?;
    check_replaceable(&path, &run_folder, &key)?;
    write(&path, &statement).with_context(|| format!("write {}", path.display()))?;
    let head = run.log().head();
    if console.json {
        let result = serde_json::json!({
            "outcome": "witnessed", "statement": path, "witness": id, "head": head, "root": run.log().root(),
            "signer": run.signer(), "policy_digest": run.evidence().policy,
        });
        console.print(&format_args!("{result:#}"))?;
    } else if !console.quiet {
        console.print(&format_args!("witnessed {} entries, head {}\n{}", head.entries, head.digest, path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a place in the run, and one where something else than a statement of this witness is.
fn check_replaceable(path: &Path, run: &Path, key: &SigningKey) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inside = fs::canonicalize(folder).is_ok_and(|folder| folder.starts_with(run));
    ensure!(!inside, "--out {}: it lies in the run, which holds no statements of others", path.display());
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let is_statement = found.is_file()
        && found.len() <= seal::files::DOCUMENT_LIMIT
        && seal::open::<seal::WitnessStatement>(&fs::read(path)?, &[key.public()]).is_ok();
    ensure!(is_statement, "{} exists, and is no statement of this witness: it is not replaced", path.display());
    Ok(())
}

/// Replaces a file that others may read: readers see the old statement or the new one.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.draft", std::process::id()));
    let draft = path.with_file_name(name);
    let written = fs::write(&draft, bytes).and_then(|()| fs::File::open(&draft)?.sync_all());
    let renamed = written.and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        // OK to pass over: the error of writing is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    renamed?;
    fs::File::open(folder)?.sync_all()
}
