//! Everything that is not an answer, and its status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use underpin_core::Denied;

use super::metrics::RequestOutcome;

/// Why a request is not answered: a status, a word that programs can match, a sentence for people.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) outcome: RequestOutcome,
    message: String,
    retry_after_s: Option<u64>,
}

impl Refusal {
    pub(super) fn new(outcome: RequestOutcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), retry_after_s: None }
    }

    /// Says when to try again.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(RequestOutcome::Malformed, message)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let outcome = match denied {
            Denied::QuotaExhausted { .. } => RequestOutcome::QuotaExhausted,
            Denied::RateLimited { retry_after_ms: u64::MAX } => {
                return Self::new(
                    RequestOutcome::TooLarge,
                    "more queries in one request than the rate ever allows: split it",
                );
            }
            Denied::RateLimited { retry_after_ms } => {
                return Self::new(RequestOutcome::RateLimited, denied.to_string())
                    .retry_after(retry_after_ms.div_ceil(1000));
            }
            Denied::Revoked { .. } => RequestOutcome::Revoked,
            Denied::Shape { .. } | Denied::NotFinite { .. } => RequestOutcome::Malformed,
            _ => RequestOutcome::Unavailable,
        };
        Self::new(outcome, denied.to_string())
    }
}

impl RequestOutcome {
    const fn status(self) -> StatusCode {
        match self {
            Self::Answered => StatusCode::OK,
            Self::Malformed | Self::OutOfContract => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::QuotaExhausted | Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Revoked | Self::Unavailable | Self::Overloaded | Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.message, "reason": self.outcome.word() });
        let mut response = (self.outcome.status(), axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self.outcome, RequestOutcome::Encoded) {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        }
        if matches!(self.outcome, RequestOutcome::Unauthenticated) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"underpin\""));
        }
        response
    }
}
