//! The workspace: where it lies, and the cargo that works on it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// What a command prints on standard output.
///
/// # Errors
///
/// When it cannot be started or fails, with what it printed on standard error.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let line = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy());
    let line = line.collect::<Vec<_>>().join(" ");
    let output = command.output().with_context(|| format!("{line} could not be started"))?;
    ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    String::from_utf8(output.stdout).with_context(|| format!("{line} printed bytes that are no text"))
}
