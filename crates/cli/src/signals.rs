//! SIGINT (Ctrl-C) and SIGTERM: what a run and a server do when a signal ends them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use underpin::seal;

/// Set when a signal ends the process: errors that follow from it are not printed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Exit code of a process that SIGINT ended, as shells count it: 128 + 2.
pub(crate) const SIGINT: u8 = 130;
/// Exit code of a process that SIGTERM ended: 128 + 15.
pub(crate) const SIGTERM: u8 = 143;

/// Waits for SIGINT or SIGTERM; the exit code that goes with it. Takes effect even where the parent ignores SIGINT.
#[cfg(unix)]
pub(crate) fn next() -> Result<impl Future<Output = u8>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => SIGINT,
            _ = terminate.recv() => SIGTERM,
        }
    })
}

/// Waits for Ctrl-C; the exit code that goes with it.
#[cfg(not(unix))]
pub(crate) fn next() -> Result<impl Future<Output = u8>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        SIGINT
    })
}

/// From now on SIGINT and SIGTERM remove the run folders that are not finished and end the process with 130 or 143.
pub(crate) fn remove_unfinished_runs() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the signals' runtime")?;
    let next = {
        let _inside = runtime.enter();
        next()?
    };
    let wait = move || {
        let code = runtime.block_on(next);
        INTERRUPTED.store(true, Ordering::SeqCst);
        seal::abandon();
        std::process::exit(code.into());
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).context("the signals' thread")?;
    Ok(())
}

/// Does not return once a signal ends the process: what fails then fails for that reason.
pub(crate) fn wait_if_interrupted() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    }
}
