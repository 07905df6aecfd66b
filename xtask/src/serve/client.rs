//! `cargo xtask client`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use underpin::State;

use crate::console::Console;
use crate::pipeline::existing;

/// Options of `client`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a client; its key is shown once.
    Add {
        /// Its name.
        name: String,
        /// The run folder.
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
    },
    /// Take a client's key away; its used quota stays on record.
    Revoke {
        /// Its name.
        name: String,
        /// The run folder.
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
    },
    /// List the clients.
    List {
        /// The run folder.
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
    },
}

/// Changes or lists who may ask.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<ExitCode> {
    let (Command::Add { run, .. } | Command::Revoke { run, .. } | Command::List { run }) = &arguments.command;
    existing(run)?;
    let clients = State::of(run)?.clients()?;
    match arguments.command {
        Command::Add { name, .. } => {
            let key = clients.add(&name)?;
            if console.json {
                println!("{}", serde_json::json!({ "name": name, "key": key.reveal() }));
            } else {
                println!("{}", key.reveal());
                eprintln!("this key of {name:?} is shown once; send it as `Authorization: Bearer KEY`");
            }
        }
        Command::Revoke { name, .. } => clients.revoke(&name)?,
        Command::List { .. } => {
            for client in clients.list()? {
                println!("{}\t{:?}", client.name, client.state);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
