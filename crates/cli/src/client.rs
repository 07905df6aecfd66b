//! `underpin client`: API keys of a served run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use underpin::State;
use underpin_serve::{ApiKey, Client, ClientState};

use crate::clock;
use crate::console::Console;
use crate::pipeline::existing;

/// Options of `client`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin client add alice --run runs/mine\n  underpin client rotate alice --run runs/mine\n  \
                        underpin client revoke alice --run runs/mine\n  \
                        underpin client list --run runs/mine --json\n\n\
                        A running server follows within a second.\n\nExit codes: 0 done, 1 an error."
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
        /// Days after which the key ends. Default: it does not end.
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// Make a client another key; the one it has is accepted for a while longer, and both count as one client.
    Rotate {
        /// Its name.
        name: String,
        /// The run folder.
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// Hours for which the present key is still accepted.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap: u32,
        /// Days after which the new key ends. Default: it does not end.
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// Take a client's keys away; its used quota stays on record.
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
    let (Command::Add { run, .. } | Command::Rotate { run, .. } | Command::Revoke { run, .. } | Command::List { run }) =
        &arguments.command;
    existing(run)?;
    let clearance = underpin::seal::files::CLEARANCE;
    ensure!(run.join(clearance).is_file(), "{} is not cleared: it has no {clearance}", run.display());
    let clients = State::of(run)?.clients()?;
    let date = clock::now()?;
    let ends = |days: Option<u32>| days.map(|days| date + u64::from(days) * 86_400);
    match arguments.command {
        Command::Add { name, days, .. } => show(console, &name, &clients.add(&name, ends(days))?)?,
        Command::Rotate { name, overlap, days, .. } => {
            let key = clients.rotate(&name, date + u64::from(overlap) * 3_600, ends(days))?;
            show(console, &name, &key)?;
            if !console.json && !console.quiet {
                eprintln!("the key it had is accepted for {overlap} more hours");
            }
        }
        Command::Revoke { name, .. } => clients.revoke(&name)?,
        Command::List { .. } if console.json => {
            let list: Vec<_> = clients
                .list()?
                .iter()
                .map(|client| {
                    serde_json::json!({ "name": client.name, "state": word(client, date), "key_ends": client.ends })
                })
                .collect();
            console.print(&format_args!("{:#}", serde_json::Value::Array(list)))?;
        }
        Command::List { .. } => {
            for client in clients.list()? {
                console.print(&format_args!("{}\t{}", client.name, word(&client, date)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a key, once.
fn show(console: &Console, name: &str, key: &ApiKey) -> Result<()> {
    if console.json {
        return console.print(&serde_json::json!({ "name": name, "key": key.reveal() }));
    }
    console.print(&key.reveal())?;
    if !console.quiet {
        eprintln!("this key of {name:?} is shown once; send it as `Authorization: Bearer KEY`");
    }
    Ok(())
}

/// Whether a client's keys open anything.
fn word(client: &Client, date: u64) -> &'static str {
    match client.state {
        ClientState::Revoked => "revoked",
        ClientState::Active if client.ends.iter().all(|ends| ends.is_some_and(|ends| ends <= date)) => "ended",
        ClientState::Active => "active",
    }
}
