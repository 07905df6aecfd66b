//! The server: Open Inference Protocol v2 over HTTP/1.1.

mod answer;
mod bounded_listener;
mod metrics;
mod refusal;
mod request;
mod routes;
mod service;
mod tensor;

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use underpin_core::{Inputs, Shape};

use crate::Error;
use bounded_listener::BoundedListener;

pub use service::{Guards, HttpLimits, ModelInfo, Service};

/// The inputs in the body of an inference request, as the server reads them; of a body that it refuses, nothing.
///
/// `header_length` is the header that says where the body's JSON ends, if binary tensors follow.
pub fn read_request(body: &[u8], header_length: Option<&str>, shape: &Shape) -> Option<Inputs> {
    request::parse(body, header_length, shape).ok().map(|query| query.inputs)
}

/// Serves until `shutdown` is ready; then takes no more connections and waits for the requests under way.
///
/// # Errors
///
/// [`Error::Server`] when the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let limits = service.0.limits;
    tracing::info!(address = ?listener.local_addr(), model = service.0.model.name, "serving");
    let (begin, begun) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // OK to pass over: nobody waits any more.
        let _ = begin.send(());
    };
    let listener = BoundedListener::new(listener, limits.connections, limits.request + Duration::from_secs(5));
    let serving = axum::serve(listener, routes::router(service.0)).with_graceful_shutdown(shutdown);
    let drained = async {
        match begun.await {
            Ok(()) => tokio::time::sleep(limits.drain).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving.into_future() => served.map_err(|source| Error::Server { source }),
        () = drained => {
            tracing::warn!(drain = ?limits.drain, "shutting down with requests under way");
            Ok(())
        }
    }
}
