//! What a server keeps and remembers: its ledger, its secret, its keys, and who may touch them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::revoke::{Server, cleared};
use crate::support::{Home, Ran, kill, wait};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A server that ends by itself, because it is refused.
fn refused(home: &Home, arguments: &[&str], word: &str) {
    let ran: Ran = home.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    assert!(ran.code == Some(1) && ran.err.contains(word), "{word}: {ran:?}");
}

fn stop(mut server: Server) {
    kill("TERM", &server.process);
    assert_eq!(wait(&mut server.process, Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn a_server_needs_no_signing_key_and_a_copied_run_keeps_its_quota() {
    let home = Home::new();
    cleared(&home);
    fs::rename(home.path("config"), home.path("elsewhere")).unwrap();
    let key = home.run(&["client", "add", "alice", "--run", "cleared"]).out.trim().to_owned();
    fs::copy(home.path("cleared/signer.pub.pem"), home.path("signer.pem")).unwrap();
    let trust = ["--trust", "signer.pem"];
    let serve = |run: &'static str| [&["--run", run], &trust[..]].concat();
    let server = Server::start_as(&home, &serve("cleared"));
    let (status, answer) = server.ask(&key);
    assert_eq!(status, 200, "{answer}");
    assert!(!home.path("config").exists(), "no signing key is made");
    let secret = home.path("cleared.serving/noise.key");
    assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // A copy is not served beside the run, nor after it without the ledger; moved with its ledger it is.
    copy(&home.path("cleared"), &home.path("copied"));
    refused(&home, &serve("copied"), "served by another process");
    stop(server);
    refused(&home, &serve("copied"), "1 queries of this run were counted, last in");
    fs::rename(home.path("cleared"), home.path("moved")).unwrap();
    refused(&home, &serve("moved"), "put that file back");
    // Empty: of a run that is refused nothing is made.
    fs::remove_dir(home.path("moved.serving")).unwrap();
    fs::rename(home.path("cleared.serving"), home.path("moved.serving")).unwrap();
    let ledger = home.path("moved.serving/queries.redb");
    copy(&ledger, &home.path("old.redb"));
    let server = Server::start_as(&home, &serve("moved"));
    assert_eq!(server.ask(&key).0, 200);
    stop(server);
    fs::rename(home.path("old.redb"), &ledger).unwrap();
    refused(&home, &serve("moved"), "counts 1 queries, 2 were known");
    fs::remove_file(&ledger).unwrap();
    refused(&home, &serve("moved"), "2 queries of this run were counted");
}

#[test]
fn what_others_may_change_is_not_served() {
    let home = Home::new();
    cleared(&home);
    home.run(&["client", "add", "alice", "--run", "cleared"]);
    let run = ["--run", "cleared"];
    stop(Server::start_as(&home, &run));
    for (path, good, bad) in [
        ("cleared", 0o755, 0o775),
        ("cleared/model.safetensors", 0o644, 0o666),
        ("cleared.serving", 0o700, 0o755),
        ("cleared.serving/queries.redb", 0o600, 0o644),
        ("cleared.serving/clients.json", 0o600, 0o640),
        ("cleared.serving/noise.key", 0o600, 0o604),
        ("state", 0o700, 0o701),
    ] {
        mode(&home.path(path), bad);
        refused(&home, &run, "others may read or write it");
        mode(&home.path(path), good);
    }
    // Another user's file, and a link, are refused as well.
    fs::rename(home.path("cleared.serving/noise.key"), home.path("noise.key")).unwrap();
    std::os::unix::fs::symlink(home.path("noise.key"), home.path("cleared.serving/noise.key")).unwrap();
    refused(&home, &run, "it is a symbolic link");
}

#[test]
fn a_server_beyond_this_machine_asks_for_tls() {
    let home = Home::new();
    cleared(&home);
    let mut command = home.command(&["serve", "--run", "cleared", "--listen", "0.0.0.0:0"]);
    let mut process = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    kill("TERM", &process);
    wait(&mut process, Duration::from_secs(15));
    let said = std::io::read_to_string(process.stderr.take().unwrap()).unwrap();
    assert!(said.contains("unencrypted") && said.contains("--tls-cert"), "{said}");
    refused(&home, &["--run", "cleared", "--tls-cert", "a.pem"], "--tls-key");
}
