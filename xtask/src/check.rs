//! Every test, and what CI checks beside them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::workspace::cargo;
use crate::{api, deny, packages, tidy};

/// Options of `test`.
#[derive(Args, Debug)]
pub(crate) struct TestArguments {
    /// Passed on to `cargo test` (a filter, `-- --nocapture`).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn run(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("── {name}");
    let status = command.status().with_context(|| format!("{name} could not be started"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// Runs every test of the workspace: unit, integration and documentation.
pub(crate) fn test(arguments: &TestArguments) -> Result<ExitCode> {
    run("tests", cargo(&["test", "--workspace"]).args(&arguments.arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// What CI runs after the tests.
pub(crate) fn ci() -> Result<ExitCode> {
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    deny::run()?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run("documentation", cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    api::check()?;
    eprintln!("── packages");
    packages::package()?;
    run("documentation tests", &mut cargo(&["test", "--workspace", "--doc"]))?;
    // As tests, not by `cargo bench`: the same build serves, and each bench runs once.
    run("benches, one pass each", &mut cargo(&["test", "--workspace", "--benches"]))?;
    // Nothing else builds OpenDP: it checks our samplers, maps and class counts.
    run("private statistics", &mut cargo(&["test", "--package", "underpin-privacy", "--features", "statistics"]))?;
    // A build of its own: with these features burn has other features, too.
    let features = ["test", "--package", "underpin-train", "--features", "remote,ndarray"];
    run("remote devices and a second backend", &mut cargo(&features))?;
    Ok(ExitCode::SUCCESS)
}
