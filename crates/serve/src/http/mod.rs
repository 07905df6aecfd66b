//! The server: Open Inference Protocol v2 over HTTP/1.1.

mod accept;
mod answer;
mod body;
mod connections;
mod inputs;
mod load;
mod metrics;
mod patience;
mod refusal;
mod request;
mod routes;
mod service;
mod tensor;
mod tls;
mod wire;

use std::future::Future;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use underpin_core::{Inputs, Shape};

use crate::{Error, InputContract};
use inputs::Expected;

pub use service::{Guards, HttpLimits, ModelInfo, Service};
pub use tls::Tls;

/// The inputs in the body of an inference request, as the server reads them; of a body that it refuses, nothing.
///
/// `header_length` is the header that says where the body's JSON ends, if binary tensors follow.
pub fn read_request(
    body: &[u8],
    header_length: Option<&str>,
    shape: &Shape,
    contract: Option<&dyn InputContract>,
) -> Option<Inputs> {
    let expected = Expected { shape, contract, most_rows: usize::MAX };
    request::parse(body, header_length, &expected).ok().map(|query| query.inputs)
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
    run(listener, service, None, shutdown).await
}

/// [`serve`], over TLS alone.
///
/// # Errors
///
/// As for [`serve`].
pub async fn serve_tls(
    listener: TcpListener,
    service: Service,
    tls: Tls,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    run(listener, service, Some(tls), shutdown).await
}

async fn run(
    listener: TcpListener,
    service: Service,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let limits = service.0.limits;
    tracing::info!(address = ?listener.local_addr(), model = service.0.model.name, tls = tls.is_some(), "serving");
    let (begin, begun) = oneshot::channel();
    let (stop, stopped) = watch::channel(());
    tokio::spawn(async move {
        shutdown.await;
        // OK to pass over: nobody waits any more.
        let _ = (stop.send(()), begin.send(()));
    });
    let drained = async {
        match begun.await {
            Ok(()) => tokio::time::sleep(limits.drain).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = accept::accept(listener, routes::router(service.0), limits, tls, stopped) => {
            served.map_err(|source| Error::Server { source })
        }
        () = drained => {
            tracing::warn!(drain = ?limits.drain, "shutting down with requests under way");
            Ok(())
        }
    }
}
