//! The one place where the time of day is read; everywhere else it is an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Seconds since 1970 UTC.
#[allow(clippy::disallowed_methods, reason = "the clock enters the program here")]
pub(crate) fn now() -> Result<u64> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock stands before 1970")?;
    Ok(elapsed.as_secs())
}

/// Time that passes.
#[derive(Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Time that all threads of this process have computed, where the system reports it (Linux).
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything, in brackets: state, then numbers; user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // In hundredths of a second (USER_HZ), threads that have ended included.
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
