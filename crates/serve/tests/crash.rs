//! The ledger's process is killed in the middle of its work, again and again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use underpin_core::Denied;
use underpin_serve::{QueryLedger, Quota};

/// Names the ledger to the child process.
const LEDGER: &str = "UNDERPIN_CRASH_TEST_LEDGER";
const CLIENTS: [(&str, u64); 3] = [("alice", u64::MAX), ("bob", u64::MAX), ("carol", 400)];
const THREADS: u64 = 3;
const LARGEST: u64 = 4;

/// How often the process is killed: `UNDERPIN_KILLS`, else 10.
fn rounds() -> u64 {
    std::env::var("UNDERPIN_KILLS").map_or(10, |rounds| rounds.parse().unwrap())
}

/// Not a test of its own: what the test below starts and kills. Says `client queries` after each acknowledged debit.
#[test]
fn child() {
    let Some(path) = std::env::var_os(LEDGER) else { return };
    let ledger = QueryLedger::open(Path::new(&path)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            for (client, queries) in CLIENTS {
                let ledger = &ledger;
                scope.spawn(move || {
                    for n in 0_u64.. {
                        let asked = 1 + (n * 7 + thread) % LARGEST;
                        match ledger.debit(client, asked, &Quota { queries, per_second: None }) {
                            // One write below the size of a pipe's buffer: whole or not at all.
                            Ok(_) => std::io::stderr().write_all(format!("{client} {asked}\n").as_bytes()).unwrap(),
                            Err(Denied::QuotaExhausted { .. }) if asked == 1 => return,
                            Err(Denied::QuotaExhausted { .. }) => {}
                            Err(denied) => panic!("{denied}"),
                        }
                    }
                });
            }
        }
    });
}

/// Runs the child until it is killed; what it said it had acknowledged, by client.
fn run_and_kill(path: &Path, after: Duration) -> HashMap<String, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(LEDGER, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).peekable();
    lines.peek().expect("the child acknowledges something before it is killed");
    std::thread::sleep(after);
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut acknowledged = HashMap::new();
    for line in lines {
        let (client, queries) = line.split_once(' ').unwrap();
        *acknowledged.entry(client.to_owned()).or_default() += queries.parse::<u64>().unwrap();
    }
    acknowledged
}

#[test]
fn no_acknowledged_query_is_uncounted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.redb");
    let mut before = HashMap::new();
    let mut total = 0;
    for round in 0..rounds() {
        let acknowledged = run_and_kill(&path, Duration::from_millis(round * 13 % 40));
        let ledger = QueryLedger::open(&path).unwrap();
        for (client, quota) in CLIENTS {
            let used = ledger.used(client).unwrap();
            let counted = used - before.insert(client, used).unwrap_or(0);
            let acknowledged = acknowledged.get(client).copied().unwrap_or(0);
            total += acknowledged;
            // Each thread has at most one debit that was not acknowledged.
            let unacknowledged = THREADS * LARGEST;
            assert!(counted >= acknowledged, "round {round}, {client}: {acknowledged} acknowledged, {counted} counted");
            assert!(counted <= acknowledged + unacknowledged, "round {round}, {client}: {counted} > {acknowledged}");
            assert!(ledger.counted() >= total, "round {round}: the sum of all clients");
            assert!(used <= quota, "round {round}, {client}: {used} of {quota}");
        }
    }
    assert!(total > rounds(), "the child worked: {total} acknowledged");
}
