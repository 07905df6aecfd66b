//! The commands that people type: `cargo xtask help`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line; it speaks to people")]

mod account;
mod check;
mod clock;
mod console;
mod keys;
mod pipeline;
mod progress;
mod readme;
mod reassess;
mod serve;
mod tidy;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Keeps the memory of one training step for the next.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Carries a model through its lifecycle, security first.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(flatten)]
    console: console::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From untrusted rows to a signed verdict: sanitize, train, guard, attack, judge, report.
    Pipeline(Box<pipeline::Arguments>),
    /// Check a run folder: signatures, digests, expiry, and that each verdict follows from the evidence.
    Verify(pipeline::verify::Arguments),
    /// Serve the model of a cleared run over the Open Inference Protocol v2.
    Serve(serve::Arguments),
    /// Add, list or revoke the clients of a served run.
    Client(serve::client::Arguments),
    /// Attack the model of a run again under the present policy; renew or revoke its clearance.
    Reassess(reassess::Arguments),
    /// What private training costs, or the noise, steps or sampling rate that keep it within a target.
    Account(account::Arguments),
    /// Run a recipe: a private training whose result is known.
    Train(train::Arguments),
    /// Run every test.
    Test(check::TestArguments),
    /// What CI runs after the tests: format, lints, tidy, documentation, benches.
    Ci,
    /// Check the order of the house: imports, features, files, documentation.
    Tidy,
    /// Write what is written from code and runs: JSON schemas and the README's tables.
    Readme(readme::Arguments),
}

fn main() -> ExitCode {
    let Arguments { console, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Exit code 2 is a refusal; a mistyped option is an error like any other.
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let console = console.open();
    let result = match command {
        Command::Pipeline(arguments) => pipeline::run(&arguments, &console),
        Command::Verify(arguments) => pipeline::verify::run(&arguments, &console),
        Command::Serve(arguments) => serve::run(&arguments, &console),
        Command::Client(arguments) => serve::client::run(arguments, &console),
        Command::Reassess(arguments) => reassess::run(&arguments, &console),
        Command::Account(arguments) => account::run(&arguments, &console),
        Command::Train(arguments) => train::run(&arguments, &console),
        Command::Test(arguments) => check::test(&arguments),
        Command::Ci => check::ci(),
        Command::Tidy => tidy::run(),
        Command::Readme(arguments) => readme::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            console.error(&error);
            ExitCode::from(1)
        }
    }
}
