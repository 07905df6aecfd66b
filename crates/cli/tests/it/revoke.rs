//! A cleared run, its server, its clients and its revocation, as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use underpin::seal::{self, Action, ClearanceDocument, PolicyName, RunFolder, SigningKey, files};
use underpin_core::{Digest, Evidence, Policy, Record};

use crate::support::{Home, PIPELINE, Ran, kill, wait};

/// Measurements of a real run of the digits that met every bar of the policy `baseline`.
const RESULTS: &str = include_str!("../../../../docs/digits.results.json");

/// Makes `cleared` from the refused quick run `run`: its own files, under evidence of a run that met every bar.
pub(crate) fn cleared(home: &Home) {
    let ran = home.run(&PIPELINE);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    cleared_as(home, "cleared", |_, _| {});
}

/// As [`cleared`], of a run that is there already, under another name and with files of its own in the place of some.
#[allow(clippy::disallowed_methods, reason = "a test of the program, which reads the clock")]
pub(crate) fn cleared_as(home: &Home, name: &str, change: impl FnOnce(&RunFolder, &mut Evidence)) {
    let run = home.path("run");
    let key = SigningKey::load(&home.path("config/underpin/key.pem")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let own = seal::inspect(&run, &[key.public()]).unwrap();
    let kept: serde_json::Value = serde_json::from_str(RESULTS).unwrap();
    let mut evidence: Evidence = serde_json::from_value(kept["evidence"].clone()).unwrap();
    evidence.subjects.clone_from(&own.evidence().subjects);
    evidence.policy = own.evidence().policy;
    evidence.measured_at = now - 60;
    // What the run was bound to.
    let Evidence { seed, revision, versions, attempt, .. } = own.evidence().clone();
    let mut evidence = Evidence { seed, revision, versions, attempt, ..evidence };
    let policy: &Policy = own.policy();
    let mut folder = RunFolder::create(&home.path(name)).unwrap();
    change(&folder, &mut evidence);
    let mut names: Vec<String> =
        run.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| {
        ![files::EVIDENCE, files::SIGNER, files::LOG].contains(&name.as_str()) && !name.starts_with('.')
    });
    names.retain(|name| !folder.path(name).unwrap().exists());
    for name in names {
        folder.write(&name, &own.file(&name, 1 << 30).unwrap()).unwrap();
    }
    let envelope = seal::sign(&evidence, &evidence.subjects, &key).unwrap();
    folder.write(files::EVIDENCE, &envelope).unwrap();
    let safety: Record = serde_json::from_value(kept["safety"].clone()).unwrap();
    let written = serde_json::to_vec(&safety).unwrap();
    folder.write(files::SAFETY, &written).unwrap();
    let clearance = ClearanceDocument {
        policy: PolicyName { name: policy.name().into(), digest: evidence.policy },
        evidence: Digest::of(&envelope),
        model: own.listed()[files::MODEL].digest,
        verdicts: policy.judge(evidence.policy, &evidence),
        safety: Digest::of(&written),
        release: policy.judge_release(&safety),
        waivers: policy.waivers().to_vec(),
        issued_at: now - 30,
        expires_at: now + 3_600,
        seed: evidence.seed,
        revision: evidence.revision.clone(),
    };
    folder.write(files::CLEARANCE, &clearance.sign(&key).unwrap()).unwrap();
    let act = |what: &str| Action { at: now - 20, who: name.into(), what: what.into(), details: [].into() };
    let first = own.log().entries()[0].clone();
    folder.record(Action { details: first.details, ..act(&first.what) }, &key).unwrap();
    folder.finish(act("sealed the run"), &key).unwrap();
}

