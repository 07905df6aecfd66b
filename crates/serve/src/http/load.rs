//! What each client does to the server at the moment: its requests in flight, and those that could not be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use underpin_core::Denied;

use super::metrics::RequestOutcome;
use super::refusal::Refusal;
use crate::Rate;
use crate::rate::Bucket;

/// The loads of all clients that ever asked; names are those of authenticated clients alone.
pub(super) struct Loads {
    most: usize,
    rate: Rate,
    clients: Arc<Mutex<HashMap<String, Load>>>,
}

struct Load {
    in_flight: usize,
    malformed: Bucket,
}

/// A client's request in flight, until it is dropped.
pub(super) struct InFlight {
    name: String,
    clients: Arc<Mutex<HashMap<String, Load>>>,
}

impl Loads {
    pub(super) fn new(most: usize, rate: Rate) -> Self {
        Self { most, rate, clients: Arc::default() }
    }

    /// Takes a place of the client's, if it has one left and did not send too much that could not be read.
    pub(super) fn admit(&self, name: &str, now: Duration) -> Result<InFlight, Refusal> {
        let mut clients = lock(&self.clients);
        if !clients.contains_key(name) {
            clients.insert(name.to_owned(), Load { in_flight: 0, malformed: Bucket::full(self.rate, now) });
        }
        let load = clients.get_mut(name).expect("invariant: inserted above");
        if load.in_flight >= self.most {
            let message = format!("{} requests at once; allowed: {}", load.in_flight + 1, self.most);
            return Err(Refusal::new(RequestOutcome::RateLimited, message).retry_after(1));
        }
        if let Err(Denied::RateLimited { retry_after_ms }) = load.malformed.holds(1, self.rate, now) {
            let message = "too many requests that could not be read";
            return Err(Refusal::new(RequestOutcome::RateLimited, message).retry_after(retry_after_ms.div_ceil(1000)));
        }
        load.in_flight += 1;
        Ok(InFlight { name: name.to_owned(), clients: Arc::clone(&self.clients) })
    }

    /// Counts a request of the client's that could not be read.
    pub(super) fn malformed(&self, name: &str, now: Duration) {
        if let Some(load) = lock(&self.clients).get_mut(name) {
            // OK when none is left: those in flight at once may be more.
            let _ = load.malformed.take(1, self.rate, now);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(load) = lock(&self.clients).get_mut(&self.name) {
            load.in_flight -= 1;
        }
    }
}

fn lock(clients: &Mutex<HashMap<String, Load>>) -> MutexGuard<'_, HashMap<String, Load>> {
    // OK to go on after a panic elsewhere: a load is changed by arithmetic that cannot panic.
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}
