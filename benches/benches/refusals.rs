//! Requests without a valid key that a server refuses in a second, with 2 clients and with 50,000.
//!
//! `cargo bench -p underpin-benches --bench refusals`: prints both rates and their quotient, which is to be 0.8 at least.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and ends when something fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
use underpin_serve::{
    ClearanceCheck, ClientBook, Clock, Guards, HttpLimits, ModelInfo, QueryLedger, Quota, Service, serve,
};

struct Constant;

impl Predict for Constant {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Ok(Outputs::new(2, [1.0, 0.0].repeat(inputs.len()), Disclosure::Scores).unwrap())
    }
}

struct Stands;

impl ClearanceCheck for Stands {
    fn check(&self) -> Result<(), Denied> {
        Ok(())
    }
}

/// A book of so many clients, whose keys nobody has.
fn book(path: &Path, clients: u64) -> ClientBook {
    drop(ClientBook::open(path).unwrap().add("first", None).unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let entry = |n: u64| format!(r#"{{"name":"c{n}","key_blake3":"{n:064x}","state":"active"}}"#);
    let more: Vec<String> = (1..clients).map(entry).collect();
    let text = text.trim_end().strip_suffix("]\n}").unwrap().trim_end().to_owned() + "," + &more.join(",") + "]}";
    std::fs::write(path, text).unwrap();
    ClientBook::open(path).unwrap()
}

/// A server of so many clients, for as long as the process runs.
fn server(folder: &Path, clients: u64) -> SocketAddr {
    let guards = Guards {
        ledger: Arc::new(QueryLedger::open(&folder.join("queries.redb")).unwrap()),
        quota: Quota { queries: 1, per_second: None },
        clients: Arc::new(book(&folder.join("clients.json"), clients)),
        clearance: Arc::new(Stands),
        clock: Clock::monotonic(),
        date: Clock::new(|| Duration::ZERO),
        contract: None,
    };
    let (shape, classes) = (Shape::new([1]).unwrap(), vec!["a".into(), "b".into()]);
    let info = ModelInfo { name: "m".into(), version: "1".into(), shape, classes };
    let service = Service::new(info, Arc::new(Constant), guards, HttpLimits::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, service, std::future::pending()).await.unwrap();
        });
    });
    address
}

/// Refusals a second, on four connections that stay open.
fn rate(address: SocketAddr, time: Duration) -> f64 {
    let request =
        b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer underpin_0\r\nContent-Length: 0\r\n\r\n";
    let start = Instant::now();
    let refused: u64 = std::thread::scope(|scope| {
        let ask = || {
            let mut stream = TcpStream::connect(address).unwrap();
            let (mut refused, mut reply) = (0, [0; 4096]);
            while start.elapsed() < time {
                stream.write_all(request).unwrap();
                let length = stream.read(&mut reply).unwrap();
                assert!(reply[..length].starts_with(b"HTTP/1.1 401"), "refused, and nothing else");
                refused += 1;
            }
            refused
        };
        let running: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    refused as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let (rounds, time) = if smoke { (1, Duration::from_millis(50)) } else { (5, Duration::from_secs(2)) };
    let folders = [2, 50_000].map(|clients| (clients, tempfile::tempdir().unwrap()));
    let servers = folders.each_ref().map(|(clients, folder)| server(folder.path(), *clients));
    // In turns, so that a busy machine slows both; the median counts.
    let mut rates = [vec![], vec![]];
    for _ in 0..rounds {
        for (address, rates) in servers.iter().zip(&mut rates) {
            rates.push(rate(*address, time));
        }
    }
    let [few, many] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("refusals a second: {few:.0} with 2 clients, {many:.0} with 50,000: {:.2} times as many", many / few);
}
