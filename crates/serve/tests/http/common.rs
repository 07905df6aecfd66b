//! A server on a loopback port, and the plainest of clients.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
use underpin_serve::{
    ApiKey, ClearanceCheck, ClientBook, Clock, Error, Guards, HttpLimits, InputContract, ModelInfo, QueryLedger, Quota,
    Service, Tls, serve, serve_tls,
};

/// All that was logged by any server of this process, at every level.
pub(crate) fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let writer = || LogWriter;
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).with_ansi(false).init();
        Mutex::default()
    })
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Scores `[x, 1 - x]` for the first feature `x`. What else it does, the second feature says: 1 panics, 2 gives NaN,
/// 3 waits for the gate to open.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) asked: AtomicU64,
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Model {
    pub(crate) fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Predict for Model {
    #[allow(clippy::float_cmp, reason = "the values are sent as they are compared")]
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.asked.fetch_add(inputs.len() as u64, SeqCst);
        let mut scores = vec![];
        for row in inputs.rows() {
            assert!(row[1] != 1.0, "a bug in the model");
            if row[1] == 3.0 {
                drop(self.opened.wait_while(self.gate.lock().unwrap(), |open| !*open).unwrap());
            }
            scores.extend(if row[1] == 2.0 { [f32::NAN; 2] } else { [row[0], 1.0 - row[0]] });
        }
        Ok(Outputs::new(2, scores, Disclosure::Scores).unwrap())
    }
}

/// Stands until it is revoked.
#[derive(Default)]
pub(crate) struct Switch(pub(crate) AtomicBool);

impl ClearanceCheck for Switch {
    fn check(&self) -> Result<(), Denied> {
        if self.0.load(SeqCst) { Err(Denied::Revoked { reason: "drift".into() }) } else { Ok(()) }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) key: ApiKey,
    pub(crate) clients: Arc<ClientBook>,
    pub(crate) ledger: Arc<QueryLedger>,
    pub(crate) model: Arc<Model>,
    pub(crate) switch: Arc<Switch>,
    _folder: Option<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<std::thread::JoinHandle<Result<(), Error>>>,
}

impl Server {
    pub(crate) fn start(quota: Quota, limits: HttpLimits) -> Self {
        log();
        Self::start_unlogged(quota, limits)
    }

    /// Without a subscriber for what is logged, which is kept in memory.
    pub(crate) fn start_unlogged(quota: Quota, limits: HttpLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self::start_with(folder.path(), quota, limits, None, None);
        Self { _folder: Some(folder), ..server }
    }

    /// With its state in a folder, whose first client is `alice`.
    pub(crate) fn start_with(
        folder: &Path,
        quota: Quota,
        limits: HttpLimits,
        contract: Option<Arc<dyn InputContract>>,
        tls: Option<Tls>,
    ) -> Self {
        let clients = Arc::new(ClientBook::open(&folder.join("clients.json")).unwrap());
        if clients.list().unwrap().iter().any(|client| client.name == "alice") {
            clients.revoke("alice").unwrap();
        }
        let key = clients.add("alice", None).unwrap();
        let ledger = Arc::new(QueryLedger::open(&folder.join("queries.redb")).unwrap());
        let (model, switch) = (Arc::new(Model::default()), Arc::new(Switch::default()));
        let guards = Guards {
            ledger: Arc::clone(&ledger),
            quota,
            clients: Arc::clone(&clients),
            clearance: switch.clone(),
            clock: Clock::monotonic(),
            date: Clock::new(|| Duration::ZERO),
            contract,
        };
        let info = ModelInfo {
            name: "m 1".into(),
            version: "7".into(),
            shape: Shape::new([2]).unwrap(),
            classes: vec!["no".into(), "yes".into()],
        };
        let service = Service::new(info, model.clone(), guards, limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let shutdown = async { drop(stopped.await) };
                match tls {
                    None => serve(listener, service, shutdown).await,
                    Some(tls) => serve_tls(listener, service, tls, shutdown).await,
                }
            });
            runtime.shutdown_background();
            served
        });
        let (stop, running) = (Some(stop), Some(running));
        Self { address, key, clients, ledger, model, switch, _folder: None, stop, running }
    }

    /// With a quota of 1,000 and no rate.
    pub(crate) fn plain() -> Self {
        Self::start(Quota { queries: 1000, per_second: None }, HttpLimits::default())
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// What `serve` returned.
    pub(crate) fn join(&mut self) -> Result<(), Error> {
        self.running.take().unwrap().join().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // OK when the server refuses before all is sent: what it says is read all the same.
        let _ = stream.write_all(bytes);
        Reply::read(&mut stream)
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", b"")
    }

    pub(crate) fn auth(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.key.reveal())
    }

    /// Asks about rows, with the key.
    pub(crate) fn infer(&self, rows: &[[f32; 2]]) -> Reply {
        self.send("POST", INFER, &self.auth(), request(rows).to_string().as_bytes())
    }

    /// The counter's value.
    pub(crate) fn counter(&self, line: &str) -> u64 {
        let text = self.get("/metrics").body;
        let text = String::from_utf8(text).unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{line} is not in {text}")).parse().unwrap()
    }
}

pub(crate) const INFER: &str = "/v2/models/m%201/infer";

pub(crate) fn request(rows: &[[f32; 2]]) -> Value {
    json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [rows.len(), 2], "data": rows }] })
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = vec![];
        // OK when the server closes while we still send: what it said before is what counts.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        Self { status, head, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Status and reason of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["error"].as_str().is_some_and(|error| !error.is_empty()), "{json}");
        (self.status, json["reason"].as_str().unwrap().to_owned())
    }
}
