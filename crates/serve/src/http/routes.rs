//! Paths and what happens on each.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
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
use super::metrics::RequestOutcome;
use super::refusal::Refusal;
use super::request::{self, HEADER_LENGTH};
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
    let limit = DefaultBodyLimit::max(shared.limits.body_bytes);
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
        .layer(limit)
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.check_clearance().await {
        Ok(()) => Json(json!({ "ready": true, "live": true })).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn model_ready(State(shared): State<Arc<Shared>>, target: Target) -> Result<Response, Refusal> {
    shared.find(target)?;
    Arc::clone(&shared).check_clearance().await?;
    Ok(Json(json!({ "name": shared.model.name, "ready": true })).into_response())
}

async fn model_metadata(State(shared): State<Arc<Shared>>, target: Target) -> Result<Response, Refusal> {
    shared.find(target)?;
    Ok(Json(answer::model_metadata(&shared.model)).into_response())
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
    body: Bytes,
    /// Held until the request is answered.
    place: OwnedSemaphorePermit,
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

    async fn check_clearance(self: Arc<Self>) -> Result<(), Refusal> {
        off_the_reactor(move || self.guards.clearance.check()).await?.map_err(Refusal::from)
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

    async fn admit(self: Arc<Self>, target: Target, request: Request) -> Result<Admitted, Refusal> {
        self.find(target)?;
        let client = Arc::clone(&self).authenticate(request.headers()).await?;
        Span::current().record("client", &client);
        let full = |_| Refusal::new(RequestOutcome::Overloaded, "too many requests at once").retry_after(1);
        let place = Arc::clone(&self.in_flight).try_acquire_owned().map_err(full)?;
        let header_length =
            request.headers().get(HEADER_LENGTH).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let body = self.body(request).await?;
        Ok(Admitted { client, header_length, body, place })
    }

    async fn authenticate(self: Arc<Self>, headers: &HeaderMap) -> Result<String, Refusal> {
        let unknown =
            || Refusal::new(RequestOutcome::Unauthenticated, "a valid key is needed: Authorization: Bearer KEY");
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unknown)?;
        let (scheme, key) = value.split_once(' ').ok_or_else(unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unknown());
        }
        let key = key.trim().to_owned();
        let named = off_the_reactor(move || self.guards.clients.authenticate(&key)).await?.map_err(|error| {
            tracing::error!(%error, "the client book cannot be read");
            Refusal::new(RequestOutcome::Unavailable, "clients cannot be authenticated")
        })?;
        named.ok_or_else(unknown)
    }

    async fn body(&self, request: Request) -> Result<Bytes, Refusal> {
        let most = self.limits.body_bytes;
        let too_large = || Refusal::new(RequestOutcome::TooLarge, format!("the body is larger than {most} bytes"));
        let headers = request.headers();
        if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Refusal::new(RequestOutcome::Encoded, "the body is compressed; allowed: identity"));
        }
        let claimed = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if claimed.is_some_and(|claimed| claimed > most as u64) {
            return Err(too_large());
        }
        match timeout(self.limits.request, Bytes::from_request(request, &())).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
            Ok(Err(rejection)) => Err(Refusal::malformed(rejection.body_text())),
            Err(_) => Err(Refusal::new(RequestOutcome::BodyTimeout, "the body did not arrive in time")),
        }
    }

    /// Reads, counts and answers; blocks.
    fn answer(&self, admitted: Admitted) -> (u64, Result<Response, Refusal>) {
        let Admitted { client, header_length, body, place } = admitted;
        let query = match request::parse(&body, header_length.as_deref(), &self.model.shape) {
            Ok(query) => query,
            Err(refusal) => return (0, Err(refusal)),
        };
        drop(body);
        let queries = query.inputs.len() as u64;
        Span::current().record("queries", queries);
        let guarded = Revocable { inner: self.limit.client(&client), clearance: &self.guards.clearance };
        let answered = guarded.predict(&query.inputs).and_then(|outputs| self.check_answer(&query.inputs, outputs));
        let response = answered.map(|outputs| answer::inference(&self.model, &query, &outputs)).map_err(Refusal::from);
        drop(place);
        (queries, response)
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

/// Runs what may block on a thread of its own; a panic there becomes a refusal.
async fn off_the_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    spawn_blocking(work).await.map_err(|error| failed(&error))
}

fn failed(error: &JoinError) -> Refusal {
    tracing::error!(%error, "a request brought its task down");
    Refusal::new(RequestOutcome::Failed, "internal error; the queries may be counted")
}
