//! `underpin serve`: a cleared model behind an HTTP server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use underpin_privacy::SecretKey;

use crate::console::Console;
use crate::pipeline::{accepted, existing};
use crate::{clock, keys, signals};

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  underpin client add alice --run runs/mine\n  underpin serve --run runs/mine --listen 127.0.0.1:8080\n\n\
                        SIGINT (Ctrl-C) or SIGTERM: no new connection is taken, requests under way have ten seconds.\n\n\
                        Exit codes: 0 ended by a signal, 1 an error."
)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Name of the model in requests. Default: the data set's.
    #[arg(long)]
    name: Option<String>,
    /// Address and port to listen on; no TLS: put a reverse proxy in front for other machines.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Public keys whose clearances are trusted (PEM; may be repeated). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Policies under which a release is accepted: `baseline`, `strict`, a file, or `sha256:` and the digest of one (may be
    /// repeated). Default: the shipped policies.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.run)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let secret = SecretKey::new(keys::signing(None)?.secret("underpin serving"));
    let started = clock::now()?;
    // A clock that fails stands still at the start; a clearance that expired by then is refused there.
    let now = move || clock::now().unwrap_or(started);
    let ready = underpin::open(&arguments.run, &trusted, &accepted(&arguments.policy)?, arguments.name.as_deref(), &secret, now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    let served = runtime.block_on(async {
        let mut signal = Box::pin(signals::next()?);
        let listener = tokio::net::TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("--listen {}", arguments.listen))?;
        if !console.quiet {
            let info = ready.info();
            eprintln!("serving {} (version {}) on http://{}", info.name, info.version, listener.local_addr()?);
        }
        let shutdown = async move {
            signal.as_mut().await;
        };
        ready.serve(listener, shutdown).await?;
        Ok(ExitCode::SUCCESS)
    });
    // Requests that outlast their ten seconds are not waited for.
    runtime.shutdown_background();
    served
}
