//! `cargo xtask serve` and `cargo xtask client`.

pub(crate) mod client;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use underpin_privacy::SecretKey;

use crate::console::Console;
use crate::pipeline::existing;
use crate::{clock, keys};

/// Options of `serve`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Name of the model in requests. Default: the data set's.
    #[arg(long)]
    name: Option<String>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Public keys whose clearances are trusted (PEM). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
}

/// Serves until Ctrl-C.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.run)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let secret = SecretKey::new(keys::signing(None)?.secret("underpin serving"));
    let started = clock::now()?;
    // A clock that fails stands still at the start; a clearance that expired by then is refused there.
    let now = move || clock::now().unwrap_or(started);
    let ready = underpin::open(&arguments.run, &trusted, arguments.name.as_deref(), &secret, now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("--listen {}", arguments.listen))?;
        if !console.quiet {
            let info = ready.info();
            eprintln!("serving {} (version {}) on http://{}", info.name, info.version, listener.local_addr()?);
        }
        let shutdown = async {
            if let Err(error) = tokio::signal::ctrl_c().await {
                tracing::error!(%error, "no signal handler; shutting down");
            }
        };
        ready.serve(listener, shutdown).await?;
        Ok(ExitCode::SUCCESS)
    })
}
