//! The protocol, every status, and what the server must never do.

use std::io::Write;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use serde_json::json;
use underpin_serve::{HttpLimits, Quota, Rate};

use crate::common::{INFER, Reply, Server, log, request};

pub(crate) fn is(refusal: &Reply, status: u16, reason: &str) {
    assert_eq!(refusal.refusal(), (status, reason.to_owned()), "{refusal:?}");
    assert_eq!(refusal.header("content-type"), Some("application/json"));
}

#[test]
fn health_and_metadata_are_as_the_protocol_says() {
    let server = Server::plain();
    for path in ["/v2", "/v2/"] {
        let expected =
            json!({"name": "underpin", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"]});
        assert_eq!(server.get(path).json(), expected);
    }
    assert_eq!(server.get("/v2/health/live").json(), json!({"live": true}));
    assert_eq!(server.get("/v2/health/ready").json(), json!({"ready": true, "live": true}));
    for model in ["/v2/models/m%201", "/v2/models/m%201/versions/7"] {
        assert_eq!(server.get(&format!("{model}/ready")).json(), json!({"name": "m 1", "ready": true}));
        assert_eq!(
            server.get(model).json(),
            json!({
                "name": "m 1", "versions": ["7"], "platform": "underpin",
                "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}],
                "outputs": [
                    {"name": "scores", "datatype": "FP32", "shape": [-1, 2],
                     "parameters": {"class_names": "[\"no\",\"yes\"]"}},
                    {"name": "label", "datatype": "INT64", "shape": [-1]},
                ],
            })
        );
    }
}

#[test]
fn an_inference_is_answered_as_the_protocol_says() {
    let server = Server::plain();
    let mut asked = request(&[[0.25, 0.0], [1.0, 0.0]]);
    asked["id"] = json!("42");
    let path = "/v2/models/m%201/versions/7/infer";
    let reply = server.send("POST", path, &server.auth(), asked.to_string().as_bytes());
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        reply.json(),
        json!({
            "model_name": "m 1", "model_version": "7", "id": "42",
            "outputs": [
                {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 1.0, 0.0]},
                {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
            ],
        })
    );
    assert!(server.infer(&[[0.5, 0.0]]).json().get("id").is_none());
    assert_eq!(server.ledger.used("alice").unwrap(), 3);
    assert_eq!(server.counter("underpin_queries_total{outcome=\"answered\"}"), 3);
    assert_eq!(server.counter("underpin_requests_total{outcome=\"answered\"}"), 2);
    assert_eq!(server.counter("underpin_request_seconds_count"), 2);
}

#[test]
fn tensors_travel_as_bytes_both_ways() {
    let server = Server::plain();
    let head = json!({
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}],
        "outputs": [{"name": "label", "parameters": {"binary_data": true}},
                    {"name": "scores", "parameters": {"binary_data": true}}],
    })
    .to_string();
    let body = [head.as_bytes(), &0.25_f32.to_le_bytes(), &0_f32.to_le_bytes()].concat();
    let headers = format!("{}Inference-Header-Content-Length: {}\r\n", server.auth(), head.len());
    let reply = server.send("POST", INFER, &headers, &body);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")), "{reply:?}");
    let split = reply.header("inference-header-content-length").unwrap().parse().unwrap();
    let (head, tail) = reply.body.split_at(split);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(head).unwrap()["outputs"],
        json!([
            {"name": "label", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}},
            {"name": "scores", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        ])
    );
    assert_eq!(tail, [1_i64.to_le_bytes().as_slice(), &0.25_f32.to_le_bytes(), &0.75_f32.to_le_bytes()].concat());
}

#[test]
fn a_key_is_needed() {
    let server = Server::plain();
    let body = request(&[[0.5, 0.0]]).to_string();
    let key = server.key.reveal();
    let wrong = key.replace(key.chars().last().unwrap(), "x");
    for headers in [
        String::new(),
        "Authorization: Bearer\r\n".into(),
        "Authorization: Bearer \r\n".into(),
        format!("Authorization: Basic {key}\r\n"),
        format!("Authorization: {key}\r\n"),
        format!("Authorization: Bearer {wrong}\r\n"),
        "Authorization: Bearer \u{e9}\r\n".into(),
    ] {
        let reply = server.send("POST", INFER, &headers, body.as_bytes());
        is(&reply, 401, "unauthenticated");
        assert_eq!(reply.header("www-authenticate"), Some("bearer realm=\"underpin\""), "{headers}");
    }
    assert_eq!((server.model.asked.load(SeqCst), server.ledger.used("alice").unwrap()), (0, 0));
    let lower = format!("authorization: bearer {key}\r\n");
    assert_eq!(server.send("POST", INFER, &lower, body.as_bytes()).status, 200);

    server.clients.revoke("alice").unwrap();
    is(&server.infer(&[[0.5, 0.0]]), 401, "unauthenticated");
    assert_eq!(server.model.asked.load(SeqCst), 1);
}

