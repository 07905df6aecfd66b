//! `underpin serve`: a cleared model behind an HTTP server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use underpin::ServeRequest;
use underpin_serve::Tls;

use crate::console::Console;
use crate::pipeline::{accepted, existing};
use crate::{clock, keys, known, signals};

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  underpin client add alice --run runs/mine\n  underpin serve --run runs/mine --listen 127.0.0.1:8080\n  \
                        underpin serve --run runs/mine --listen 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem\n\n\
                        SIGINT (Ctrl-C) or SIGTERM: no new connection is taken, requests under way have ten seconds.\n\n\
                        What the server remembers of runs lies in $UNDERPIN_STATE, else $XDG_STATE_HOME/underpin, else ~/.local/state/underpin.\n\n\
                        Exit codes: 0 ended by a signal, 1 an error."
)]
pub(crate) struct Arguments {
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Name of the model in requests. Default: the data set's.
    #[arg(long)]
    name: Option<String>,
    /// Address and port to listen on. Beyond this machine use TLS, here or by a reverse proxy.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Public keys whose clearances are trusted (PEM; may be repeated). Default: your own.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Policies under which a release is accepted: `baseline`, `strict`, a file, or `sha256:` and the digest of one (may be
    /// repeated). Default: the shipped policies.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    #[command(flatten)]
    witnesses: keys::Witnesses,
    /// Certificate chain of the server (PEM): answers over TLS alone.
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM), its owner's alone.
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    existing(&arguments.run)?;
    let trusted = keys::trusted(&arguments.trust)?;
    let tls = arguments.tls_cert.as_deref().zip(arguments.tls_key.as_deref());
    let tls = tls.map(|(chain, key)| Tls::from_pem(chain, key)).transpose()?;
    let state = known::state()?;
    let started = clock::now()?;
    // A clock that fails stands still at the start; a clearance that expired by then is refused there.
    let now = move || clock::now().unwrap_or(started);
    let policies = accepted(&arguments.policy)?;
    let request = ServeRequest {
        folder: &arguments.run,
        trusted: &trusted,
        policies: &policies,
        witnesses: &arguments.witnesses.load()?,
        name: arguments.name.as_deref(),
        owner: &state,
    };
    let ready = underpin::open(&request, now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    let served = runtime.block_on(async {
        let mut signal = Box::pin(signals::next()?);
        let listener = tokio::net::TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("--listen {}", arguments.listen))?;
        if !console.quiet {
            let info = ready.info();
            let scheme = if tls.is_some() { "https" } else { "http" };
            eprintln!("serving {} (version {}) on {scheme}://{}", info.name, info.version, listener.local_addr()?);
        }
        if tls.is_none() && !arguments.listen.ip().is_loopback() {
            tracing::warn!("keys and inputs travel unencrypted beyond this machine: give --tls-cert and --tls-key");
        }
        let shutdown = async move {
            signal.as_mut().await;
        };
        ready.serve(listener, tls, shutdown).await?;
        Ok(ExitCode::SUCCESS)
    });
    // Requests that outlast their ten seconds are not waited for.
    runtime.shutdown_background();
    served
}
