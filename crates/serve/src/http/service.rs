//! The service: a model, what stands between clients and it, and what they may cost the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use underpin_core::{Denied, Inputs, Outputs, Predict, Shape};

use super::metrics::Metrics;
use crate::{ClearanceCheck, ClientBook, Clock, QueryLedger, QueryLimit, Quota};

/// What the metadata endpoint reports of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name in the path of every request.
    pub name: String,
    /// Version, the only one there is: say the first digits of the model's digest.
    pub version: String,
    /// Shape of one input.
    pub shape: Shape,
    /// Name of each class, in the order of the scores.
    pub classes: Vec<String>,
}

/// What stands between clients and the model.
#[derive(Clone)]
pub struct Guards {
    /// Where queries are counted.
    pub ledger: Arc<QueryLedger>,
    /// How many each client has.
    pub quota: Quota,
    /// The clients and their API keys.
    pub clients: Arc<ClientBook>,
    /// Says, before every answer, whether the model may still answer.
    pub clearance: Arc<dyn ClearanceCheck + Send + Sync>,
    /// Time for rates and latencies.
    pub clock: Clock,
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards")
            .field("ledger", &self.ledger)
            .field("quota", &self.quota)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

/// Bounds on what clients may cost the server. They change no guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Requests worked on at a time; more are refused with 503. At most this many bodies are in memory.
    pub in_flight: usize,
    /// Connections open at a time; more wait.
    pub connections: usize,
    /// Longest time for a body to arrive, and again for it to be answered. A connection on which nothing moves for a
    /// little longer is closed.
    pub request: Duration,
    /// Longest time that requests under way are waited for on shutdown.
    pub drain: Duration,
}

impl Default for HttpLimits {
    /// 8 MiB, 64 requests, 1,024 connections, 30 s, 10 s.
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            in_flight: 64,
            connections: 1024,
            request: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// A model, its guards and its limits, ready to be served by [`serve`](crate::serve).
///
/// # Guarantees
///
/// 1. A request without a valid key gets 401 and costs nothing (`a_key_is_needed`).
/// 2. No request is answered before it is counted (`clients_together_get_exactly_the_quota`), and none after the
///    clearance is lost (`a_lost_clearance_stops_answers_at_once`).
/// 3. A request that is malformed gets 400, costs nothing and stops nothing (`no_body_brings_the_server_down`).
/// 4. What is logged and what is counted holds no input and no key (`nothing_of_an_input_is_logged`).
///
/// # Limits
///
/// No TLS: listen on the loopback and let a reverse proxy speak TLS. Metadata, health and `/metrics` need no key.
/// A client without a rate can keep all `in_flight` places busy; whoever can connect can, byte by byte, hold
/// connections.
#[derive(Clone)]
pub struct Service(pub(super) Arc<Shared>);

/// What every request is answered with.
pub(super) struct Shared {
    pub(super) model: ModelInfo,
    pub(super) limit: QueryLimit<Model>,
    pub(super) guards: Guards,
    pub(super) limits: HttpLimits,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) metrics: Metrics,
}

/// Any predictor, shared by the threads that answer.
pub(super) struct Model(Arc<dyn Predict + Send + Sync>);

impl Predict for Model {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.0.predict(inputs)
    }
}

impl Service {
    /// Serves `predictor` behind `guards`. The query limit and the clearance check are applied here: `predictor` brings its
    /// perturbation and its recorder.
    pub fn new(
        model: ModelInfo,
        predictor: Arc<dyn Predict + Send + Sync>,
        guards: Guards,
        limits: HttpLimits,
    ) -> Self {
        let limit = QueryLimit::new(Model(predictor), Arc::clone(&guards.ledger), guards.quota, guards.clock.clone());
        let in_flight = Arc::new(Semaphore::new(limits.in_flight));
        Self(Arc::new(Shared { model, limit, guards, limits, in_flight, metrics: Metrics::default() }))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("model", &self.0.model).finish_non_exhaustive()
    }
}
