//! The service: a model, what stands between clients and it, and what they may cost the server.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use underpin_core::{Denied, Inputs, Outputs, Predict, Shape};

use super::inputs::Expected;
use super::load::Loads;
use super::metrics::Metrics;
use crate::{ClearanceCheck, ClientBook, Clock, InputContract, QueryLedger, QueryLimit, Quota, Rate};

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
    /// Time since 1970 UTC, for keys that end.
    pub date: Clock,
    /// What clients send and how it is encoded; where there is none, they send what the model takes.
    pub contract: Option<Arc<dyn InputContract>>,
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
    /// Largest request body in bytes, compressed and not. Neither the features nor the scores of one request take more
    /// memory than this either: what would is refused with 413.
    pub body_bytes: usize,
    /// Requests worked on at a time; more are refused with 503. At most this many bodies are in memory.
    pub in_flight: usize,
    /// Requests of one client worked on at a time; more are refused with 429.
    pub in_flight_per_client: usize,
    /// Requests of one client that cannot be read or keep no contract; once they are this many, the client is refused with
    /// 429 before its bodies are read.
    pub malformed: Rate,
    /// Connections open at a time, but no more than the process may open files, less 64. Where there is no room for a new
    /// one, the idlest closes.
    pub connections: usize,
    /// Longest time for the head of a request to arrive, counted from the end of the request before.
    pub head: Duration,
    /// Longest time for a body to arrive, and again for it to be answered. A connection on which nothing moves for a
    /// little longer is closed.
    pub request: Duration,
    /// Longest time that requests under way are waited for on shutdown.
    pub drain: Duration,
}

impl Default for HttpLimits {
    /// 8 MiB, 64 requests, 16 of one client, 10 malformed a second and 100 at once, 4,096 connections, 10 s, 30 s, 10 s.
    fn default() -> Self {
        let few = |count: u32| NonZeroU32::MIN.saturating_add(count - 1);
        Self {
            body_bytes: 8 << 20,
            in_flight: 64,
            in_flight_per_client: 16,
            malformed: Rate { rate: few(10), burst: few(100) },
            connections: 4096,
            head: Duration::from_secs(10),
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
/// 5. Who has nothing left, or asks too fast, is refused before the body is read
///    (`who_has_nothing_left_is_refused_before_the_body`).
/// 6. A request in flight holds at most four times its body while it is read, and in all at most ten times the largest
///    body allowed, besides what the predictor takes (`a_request_takes_a_small_multiple_of_its_body`).
/// 7. A value that the contract excludes is refused with 400 and reaches no model (`no_value_out_of_contract_is_answered`).
/// 8. Idle or trickling connections of strangers, and slow bodies of one client, leave other clients answered
///    (`idle_and_slow_connections_leave_others_answered`).
///
/// # Limits
///
/// Metadata, health and `/metrics` need no key. As many clients together as `in_flight` holds of `in_flight_per_client` can
/// keep all places busy with slow bodies.
#[derive(Clone)]
pub struct Service(pub(super) Arc<Shared>);

/// What every request is answered with.
pub(super) struct Shared {
    pub(super) model: ModelInfo,
    pub(super) limit: QueryLimit<Model>,
    pub(super) guards: Guards,
    pub(super) limits: HttpLimits,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) loads: Loads,
    /// When the ledger was last asked whether it could count, and whether it could.
    pub(super) ledger: Mutex<Option<(Duration, bool)>>,
    pub(super) metrics: Metrics,
}

impl Shared {
    /// What a request may hold.
    pub(super) fn expected(&self) -> Expected<'_> {
        let wide = self.model.shape.size().max(self.model.classes.len());
        let most_rows = (self.limits.body_bytes / (size_of::<f32>() * wide)).max(1);
        Expected { shape: &self.model.shape, contract: self.guards.contract.as_deref(), most_rows }
    }
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
        let loads = Loads::new(limits.in_flight_per_client, limits.malformed);
        let (ledger, metrics) = (Mutex::default(), Metrics::default());
        Self(Arc::new(Shared { model, limit, guards, limits, in_flight, loads, ledger, metrics }))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("model", &self.0.model).finish_non_exhaustive()
    }
}