#[test]
fn every_refusal_has_its_status() {
    let limits = HttpLimits { body_bytes: 5000, ..HttpLimits::default() };
    let server = Server::start(Quota { queries: 10, per_second: None }, limits);
    let auth = server.auth();
    let good = request(&[[0.5, 0.0]]).to_string();
    for path in ["/", "/v1", "/v2/models", "/v2/models/other", "/v2/models/m%201/versions/8", "/v2/models/m%201/x"] {
        is(&server.get(path), 404, "not_found");
    }
    is(&server.send("POST", "/v2/models/other/infer", &auth, good.as_bytes()), 404, "not_found");
    is(&server.send("POST", "/v2/models/%ff/infer", &auth, good.as_bytes()), 400, "malformed");
    is(&server.get(INFER), 405, "wrong_method");
    is(&server.send("POST", "/v2", "", b""), 405, "wrong_method");
    is(&server.send("POST", INFER, &auth, b"{"), 400, "malformed");
    let not_finite = good.replace("FP32", "FP64").replace("[0.5,0.0]", "[1e300,0.0]");
    is(&server.send("POST", INFER, &auth, not_finite.as_bytes()), 400, "out_of_contract");
    let packed = format!("{auth}Content-Encoding: br\r\n");
    let refused = server.send("POST", INFER, &packed, good.as_bytes());
    is(&refused, 415, "unsupported_encoding");
    assert_eq!(refused.header("accept-encoding"), Some("gzip, identity"));
    is(&server.send("POST", INFER, &auth, &[b' '; 5001]), 413, "too_large");
    let chunked = format!(
        "POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        format!("fa0\r\n{}\r\n", " ".repeat(4000)).repeat(2)
    );
    is(&server.raw(chunked.as_bytes()), 413, "too_large");
    assert_eq!(server.model.asked.load(SeqCst), 0, "nothing so far cost a query");
    assert_eq!(server.ledger.used("alice").unwrap(), 0);

    is(&server.infer(&[[0.5, 1.0]]), 500, "failed");
    is(&server.infer(&[[0.5, 2.0]]), 503, "unavailable");
    let exhausted = server.infer(&[[0.5, 0.0]; 9]);
    is(&exhausted, 429, "quota_exhausted");
    assert_eq!(exhausted.header("retry-after"), None);
    assert!(exhausted.json()["error"].as_str().unwrap().contains("2 of 10 queries used, 9 more asked"));
    assert_eq!(server.infer(&[[0.5, 0.0]; 8]).status, 200);
}

