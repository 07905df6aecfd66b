//! A remote device for tests, served on loopback by this process.

use std::net::TcpListener;

use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;
use tokio::runtime::{Builder, Runtime};

use crate::DeviceKind;

/// A server of the Flex backend, which ends with this value.
pub(crate) struct Server {
    runtime: Option<Runtime>,
    pub(crate) device: Device,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = RemoteHost::websocket(&format!("ws://{}", listener.local_addr().unwrap()));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = RemoteServer::new([DeviceKind::Flex.device()]);
        runtime.spawn(server.serve_async(WebSocketTransport::from_listener(listener)));
        Self { runtime: Some(runtime), device: Device::remote_options(&host).init().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