/// A server of the run `cleared`, killed when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Server {
    fn start(home: &Home) -> Self {
        Self::start_as(home, &["--run", "cleared"])
    }

    pub(crate) fn start_as(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("serving "))).unwrap().unwrap();
        // Goes on reading, so that the server never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let address = said.rsplit_once("http://").unwrap().1.to_owned();
        Self { process, address }
    }

    /// Status and body of an inference request.
    pub(crate) fn ask(&self, key: &str) -> (u16, String) {
        let body = format!(
            "{{\"inputs\":[{{\"name\":\"input\",\"shape\":[1,1,8,8],\"datatype\":\"FP32\",\"data\":[{}]}}]}}",
            vec!["0.5"; 64].join(",")
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn revoke(home: &Home, more: &[&str]) -> Ran {
    home.run(&[&["revoke", "--run", "cleared"], more].concat())
}

#[test]
fn a_revocation_stops_a_running_server_and_is_for_good() {
    let home = Home::new();
    cleared(&home);
    let verified = home.run(&["verify", "cleared"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let key = home.run(&["client", "add", "alice", "--run", "cleared"]).out.trim().to_owned();
    let mut server = Server::start(&home);
    let (status, answer) = server.ask(&key);
    assert_eq!(status, 200, "{answer}");

    // Neither a reason that says nothing, nor somebody else's key.
    let blank = revoke(&home, &["--reason", " "]);
    assert!(blank.code == Some(1) && blank.err.contains("--reason"), "{blank:?}");
    let stranger = home.path("stranger.pem");
    std::fs::write(&stranger, SigningKey::generate().unwrap().to_pem().as_bytes()).unwrap();
    private(&stranger);
    let foreign = revoke(&home, &["--reason", "mine", "--key", "stranger.pem"]);
    assert_eq!(foreign.code, Some(1), "{foreign:?}");
    assert_eq!(server.ask(&key).0, 200);

    let started = Instant::now();
    let revoked = revoke(&home, &["--reason", "rows were withdrawn", "--json"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let told: serde_json::Value = serde_json::from_str(&revoked.out).unwrap();
    assert_eq!((&told["outcome"], &told["reason"]), (&"revoked".into(), &"rows were withdrawn".into()));
    // Asking uses up the quota, too.
    while [200, 429].contains(&server.ask(&key).0) {
        assert!(started.elapsed() < Duration::from_secs(10), "it still answers");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, answer) = server.ask(&key);
    assert!(status == 403 || status == 503, "{answer}");
    assert!(answer.contains("rows were withdrawn"), "{answer}");

    let verified = home.run(&["verify", "cleared"]);
    assert!(verified.code == Some(1) && verified.err.contains("rows were withdrawn"), "{verified:?}");
    let again = revoke(&home, &["--reason", "again"]);
    assert!(again.code == Some(1) && again.err.contains("revoked already"), "{again:?}");
    // What is not cleared has nothing to take back.
    let refused = home.run(&["revoke", "--run", "run", "--reason", "x"]);
    assert!(refused.code == Some(1) && refused.err.contains("is not cleared"), "{refused:?}");

    kill("TERM", &server.process);
    assert_eq!(wait(&mut server.process, Duration::from_secs(15)).code(), Some(0));
}

/// The owner's state says so, wherever the revocation was put on record, and however soon the folder was put back.
#[test]
fn a_revocation_of_another_copy_stops_a_running_server() {
    let home = Home::new();
    cleared(&home);
    let copied = std::process::Command::new("cp").args(["-a", "cleared", "copy"]).current_dir(home.path(".")).status();
    assert!(copied.unwrap().success());
    let key = home.run(&["client", "add", "alice", "--run", "cleared"]).out.trim().to_owned();
    let server = Server::start(&home);
    assert_eq!(server.ask(&key).0, 200);
    let revoked = home.run(&["revoke", "--run", "copy", "--reason", "withdrawn"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let started = Instant::now();
    while server.ask(&key).0 != 503 {
        assert!(started.elapsed() < Duration::from_secs(10), "it still answers");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_server_drains_and_exits_zero_on_either_signal() {
    let home = Home::new();
    cleared(&home);
    let key = home.run(&["client", "add", "alice", "--run", "cleared"]).out.trim().to_owned();
    for signal in ["INT", "TERM"] {
        let mut server = Server::start(&home);
        assert_eq!(server.ask(&key).0, 200, "SIG{signal}");
        // A request of which half has arrived is given time, but not for ever.
        let mut slow = TcpStream::connect(&server.address).unwrap();
        write!(
            slow,
            "POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\n"
        )
        .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        kill(signal, &server.process);
        std::thread::sleep(Duration::from_millis(700));
        assert!(server.process.try_wait().unwrap().is_none(), "SIG{signal}: it did not wait for a request under way");
        let started = Instant::now();
        assert_eq!(wait(&mut server.process, Duration::from_secs(15)).code(), Some(0), "SIG{signal}");
        assert!(started.elapsed() < Duration::from_secs(12), "SIG{signal}: {:?}", started.elapsed());
    }
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn private(_: &Path) {}

#[test]
fn a_revocation_makes_no_key_and_takes_no_hostile_reason() {
    let home = Home::new();
    std::fs::create_dir(home.path("run")).unwrap();
    for name in ["evidence.dsse.json", "clearance.dsse.json"] {
        std::fs::write(home.path("run").join(name), "{}").unwrap();
    }
    let keyless = home.run(&["revoke", "--run", "run", "--reason", "x"]);
    assert!(keyless.code == Some(1) && keyless.err.contains("no key to sign with"), "{keyless:?}");
    assert!(!home.path("config").exists(), "no key is made");
    for reason in ["a\u{1b}[2Jb", "two\nlines", &"x".repeat(501)] {
        let hostile = home.run(&["revoke", "--run", "run", "--reason", reason]);
        assert!(hostile.code == Some(1) && hostile.err.contains("--reason"), "{hostile:?}");
    }
}
