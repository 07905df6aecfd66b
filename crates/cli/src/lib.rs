#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line; it speaks to people")]

mod account;
mod budget;
mod client;
mod clock;
mod console;
mod dry_run;
mod files;
mod generate;
mod keys;
mod known;
mod pipeline;
mod progress;
mod provenance;
mod reassess;
mod revoke;
mod serve;
mod signals;
mod table;
mod train;
mod verify;
mod witness;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use keys::trusted as trusted_keys;
pub use train::RecipeResult;

/// Carries a classifier through its lifecycle, security first: sanitize, train, guard, attack, judge, serve.
#[derive(Debug, Parser)]
#[command(
    name = "underpin",
    bin_name = "underpin",
    version = provenance::VERSION,
    after_help = "Exit codes: 0 done or cleared; 2 the answer is no: `pipeline` and `verify` found a refusal, `reassess` revoked, \
                  `train` missed its result; 1 an error, of which a clearance that `verify` or `serve` finds revoked is one. \
                  Each command's help has its own.\n\nResults go to standard output; progress, logs and errors go to standard error. \
                  RUST_LOG selects log lines by module, NO_COLOR takes colours away."
)]
struct Arguments {
    #[command(flatten, next_help_heading = "Global options")]
    console: console::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From untrusted rows to a signed verdict: sanitize, train, guard, attack, judge, report.
    Pipeline(Box<pipeline::Arguments>),
    /// Check a run folder: signatures, digests, expiry, and that each verdict follows from the evidence.
    Verify(verify::Arguments),
    /// Sign, as a second party, what was seen of a run: its head, policy and verdict.
    Witness(witness::Arguments),
    /// Serve the model of a cleared run over the Open Inference Protocol v2.
    Serve(serve::Arguments),
    /// Add, list or revoke the clients (API keys) of a served run.
    Client(client::Arguments),
    /// Revoke the clearance of a run for good, without data and without attacks.
    Revoke(revoke::Arguments),
    /// Attack the model of a run again under the present policy; renew or revoke its clearance.
    Reassess(reassess::Arguments),
    /// Privacy accounting: the ε of a private training run, or the noise, steps or sampling rate that keep it within a target.
    Account(account::Arguments),
    /// Run a recipe: differentially private training with a known expected result.
    Train(train::Arguments),
    /// Print a completion script for a shell.
    Completions(generate::CompletionArguments),
    /// Print the man page, or write one man page for each command into a folder.
    Man(generate::ManArguments),
}

/// Runs one command line (without the program's name) and returns the exit code for the process.
///
/// Results go to standard output, everything else to standard error. Subscribes to `tracing` events for the whole process
/// and handles SIGINT and SIGTERM while a run or a server is under way, so call it once, from `main`.
///
/// # Errors
///
/// None: errors are printed in one line, and the exit code is 1.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = std::iter::once(OsString::from("underpin")).chain(arguments);
    let Arguments { console, command } = match Arguments::try_parse_from(line) {
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
        Command::Verify(arguments) => verify::run(&arguments, &console),
        Command::Witness(arguments) => witness::run(&arguments, &console),
        Command::Serve(arguments) => serve::run(&arguments, &console),
        Command::Client(arguments) => client::run(arguments, &console),
        Command::Revoke(arguments) => revoke::run(&arguments, &console),
        Command::Reassess(arguments) => reassess::run(&arguments, &console),
        Command::Account(arguments) => account::run(&arguments, &console),
        Command::Train(arguments) => train::run(&arguments, &console),
        Command::Completions(arguments) => generate::completions(&arguments, self::command(), &console),
        Command::Man(arguments) => generate::man(&arguments, self::command(), &console),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            signals::wait_if_interrupted();
            console.error(&error);
            // A run that the policy refuses before anything is trained is refused like any other.
            let is_refusal = error.downcast_ref::<underpin::Error>().is_some_and(underpin::Error::is_refusal);
            ExitCode::from(if is_refusal { 2 } else { 1 })
        }
    }
}

/// The command line as clap describes it: for completions, man pages and the reference page.
pub fn command() -> clap::Command {
    Arguments::command()
}
