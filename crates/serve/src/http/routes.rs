//! Paths and what happens on each.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use underpin_core::{Denied, Inputs, Outputs, Predict};

use super::answer;
use super::body::{self, Packed};
use super::connections::{Connection, Work};
use super::load::InFlight;
use super::metrics::RequestOutcome;
use super::refusal::Refusal;
use super::request::{self, HEADER_LENGTH, Query};
use super::service::Shared;
use crate::Revocable;

/// The model that a path names.
#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    version: Option<String>,
}

type Target = Result<Path<Named>, PathRejection>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/v2", get(async || Json(answer::server_metadata())))
        .route("/v2/", get(async || Json(answer::server_metadata())))
        .route("/v2/health/live", get(async || Json(json!({ "live": true }))))
        .route("/v2/health/ready", get(ready))
        .route("/metrics", get(metrics));
    for model in ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"] {
        router = router
            .route(model, get(model_metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/infer"), post(infer));
    }
    router
        .fallback(async || Refusal::new(RequestOutcome::NotFound, "no such path"))
        .method_not_allowed_fallback(async || Refusal::new(RequestOutcome::WrongMethod, "the path has another method"))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.check_ready().await {
        Ok(()) => Json(json!({ "ready": true, "live": true })).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn model_ready(State(shared): State<Arc<Shared>>, target: Target) -> Result<Response, Refusal> {
    shared.find(target)?;
    Arc::clone(&shared).check_ready().await?;
    Ok(Json(json!({ "name": shared.model.name, "ready": true })).into_response())
}

async fn model_metadata(State(shared): State<Arc<Shared>>, target: Target) -> Result<Response, Refusal> {
    shared.find(target)?;
    Ok(Json(answer::model_metadata(&shared.model, &shared.expected())).into_response())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shared.metrics.text()).into_response()
}

async fn infer(State(shared): State<Arc<Shared>>, target: Target, request: Request) -> Response {
    // A task of its own runs to its end, and is counted and logged, even if the client hangs up.
    let task = tokio::spawn(shared.recorded(target, request)).await;
    task.unwrap_or_else(|error| Err(failed(&error))).into_response()
}

/// A request from a known client, read to its end.
struct Admitted {
    client: String,
    header_length: Option<String>,
    body: Packed,
    /// Held until the request is answered.
    places: (OwnedSemaphorePermit, InFlight, Option<Work>),
}

impl Shared {
    /// Whether the path names the model.
    fn find(&self, target: Target) -> Result<(), Refusal> {
        let Path(named) = target.map_err(|rejection| Refusal::malformed(rejection.body_text()))?;
        let known = named.name == self.model.name && named.version.is_none_or(|version| version == self.model.version);
        let (name, version) = (&self.model.name, &self.model.version);
        let unknown =
            || Refusal::new(RequestOutcome::NotFound, format!("no such model; there is {name:?} version {version:?}"));
        known.then_some(()).ok_or_else(unknown)
    }

    /// Whether a request could be answered now.
    async fn check_ready(self: Arc<Self>) -> Result<(), Refusal> {
        off_the_reactor(move || {
            self.guards.clearance.check()?;
            self.check_ledger()
        })
        .await?
    }

    /// Whether the ledger could count a query; it is asked once a second, whoever asks for the health.
    fn check_ledger(&self) -> Result<(), Refusal> {
        // OK to go on after a panic elsewhere: what was found is replaced whole.
        let mut found = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.guards.clock.now();
        if found.is_none_or(|(at, _)| now.saturating_sub(at) >= Duration::from_secs(1)) {
            let checked = self.guards.ledger.check();
            if let Err(error) = &checked {
                tracing::error!(%error, "the query ledger cannot be written");
            }
            *found = Some((now, checked.is_ok()));
        }
        let unwritable = || Refusal::new(RequestOutcome::Unavailable, "the query ledger cannot be written");
        found.is_some_and(|(_, sound)| sound).then_some(()).ok_or_else(unwritable)
    }

    /// Answers a request, counts it and logs how it ended.
    async fn recorded(self: Arc<Self>, target: Target, request: Request) -> Result<Response, Refusal> {
        let start = self.guards.clock.now();
        let span = tracing::info_span!("infer", client = Empty, queries = Empty);
        let (queries, answered) = Arc::clone(&self).infer(target, request).instrument(span.clone()).await;
        let outcome = answered.as_ref().map_or_else(|refusal| refusal.outcome, |_| RequestOutcome::Answered);
        let took = self.guards.clock.now().saturating_sub(start);
        self.metrics.count(outcome, queries, took);
        span.in_scope(|| tracing::info!(outcome = outcome.word(), micros = took.as_micros(), "request ended"));
        answered
    }

    /// Answers a request, and says how many queries it held as far as that was read.
    async fn infer(self: Arc<Self>, target: Target, request: Request) -> (u64, Result<Response, Refusal>) {
        let admitted = match Arc::clone(&self).admit(target, request).await {
            Ok(admitted) => admitted,
            Err(refusal) => return (0, Err(refusal)),
        };
        let (patience, span) = (self.limits.request, Span::current());
        let answering = off_the_reactor(move || span.in_scope(|| self.answer(admitted)));
        match timeout(patience, answering).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(refusal)) => (0, Err(refusal)),
            Err(_) => (0, Err(Refusal::new(RequestOutcome::Timeout, "no answer in time; the queries may be counted"))),
        }
    }

    /// Admits a request of a client that may ask, and reads it. What it is refused for before its body is read costs no
    /// memory.
    async fn admit(self: Arc<Self>, target: Target, request: Request) -> Result<Admitted, Refusal> {
        self.find(target)?;
        let key = presented(request.headers())?;
        let (client, place_of_client) = off_the_reactor({
            let shared = Arc::clone(&self);
            let span = Span::current();
            move || span.in_scope(|| shared.admit_client(&key))
        })
        .await??;
        let work = request.extensions().get::<Arc<Connection>>().map(|connection| Arc::clone(connection).work());
        let full = |_| Refusal::new(RequestOutcome::Overloaded, "too many requests at once").retry_after(1);
        let place = Arc::clone(&self.in_flight).try_acquire_owned().map_err(full)?;
        let (head, body) = request.into_parts();
        let header_length =
            head.headers.get(HEADER_LENGTH).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let body = match body::read(&head.headers, body, &self.limits).await {
            Ok(body) => body,
            Err(refusal) => {
                self.note(&client, refusal.outcome);
                return Err(refusal);
            }
        };
        Ok(Admitted { client, header_length, body, places: (place, place_of_client, work) })
    }

    /// The client whose key this is, if the model may answer and the client may ask; blocks.
    fn admit_client(&self, key: &str) -> Result<(String, InFlight), Refusal> {
        let client = self.guards.clients.authenticate(key, self.guards.date.now().as_secs()).ok_or_else(unknown)?;
        Span::current().record("client", &client);
        let place = self.loads.admit(&client, self.guards.clock.now())?;
        self.guards.clearance.check()?;
        self.limit.check(&client)?;
        Ok((client, place))
    }

    /// Counts a request that could not be read against its client's rate of such.
    fn note(&self, client: &str, outcome: RequestOutcome) {
        use RequestOutcome::{BodyTimeout, Encoded, Malformed, OutOfContract, TooLarge};
        if matches!(outcome, BodyTimeout | Encoded | Malformed | OutOfContract | TooLarge) {
            self.loads.malformed(client, self.guards.clock.now());
        }
    }

    /// Reads, counts and answers; blocks.
    fn answer(&self, admitted: Admitted) -> (u64, Result<Response, Refusal>) {
        let Admitted { client, header_length, body, places } = admitted;
        let (queries, answered) = self.answer_client(&client, header_length.as_deref(), body);
        if let Err(refusal) = &answered {
            self.note(&client, refusal.outcome);
        }
        drop(places);
        (queries, answered)
    }

    fn answer_client(
        &self,
        client: &str,
        header_length: Option<&str>,
        body: Packed,
    ) -> (u64, Result<Response, Refusal>) {
        let body = match body.unpack(self.limits.body_bytes) {
            Ok(body) => body,
            Err(refusal) => return (0, Err(refusal)),
        };
        let Query { id, inputs, outputs: wanted } = match request::parse(&body, header_length, &self.expected()) {
            Ok(query) => query,
            Err(refusal) => return (0, Err(refusal)),
        };
        drop(body);
        let queries = inputs.len() as u64;
        Span::current().record("queries", queries);
        let guarded = Revocable { inner: self.limit.client(client), clearance: &self.guards.clearance };
        let answered = guarded.predict(&inputs).and_then(|outputs| self.check_answer(&inputs, outputs));
        drop(inputs);
        let response = answered.map(|outputs| answer::inference(&self.model, id.as_deref(), &wanted, &outputs));
        (queries, response.map_err(Refusal::from))
    }

    /// Refuses an answer that cannot be written down.
    fn check_answer(&self, inputs: &Inputs, outputs: Outputs) -> Result<Outputs, Denied> {
        let fits = outputs.len() == inputs.len()
            && outputs.classes() == self.model.classes.len()
            && outputs.scores().iter().all(|score| score.is_finite());
        let broken = || Denied::Unavailable { reason: "the model's answer does not fit what it is said to be".into() };
        fits.then_some(outputs).ok_or_else(broken)
    }
}

fn unknown() -> Refusal {
    Refusal::new(RequestOutcome::Unauthenticated, "a valid key is needed: Authorization: Bearer KEY")
}

/// The key that a request presents.
fn presented(headers: &HeaderMap) -> Result<String, Refusal> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unknown)?;
    let (scheme, key) = value.split_once(' ').ok_or_else(unknown)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim().to_owned()) } else { Err(unknown()) }
}

/// Runs what may block on a thread of its own; a panic there becomes a refusal.
async fn off_the_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    spawn_blocking(work).await.map_err(|error| failed(&error))
}

fn failed(error: &JoinError) -> Refusal {
    tracing::error!(%error, "a request brought its task down");
    Refusal::new(RequestOutcome::Failed, "internal error; the queries may be counted")
}
