//! The repository's chores: `cargo xtask help`. The product's commands are forwarded to the crate `underpin-cli`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line; it speaks to people")]

mod api;
mod check;
mod circles;
mod deny;
mod dist;
mod links;
mod packages;
mod readme;
mod tidy;
mod workspace;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use mimalloc::MiMalloc;

/// Keeps the memory of one training step for the next.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The chores of this repository. Every other command, `cargo xtask pipeline` for one, is the product's: it does what
/// `underpin pipeline` does, with the same options, output and exit codes.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test.
    Test(check::TestArguments),
    /// What CI runs after the tests: format, lints, tidy, documentation, benches, packages.
    Ci,
    /// Check the order of the house: imports, circles of files, features, links, documentation.
    Tidy,
    /// Write what is written from code and runs: JSON schemas, the reference pages and the README's tables.
    Readme(readme::Arguments),
    /// Write the lists of public items (docs/api) that `ci` compares the code with: accepts a change of them.
    Api(api::Arguments),
    /// Build the release into dist/: a static program where possible, its SBOM, SHA-256 file and archive, and the container.
    Dist(dist::Arguments),
}

/// The first argument that names a command: neither an option nor the value of a global one.
fn command_of(arguments: &[OsString]) -> Option<&OsStr> {
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        if argument == "--log-format" {
            left.next();
        } else if !argument.to_string_lossy().starts_with('-') {
            return Some(argument);
        }
    }
    None
}

/// Whether the arguments are for the product, not for this program.
fn is_forwarded(arguments: &[OsString]) -> bool {
    let own =
        |name: &OsStr| Arguments::command().get_subcommands().any(|command| OsStr::new(command.get_name()) == name);
    match command_of(arguments) {
        Some(name) if name == "help" => {
            let rest = arguments.iter().skip_while(|argument| *argument != "help").skip(1);
            command_of(&rest.cloned().collect::<Vec<_>>()).is_some_and(|about| !own(about))
        }
        Some(name) => !own(name),
        None => arguments.iter().any(|argument| argument == "--version" || argument == "-V"),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if is_forwarded(&arguments) {
        return underpin_cli::main(arguments);
    }
    if command_of(&arguments).is_none_or(|name| name == "help") && arguments.len() < 2 {
        let product = underpin_cli::command();
        let mut command = Arguments::command();
        for known in product.get_subcommands() {
            command = command.subcommand(known.clone());
        }
        let _ = command.print_help();
        return ExitCode::from(u8::from(arguments.is_empty()));
    }
    let Arguments { command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let result = match command {
        Command::Test(arguments) => check::test(&arguments),
        Command::Ci => check::ci(),
        Command::Tidy => tidy::run(),
        Command::Readme(arguments) => readme::run(&arguments),
        Command::Api(arguments) => api::run(&arguments),
        Command::Dist(arguments) => dist::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_commands_are_forwarded_and_the_chores_are_not() {
        for (line, forwarded) in [
            ("pipeline --undefended", true),
            ("--json --log-format json verify runs/a", true),
            ("--version", true),
            ("help pipeline", true),
            ("surprise", true),
            ("tidy", false),
            ("test -- --nocapture pipeline", false),
            ("readme --run runs/a", false),
            ("dist --without-container", false),
            ("help ci", false),
            ("help", false),
            ("--help", false),
            ("", false),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            assert_eq!(is_forwarded(&arguments), forwarded, "{line}");
        }
    }
}
