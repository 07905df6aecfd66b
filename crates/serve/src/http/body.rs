//! A request's body: read in bounded time into bounded memory, and inflated where it is compressed.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use tokio::time::timeout;

use super::metrics::RequestOutcome;
use super::refusal::Refusal;
use super::service::HttpLimits;

/// A body as it came.
pub(super) struct Packed {
    bytes: Vec<u8>,
    gzip: bool,
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(RequestOutcome::TooLarge, format!("the body is larger than {most} bytes"))
}

/// Reads a body to its end.
pub(super) async fn read(headers: &HeaderMap, body: Body, limits: &HttpLimits) -> Result<Packed, Refusal> {
    let most = limits.body_bytes;
    let coding = headers.get(header::CONTENT_ENCODING).map(|coding| coding.as_bytes().to_ascii_lowercase());
    let gzip = match coding.as_deref() {
        None | Some(b"identity") => false,
        Some(b"gzip" | b"x-gzip") => true,
        Some(_) => return Err(Refusal::new(RequestOutcome::Encoded, "the body is encoded; allowed: gzip, identity")),
    };
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > most as u64) {
        return Err(too_large(most));
    }
    match timeout(limits.request, collect(body, most)).await {
        Ok(bytes) => Ok(Packed { bytes: bytes?, gzip }),
        Err(_) => Err(Refusal::new(RequestOutcome::BodyTimeout, "the body did not arrive in time")),
    }
}

async fn collect(mut body: Body, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![];
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| Refusal::malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > most - bytes.len() {
            return Err(too_large(most));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

impl Packed {
    /// The bytes, inflated; of a body that inflates to more than `most` no more than that is ever held. Takes a while.
    pub(super) fn unpack(self, most: usize) -> Result<Vec<u8>, Refusal> {
        if !self.gzip {
            return Ok(self.bytes);
        }
        let mut bytes = vec![];
        let read = MultiGzDecoder::new(self.bytes.as_slice()).take(most as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error: io::Error| Refusal::malformed(format!("the body is no gzip: {error}")))?;
        if bytes.len() > most { Err(too_large(most)) } else { Ok(bytes) }
    }
}
