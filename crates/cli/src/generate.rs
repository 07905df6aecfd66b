//! `underpin completions` and `underpin man`: what shells and `man` read, generated from the command line itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;

use crate::console::Console;

/// Options of `completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  underpin completions bash > ~/.local/share/bash-completion/completions/underpin\n\n\
                        Exit codes: 0 printed, 1 an error."
)]
pub(crate) struct CompletionArguments {
    /// The shell that reads the script.
    #[arg(value_enum)]
    shell: Shell,
}

/// Options of `man`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  underpin man | man -l -\n  underpin man ~/.local/share/man/man1\n\n\
                        Exit codes: 0 printed or written, 1 an error.")]
pub(crate) struct ManArguments {
    /// Folder to write `underpin.1`, `underpin-pipeline.1`, … into; made if absent. Default: print `underpin.1`.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints the completion script of `command`.
pub(crate) fn completions(
    arguments: &CompletionArguments,
    mut command: Command,
    console: &Console,
) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "underpin", &mut script);
    console.print(&String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the main page of `command`, or writes all of them.
pub(crate) fn man(arguments: &ManArguments, command: Command, console: &Console) -> Result<ExitCode> {
    let command = command.version(env!("CARGO_PKG_VERSION"));
    if let Some(folder) = &arguments.folder {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        clap_mangen::generate_to(command, folder).with_context(|| folder.display().to_string())?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        console.print(&String::from_utf8(page)?.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
