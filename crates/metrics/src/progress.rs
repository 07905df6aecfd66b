//! Progress of long tasks and ends of attacks, as `tracing` events.

use std::sync::atomic::{AtomicU64, Ordering};

use underpin_core::{Access, Threat};

/// Most progress events of one task.
const EVENTS: u64 = 50;

/// Steps of a long task; safe to share between threads.
#[derive(Debug)]
pub(crate) struct Progress {
    task: &'static str,
    done: AtomicU64,
    of: u64,
}

impl Progress {
    pub(crate) fn new(task: &'static str, of: usize) -> Self {
        Self { task, done: AtomicU64::new(0), of: of as u64 }
    }

    /// One more step is done; emits at most [`EVENTS`] events, the last step always.
    pub(crate) fn step(&self) {
        let step = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if step == self.of || step * EVENTS / self.of.max(1) > (step - 1) * EVENTS / self.of.max(1) {
            tracing::info!(target: "progress", task = self.task, step, of = self.of);
        }
    }
}

/// Emits the event that an attack has ended.
pub(crate) fn ended(threat: Threat, access: Access, attack: &str, queries: u64) {
    tracing::info!(%threat, %access, attack, queries, "attack ended");
}
