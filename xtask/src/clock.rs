//! The one place where the time of day is read; everywhere else it is an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Seconds since 1970 UTC.
#[allow(clippy::disallowed_methods, reason = "the clock enters the program here")]
pub(crate) fn now() -> Result<u64> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock stands before 1970")?;
    Ok(elapsed.as_secs())
}
