//! How much memory a request takes, measured in a process of its own.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use serde_json::json;
use underpin_serve::{HttpLimits, Quota};

use crate::common::{INFER, Reply, Server, request};

/// Tells the child process that it is one.
const CHILD: &str = "UNDERPIN_MEMORY_TEST_CHILD";
const MIB: usize = 1 << 20;

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Not a test of its own: the server of the test below. For each line it reads it says by how much its memory rose at
/// most above what it was at the line before.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    // 64 bit: enough quota for every row that fits.
    let server = Server::start_unlogged(Quota { queries: 1 << 40, per_second: None }, HttpLimits::default());
    let poor = server.clients.add("poor", None).unwrap();
    server.ledger.debit("poor", 1 << 40, &Quota { queries: 1 << 40, per_second: None }).unwrap();
    let mut say = std::io::stderr();
    writeln!(say, "{} {} {}", server.address, server.key.reveal(), poor.reveal()).unwrap();
    let mut base = 0;
    for _ in std::io::stdin().lines() {
        writeln!(say, "{}", status("VmHWM:").saturating_sub(base)).unwrap();
        // 5 resets the peak.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        base = status("VmRSS:");
    }
}

struct Measured {
    child: Child,
    ask: ChildStdin,
    said: Box<dyn BufRead>,
    address: String,
    keys: [String; 2],
}

impl Measured {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::child", "--nocapture"])
            .env(CHILD, "1")
            // Memory that was given back is not kept for later.
            .env("MALLOC_TRIM_THRESHOLD_", "0")
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (ask, mut said) = (child.stdin.take().unwrap(), BufReader::new(child.stderr.take().unwrap()));
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let keys = [words[1].clone(), words[2].clone()];
        Self { child, ask, said: Box::new(said), address: words[0].clone(), keys }
    }

    fn peak(&mut self) -> usize {
        writeln!(self.ask).unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    /// Status of the answer to a body, and the memory that it took.
    fn send(&mut self, key: usize, headers: &str, body: &[u8]) -> (u16, usize) {
        self.peak();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            self.keys[key],
            body.len()
        );
        // OK when it is refused before all is sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let reply = Reply::read(&mut stream);
        (reply.status, self.peak())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `before`, then `repeated` until there are nearly 8 MiB, then `after`.
fn filled(before: &str, repeated: &str, after: &str) -> Vec<u8> {
    let times = (8 * MIB - before.len() - after.len()) / repeated.len();
    [before, &repeated.repeat(times), after].concat().into_bytes()
}

#[test]
fn a_request_takes_a_small_multiple_of_its_body() {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap();
    let mut server = Measured::start();
    let good = request(&[[0.5, 0.0]]).to_string();
    let open = good.strip_suffix('}').unwrap();
    assert_eq!(server.send(0, "", good.as_bytes()).0, 200);
    let rows = MIB; // all that are allowed, of two features
    let numbers = json!({"inputs": [{"name": "input", "datatype": "FP32", "shape": [rows, 2], "data": 0}]}).to_string();
    let numbers = numbers.replace("\"data\":0", &format!("\"data\":[{}0]", "0,".repeat(2 * rows - 1)));
    let long = numbers.replace("[0,0,", "[0.25,0.5,");
    // Refused or answered, at most four times the body while it is read.
    for (what, expected, body) in [
        ("unknown parameters, a list", 200, filled(&format!("{open},\"parameters\":{{\"x\":[0"), ",0", "]}}")),
        ("unknown parameters, lists in it", 200, filled(&format!("{open},\"parameters\":{{\"x\":[0"), ",[]", "]}}")),
        ("many unknown parameters", 200, filled(&format!("{open},\"parameters\":{{\"x\":0"), ",\"y\":{}", "}}")),
        ("unknown members", 200, filled(&format!("{open},\"z\":[0"), ",{\"a\":\"b\"}", "]}")),
        (
            "a long name",
            400,
            filled("{\"inputs\":[{\"name\":\"", "n", "\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0,0]}]}"),
        ),
        (
            "an escaped name",
            400,
            filled(
                "{\"inputs\":[{\"name\":\"",
                "\\u0001",
                "\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0,0]}]}",
            ),
        ),
        ("a text for a list", 400, filled("{\"inputs\":\"", "\\u0001", "\"}")),
        (
            "many inputs",
            400,
            filled(
                "{\"inputs\":[{\"name\":\"a\",\"shape\":[],\"datatype\":\"x\"}",
                ",{\"name\":\"a\",\"shape\":[],\"datatype\":\"x\"}",
                "]}",
            ),
        ),
        ("many outputs", 400, filled(&format!("{open},\"outputs\":[{{\"name\":\"a\"}}"), ",{\"name\":\"a\"}", "]}")),
        (
            "many axes",
            400,
            filled("{\"inputs\":[{\"name\":\"input\",\"shape\":[1", ",1", "],\"datatype\":\"FP32\",\"data\":[]}]}"),
        ),
        (
            "a claimed shape",
            413,
            filled(
                "{\"inputs\":[{\"name\":\"input\",\"shape\":[4000000000,2],\"datatype\":\"FP32\",\"data\":[0",
                ",0",
                "]}]}",
            ),
        ),
        ("brackets", 400, filled("", "[", "")),
        (
            "brackets as data",
            400,
            filled("{\"inputs\":[{\"name\":\"input\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":", "[", ""),
        ),
        ("blanks", 400, filled("", " ", "")),
    ] {
        let (status, took) = server.send(0, "", &body);
        println!("{what}: {:.1} times its body", took as f64 / body.len() as f64);
        assert_eq!(status, expected, "{what}");
        assert!(took <= 4 * body.len() + 2 * MIB, "{what}: {took} bytes for a body of {}", body.len());
    }
    // Answered, at most ten times the largest body.
    for (what, headers, body) in [
        ("rows", "", numbers.clone().into_bytes()),
        (
            "rows and a long id",
            "",
            long.replacen('{', &format!("{{\"id\":\"{}\",", "i".repeat(3 * MIB)), 1).into_bytes(),
        ),
        ("rows, compressed", "Content-Encoding: gzip\r\n", {
            let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            packed.write_all(numbers.as_bytes()).unwrap();
            packed.finish().unwrap()
        }),
    ] {
        let (status, took) = server.send(0, headers, &body);
        println!("{what}: {:.1} times the largest body", took as f64 / (8 * MIB) as f64);
        assert_eq!(status, 200, "{what}");
        assert!(took <= 10 * 8 * MIB, "{what}: {took} bytes");
    }
    // Who has nothing left takes nothing.
    let (status, took) = server.send(1, "", &filled("", "[", ""));
    assert_eq!(status, 429);
    assert!(took <= MIB, "{took} bytes");
}
