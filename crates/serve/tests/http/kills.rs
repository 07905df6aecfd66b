//! The server's process is killed under load, again and again: no row that was answered is uncounted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use underpin_serve::{ClientBook, HttpLimits, QueryLedger, Quota};

use crate::common::{INFER, Server, request};

/// Names the server's folder to the child process.
const FOLDER: &str = "UNDERPIN_KILL_TEST_FOLDER";
const CLIENTS: [&str; 3] = ["bob", "carol", "dave"];
const THREADS: usize = 2;

/// Not a test of its own: the server that the test below starts and kills.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let quota = Quota { queries: u64::MAX, per_second: None };
    let server = Server::start_with(Path::new(&folder), quota, HttpLimits::default(), None, None);
    writeln!(std::io::stderr(), "{}", server.address).unwrap();
    std::thread::sleep(Duration::from_mins(10));
}

/// Asks until the server is gone; rows that were answered.
fn ask(address: &str, key: &str, first: usize, gone: &AtomicBool) -> u64 {
    let mut answered = 0;
    for n in first.. {
        let rows = 1 + n % 4;
        let body = request(&vec![[0.5, 0.0]; rows]).to_string();
        let head = format!(
            "POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut reply = vec![];
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(head.as_bytes())?;
            stream.read_to_end(&mut reply)
        });
        // An answer that was begun was counted.
        if reply.starts_with(b"HTTP/1.1 200") {
            answered += rows as u64;
        } else if asked.is_err() || gone.load(SeqCst) {
            break;
        }
    }
    answered
}

#[test]
fn no_answered_row_is_uncounted_when_the_server_is_killed() {
    let kills: u64 = std::env::var("UNDERPIN_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let book = ClientBook::open(&folder.path().join("clients.json")).unwrap();
    let keys = CLIENTS.map(|name| (name, book.add(name, None).unwrap()));
    let answered = Mutex::new(BTreeMap::<&str, u64>::new());
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut address).unwrap();
        let (address, gone) = (address.trim(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (name, key) in &keys {
                for thread in 0..THREADS {
                    let (answered, gone) = (&answered, &gone);
                    scope.spawn(move || {
                        let rows = ask(address, key.reveal(), thread, gone);
                        *answered.lock().unwrap().entry(name).or_default() += rows;
                    });
                }
            }
            std::thread::sleep(Duration::from_millis(60 + kill * 37 % 90));
            // SIGKILL.
            child.kill().unwrap();
            child.wait().unwrap();
            gone.store(true, SeqCst);
        });
        let ledger = QueryLedger::open(&folder.path().join("queries.redb")).unwrap();
        let answered = answered.lock().unwrap();
        for (name, rows) in &*answered {
            let used = ledger.used(name).unwrap();
            assert!(used >= *rows, "kill {kill}, {name}: {rows} rows answered, {used} counted");
            // Per kill and thread at most one request of four rows was counted and not answered.
            let lost = (kill + 1) * THREADS as u64 * 4;
            assert!(used <= rows + lost, "kill {kill}, {name}: {rows} rows answered, {used} counted");
        }
        assert!(ledger.counted() >= answered.values().sum());
    }
    let answered = answered.into_inner().unwrap();
    println!("{kills} kills, rows answered: {answered:?}");
    assert!(answered.values().sum::<u64>() > kills, "the server answered: {answered:?}");
}