#[test]
fn what_takes_too_long_is_given_up() {
    let limits = HttpLimits { request: Duration::from_millis(300), ..HttpLimits::default() };
    let server = Server::start(Quota { queries: 10, per_second: None }, limits);
    let auth = server.auth();
    let cut = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Content-Length: 9\r\n\r\n{{");
    is(&server.raw(cut.as_bytes()), 408, "body_timeout");
    assert_eq!(server.ledger.used("alice").unwrap(), 0);
    is(&server.infer(&[[0.5, 3.0]]), 503, "timeout");
    assert_eq!(server.ledger.used("alice").unwrap(), 1, "counted, though given up");
    server.model.open_gate();
}

#[test]
fn a_client_that_hangs_up_is_counted_all_the_same() {
    let server = Server::plain();
    let mut asking = server.connect();
    let body = request(&[[0.5, 3.0]]).to_string();
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n", server.auth(), body.len());
    asking.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    while server.model.asked.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    drop(asking);
    std::thread::sleep(Duration::from_millis(50));
    server.model.open_gate();
    let start = Instant::now();
    while server.counter("underpin_queries_total{outcome=\"answered\"}") == 0 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_hasty_client_gets_the_time_to_come_back() {
    let rate = Rate { rate: NonZeroU32::MIN, burst: NonZeroU32::new(100).unwrap() };
    let server = Server::start(Quota { queries: 1000, per_second: Some(rate) }, HttpLimits::default());
    assert_eq!(server.infer(&[[0.5, 0.0]; 60]).status, 200);
    let refused = server.infer(&[[0.5, 0.0]; 90]);
    is(&refused, 429, "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    // 50 queries at 1 per second, less what came back since.
    assert!((30..=50).contains(&wait), "{wait}");
    is(&server.infer(&[[0.5, 0.0]; 101]), 413, "too_large");
    assert_eq!(server.ledger.used("alice").unwrap(), 60);
    assert_eq!(server.counter("underpin_queries_total{outcome=\"rate_limited\"}"), 90);
}

#[test]
fn a_lost_clearance_stops_answers_at_once() {
    let server = Server::plain();
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200);
    server.switch.0.store(true, SeqCst);
    is(&server.infer(&[[0.5, 0.0]]), 503, "revoked");
    is(&server.get("/v2/health/ready"), 503, "revoked");
    is(&server.get("/v2/models/m%201/ready"), 503, "revoked");
    assert_eq!(server.get("/v2/health/live").status, 200);
    assert_eq!((server.model.asked.load(SeqCst), server.ledger.used("alice").unwrap()), (1, 1));
}

#[test]
fn too_many_at_once_are_sent_away() {
    let limits = HttpLimits { in_flight: 1, ..HttpLimits::default() };
    let server = Server::start(Quota { queries: 1000, per_second: None }, limits);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.infer(&[[0.5, 3.0]]));
        while server.model.asked.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        let refused = server.infer(&[[0.5, 0.0]]);
        is(&refused, 503, "overloaded");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(server.get("/v2/health/live").status, 200);
        server.model.open_gate();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200);
}

#[test]
fn clients_together_get_exactly_the_quota() {
    let server = Server::start(Quota { queries: 101, per_second: None }, HttpLimits::default());
    let answered: usize = std::thread::scope(|scope| {
        let ask = || (0..10).filter(|_| server.infer(&[[0.5, 0.0]; 2]).status == 200).count();
        let running: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((answered, server.model.asked.load(SeqCst), server.ledger.used("alice").unwrap()), (50, 100, 100));
    assert_eq!(server.counter("underpin_requests_total{outcome=\"quota_exhausted\"}"), 30);
}

#[test]
fn no_body_brings_the_server_down() {
    let often = NonZeroU32::new(10_000).unwrap();
    let limits = HttpLimits { malformed: Rate { rate: often, burst: often }, ..HttpLimits::default() };
    let server = Server::start(Quota { queries: 1000, per_second: None }, limits);
    let auth = server.auth();
    let good = request(&[[0.5, 0.0]]).to_string();
    for cut in 0..good.len() {
        is(&server.send("POST", INFER, &auth, &good.as_bytes()[..cut]), 400, "malformed");
    }
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] ^= 0x80;
        is(&server.send("POST", INFER, &auth, &bytes), 400, "malformed");
    }
    for garbage in
        [b"".as_slice(), b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", &[0xff; 5000], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = server.connect();
        // OK when the server has heard enough and closed before all was sent.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        assert!(matches!(Reply::read(&mut stream).status, 0 | 400 | 505), "{garbage:?}");
    }
    assert_eq!(server.infer(&[[0.5, 0.0]]).status, 200);
    assert_eq!(server.ledger.used("alice").unwrap(), 1);
    assert_eq!(server.counter("underpin_requests_total{outcome=\"failed\"}"), 0);
}

#[test]
fn shutdown_waits_for_requests_under_way() {
    let mut server = Server::plain();
    let (address, model) = (server.address, server.model.clone());
    let mut asking = server.connect();
    let body = request(&[[0.5, 3.0]]).to_string();
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n", server.auth(), body.len());
    asking.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    while model.asked.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    server.begin_shutdown();
    let closed = Instant::now();
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(closed.elapsed() < Duration::from_secs(10), "the listener is closed at once");
        std::thread::sleep(Duration::from_millis(5));
    }
    model.open_gate();
    assert_eq!(Reply::read(&mut asking).status, 200);
    server.join().unwrap();
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let limits = HttpLimits { drain: Duration::from_millis(50), ..HttpLimits::default() };
    let mut server = Server::start(Quota { queries: 10, per_second: None }, limits);
    let mut asking = server.connect();
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\n{}Content-Length: 10\r\n\r\n", server.auth());
    asking.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.begin_shutdown();
    server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn nothing_of_an_input_is_logged() {
    let server = Server::plain();
    assert_eq!(server.infer(&[[0.123_456_7, 0.0]]).status, 200);
    let good = request(&[[0.5, 0.0]]).to_string();
    // Each of these comes back to the client in the refusal's sentence.
    for (word, canary) in [("0.5", "7654321"), ("FP32", "canary-1"), ("\"input\"", "\"canary-2\"")] {
        let marked = good.replace(word, canary).replace("FP32", "INT8");
        let reply = server.send("POST", INFER, &server.auth(), marked.as_bytes());
        is(&reply, 400, "malformed");
        assert!(reply.json()["error"].as_str().unwrap().contains(canary.trim_matches('"')), "{reply:?}");
    }
    let log = String::from_utf8(log().lock().unwrap().clone()).unwrap();
    assert!(log.contains("client=\"alice\" queries=1") && log.contains("outcome=\"answered\""), "{log}");
    for secret in ["1234567", "7654321", "canary", server.key.reveal()] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
