//! `underpin client`: API keys of a served run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use underpin::State;

use crate::console::Console;
use crate::pipeline::existing;

/// Options of `client`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin client add alice --run runs/mine\n  underpin client revoke alice --run runs/mine\n  \
                        underpin client list --run runs/mine --json\n\n\
                        A running server follows within seconds.\n\nExit codes: 0 done, 1 an error."
)]
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

/// Changes or lists the clients.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<ExitCode> {
    let (Command::Add { run, .. } | Command::Revoke { run, .. } | Command::List { run }) = &arguments.command;
    existing(run)?;
    let clearance = underpin::seal::files::CLEARANCE;
    ensure!(run.join(clearance).is_file(), "{} is not cleared: it has no {clearance}", run.display());
    let clients = State::of(run)?.clients()?;
    match arguments.command {
        Command::Add { name, .. } => {
            let key = clients.add(&name)?;
            if console.json {
                console.print(&serde_json::json!({ "name": name, "key": key.reveal() }))?;
            } else {
                console.print(&key.reveal())?;
            }
            if !console.json && !console.quiet {
                eprintln!("this key of {name:?} is shown once; send it as `Authorization: Bearer KEY`");
            }
        }
        Command::Revoke { name, .. } => clients.revoke(&name)?,
        Command::List { .. } if console.json => {
            let state = |client: &underpin_serve::Client| format!("{:?}", client.state).to_lowercase();
            let list: Vec<_> = clients
                .list()?
                .iter()
                .map(|client| serde_json::json!({ "name": client.name, "state": state(client) }))
                .collect();
            console.print(&format_args!("{:#}", serde_json::Value::Array(list)))?;
        }
        Command::List { .. } => {
            for client in clients.list()? {
                console.print(&format_args!("{}\t{:?}", client.name, client.state))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
