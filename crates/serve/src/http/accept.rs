//! Takes connections and speaks HTTP/1.1 on each, until it is told to stop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::{Connection, Connections, Place};
use super::patience::Impatient;
use super::service::HttpLimits;
use super::tls::Tls;

/// Most bytes that a request's head may have; no more of a connection is ever buffered.
const BUFFER: usize = 32 << 10;

/// How long a connection that was answered early may go on sending: closed at once, its client might never read why.
const LINGER: Duration = Duration::from_secs(1);

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    router: Router,
    limits: HttpLimits,
    tls: Option<Tls>,
    stop: watch::Receiver<()>,
}

/// Answers on `listener` until `stop` changes; then takes no more connections and waits until all have ended.
///
/// # Errors
///
/// When the listener fails for good.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    tls: Option<Tls>,
    stop: watch::Receiver<()>,
) -> io::Result<()> {
    let open = Connections::new(super::connections::most(limits.connections));
    let shared = Shared { router, limits, tls, stop };
    let mut stop = shared.stop.clone();
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            // An error as well says that nobody holds the other end any more.
            _ = stop.changed() => break,
        };
        let stream = match taken {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            // Out of descriptors or memory: that passes.
            Err(error) => {
                tracing::error!(%error, open = open.len(), "no connection can be taken");
                open.make_room();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let place = tokio::select! {
            place = open.place() => place,
            _ = stop.changed() => break,
        };
        tokio::spawn(converse(stream, place, shared.clone()));
    }
    drop(listener);
    open.none().await;
    Ok(())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One connection, from its first byte to its last; closes when it must make room.
async fn converse(stream: TcpStream, place: Place, shared: Shared) {
    // OK to pass over: a connection that is merely slower still answers.
    let _ = stream.set_nodelay(true);
    // Requests do not last longer than this without a byte.
    let stream = Impatient::new(stream, shared.limits.request + Duration::from_secs(5));
    let connection = Arc::clone(&place.connection);
    let closing = connection.closing();
    let talk = async {
        match shared.tls.clone() {
            None => speak(stream, connection, &shared).await,
            Some(tls) => match timeout(shared.limits.head, tls.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, connection, &shared).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                Err(_) => tracing::debug!("no TLS in time"),
            },
        }
    };
    tokio::select! {
        () = talk => {}
        () = closing => tracing::debug!("an idle connection makes room"),
    }
    drop(place);
}

async fn speak<S>(stream: S, connection: Arc<Connection>, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = OnConnection { inner: TowerToHyperService::new(shared.router.clone()), connection };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(shared.limits.head).max_buf_size(BUFFER).max_headers(64);
    let mut talk = http.serve_connection(TokioIo::new(stream), service);
    let mut stop = shared.stop.clone();
    let ended = tokio::select! {
        ended = poll_fn(|context| talk.poll_without_shutdown(context)) => ended,
        _ = stop.changed() => {
            Pin::new(&mut talk).graceful_shutdown();
            poll_fn(|context| talk.poll_without_shutdown(context)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    let mut stream = talk.into_parts().io.into_inner();
    let linger = async {
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // OK to pass over: the client has gone, or goes on sending to nobody.
    let _ = timeout(LINGER, linger).await;
}

/// The router, on one connection that it tells its handlers of.
struct OnConnection {
    inner: TowerToHyperService<Router>,
    connection: Arc<Connection>,
}

impl Service<Request<Incoming>> for OnConnection {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        Box::pin(self.inner.call(request))
    }
}
