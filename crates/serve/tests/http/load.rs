//! What the server withstands: refused before the body, slow and idle clients, compressed bodies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use underpin_serve::{HttpLimits, Quota, Rate};

use crate::common::{INFER, Reply, Server, request};
use crate::protocol::is;

fn quota(queries: u64) -> Quota {
    Quota { queries, per_second: None }
}

fn rate(rate: u32, burst: u32) -> Rate {
    Rate { rate: NonZeroU32::new(rate).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

/// The head of an inference request with a body of so many bytes, none of which follow.
fn head(auth: &str, length: usize) -> String {
    format!("POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Content-Length: {length}\r\n\r\n")
}

#[test]
fn who_has_nothing_left_is_refused_before_the_body() {
    let refused = |server: &Server, auth: &str, status: u16, reason: &str| {
        let start = Instant::now();
        // The body never comes.
        is(&server.raw(head(auth, 8 << 20).as_bytes()), status, reason);
        assert!(start.elapsed() < Duration::from_secs(3), "{reason}: {:?}", start.elapsed());
    };
    let server = Server::start(quota(1), HttpLimits::default());
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200);
    refused(&server, &server.auth(), 429, "quota_exhausted");
    refused(&server, "", 401, "unauthenticated");
    refused(&server, "Authorization: Bearer underpin_0\r\n", 401, "unauthenticated");
    let hasty = Server::start(Quota { queries: 9, per_second: Some(rate(1, 1)) }, HttpLimits::default());
    assert_eq!(hasty.infer(&[[0.5, 0.0]]).status, 200);
    refused(&hasty, &hasty.auth(), 429, "rate_limited");
    hasty.switch.0.store(true, SeqCst);
    refused(&hasty, &hasty.auth(), 503, "revoked");
}

#[test]
fn who_sends_too_much_that_is_malformed_is_slowed() {
    let limits = HttpLimits { malformed: rate(1, 5), ..HttpLimits::default() };
    let server = Server::start(quota(100), limits);
    let bob = server.clients.add("bob", None).unwrap();
    for _ in 0..5 {
        is(&server.send("POST", INFER, &server.auth(), b"{"), 400, "malformed");
    }
    let refused = server.raw(head(&server.auth(), 8 << 20).as_bytes());
    is(&refused, 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let auth = format!("Authorization: Bearer {}\r\n", bob.reveal());
    let good = request(&[[0.5, 0.0]]).to_string();
    assert_eq!(server.send("POST", INFER, &auth, good.as_bytes()).status, 200, "others are answered");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200, "it passes");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(vec![], Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_compressed_body_is_inflated_as_far_as_is_allowed() {
    let limits = HttpLimits { body_bytes: 100_000, ..HttpLimits::default() };
    let server = Server::start(quota(100), limits);
    let good = request(&[[0.25, 0.0]]).to_string();
    let send = |coding: &str, body: &[u8]| {
        server.send("POST", INFER, &format!("{}Content-Encoding: {coding}\r\n", server.auth()), body)
    };
    assert_eq!(send("gzip", &gzip(good.as_bytes())).json()["outputs"][0]["data"][0], 0.25);
    assert_eq!(send("GZIP", &gzip(good.as_bytes())).status, 200);
    let fill = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    assert_eq!(send("gzip", &gzip(fill(100_000).as_bytes())).status, 200);
    is(&send("gzip", &gzip(fill(100_001).as_bytes())), 413, "too_large");
    // 100 MB of blanks in 100 kB.
    let bomb = gzip(fill(100_000_000).as_bytes());
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    is(&send("gzip", &bomb), 413, "too_large");
    for bad in [good.as_bytes(), b"", &gzip(good.as_bytes())[..30]] {
        is(&send("gzip", bad), 400, "malformed");
    }
    assert_eq!(server.ledger.used("alice").unwrap(), 3);
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let limits = HttpLimits { head: Duration::from_millis(200), ..HttpLimits::default() };
    let server = Server::start(quota(10), limits);
    let start = Instant::now();
    let (mut silent, mut slow) = (server.connect(), server.connect());
    slow.write_all(b"GET /v2/health").unwrap();
    assert_eq!(Reply::read(&mut silent).status, 0);
    assert!(matches!(Reply::read(&mut slow).status, 0 | 408));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn an_idle_connection_makes_room_for_a_new_one() {
    let limits = HttpLimits { connections: 2, head: Duration::from_mins(1), ..HttpLimits::default() };
    let server = Server::start(quota(10), limits);
    let (mut silent, mut slow) = (server.connect(), server.connect());
    slow.write_all(b"GET /v2/health").unwrap();
    let start = Instant::now();
    assert_eq!(server.get("/v2/health/live").status, 200);
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(Reply::read(&mut silent).status, 0, "the oldest has gone");
}

/// As many connections as asked for, or as this process may hold both ends of: the limit on descriptors is raised as far
/// as it may be, and says so where that is not enough.
fn possible(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let descriptors = maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
        let possible = descriptors.saturating_sub(400) / 2;
        if possible < wanted {
            eprintln!("{possible} instead of {wanted} connections: the hard limit on descriptors is {descriptors}");
            return possible;
        }
    }
    wanted
}

#[test]
fn idle_and_slow_connections_leave_others_answered() {
    let most = possible(2000);
    // Fewer places than strangers, so that they are needed: idle ones make room.
    for connections in [4096, 500] {
        let limits = HttpLimits { connections, ..HttpLimits::default() };
        let server = Server::start(quota(1_000_000), limits);
        let bob = server.clients.add("bob", None).unwrap();
        let auth = format!("Authorization: Bearer {}\r\n", bob.reveal());
        let body = request(&[[0.5, 0.0]]).to_string();
        let mut strangers: Vec<TcpStream> = (0..most).map(|_| server.connect()).collect();
        // 64 slow bodies of one client with a key.
        let slow: Vec<TcpStream> = (0..64)
            .map(|_| {
                let mut slow = server.connect();
                slow.write_all(format!("{}{{", head(&server.auth(), 1000)).as_bytes()).unwrap();
                slow
            })
            .collect();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Half of the strangers send a head byte by byte.
            scope.spawn(|| {
                for byte in b"GET /v2/health/live HTTP/1.1\r\nX: ".iter().cycle() {
                    for stranger in strangers.iter_mut().step_by(2) {
                        // OK when the server has closed it.
                        let _ = stranger.write_all(&[*byte]);
                        if done.load(SeqCst) {
                            return;
                        }
                    }
                }
            });
            let longest = (0..30).map(|_| {
                let start = Instant::now();
                let reply = server.send("POST", INFER, &auth, body.as_bytes());
                assert_eq!(reply.status, 200, "{reply:?}");
                std::thread::sleep(Duration::from_millis(10));
                start.elapsed()
            });
            let longest = longest.max().unwrap();
            done.store(true, SeqCst);
            assert!(longest < Duration::from_secs(1), "{connections} places: {longest:?}");
        });
        // Of the slow bodies as many wait as one client may have in flight; the others were refused at once.
        let refused = slow.iter().filter(|slow| {
            slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut first = [0; 12];
            (&**slow).read_exact(&mut first).is_ok() && first.ends_with(b"429")
        });
        assert_eq!(refused.count(), 64 - HttpLimits::default().in_flight_per_client);
    }
}
