//! `underpin verify`: its memory, its warnings, what it remembers.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use underpin::seal::{SigningKey, files};
use underpin_core::Digest;
use underpin_data::{RowDecision, RowLedger};

use crate::revoke::{Server, cleared, cleared_as};
use crate::support::{Home, Ran, kill, wait};

/// Bytes of a file that the run carries along.
const LARGE: u64 = 300 << 20;

/// Rows of its ledger: a file of some 40 MB.
const ROWS: u64 = 400_000;

/// A run that is much larger than the memory that verifying it may take.
fn large(home: &Home) {
    cleared_as(home, "large", |folder, evidence| {
        File::create(folder.path("activations.bin").unwrap()).unwrap().set_len(LARGE).unwrap();
        let decision = |id: u64| RowDecision { id, digest: Digest::of(&id.to_le_bytes()), dropped: None };
        let path = folder.path(files::LEDGER).unwrap();
        let ledger = RowLedger::new((1..=ROWS).map(decision).collect()).unwrap();
        ledger.write(std::io::BufWriter::new(File::create(&path).unwrap())).unwrap();
        let subject = evidence.subjects.iter_mut().find(|subject| subject.name == files::LEDGER).unwrap();
        subject.digest = Digest::of(&fs::read(path).unwrap());
    });
}

/// The most memory that a process has had, in KiB, as Linux counts it.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn verifying_takes_little_memory() {
    let home = Home::new();
    cleared(&home);
    large(&home);
    let mut process = home.command(&["verify", "large"]).stdout(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(peak(process.id()).unwrap_or(0));
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(0));
    println!("verifying {} MiB took {most} KiB", LARGE >> 20);
    assert!((1_000..64 * 1024).contains(&most), "{most} KiB");
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn json(home: &Home, arguments: &[&str]) -> (Ran, Value) {
    let ran = home.run(&[arguments, &["--json"]].concat());
    let value = serde_json::from_str(&ran.out).unwrap_or_default();
    (ran, value)
}

/// A command that is refused with exit code 1, and these words on standard error.
fn refused(home: &Home, arguments: &[&str], words: &str) {
    let ran = home.run(arguments);
    assert!(ran.code == Some(1) && ran.err.contains(words), "{arguments:?}, {words:?}: {ran:?}");
}

/// A key pair of another party: `NAME.pem` and `NAME.pub.pem`.
fn party(home: &Home, name: &str) -> Digest {
    let (key, path) = (SigningKey::generate().unwrap(), home.path(&format!("{name}.pem")));
    fs::write(&path, key.to_pem().as_bytes()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(home.path(&format!("{name}.pub.pem")), key.public().to_pem()).unwrap();
    key.public().id()
}

#[test]
fn a_run_that_went_back_is_refused_by_every_command() {
    let home = Home::new();
    cleared(&home);
    assert_eq!(home.run(&["verify", "cleared"]).code, Some(0));
    copy(&home.path("cleared"), &home.path("older"));
    let (revoked, told) = json(&home, &["revoke", "--run", "cleared", "--reason", "a backdoor was found"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let (_, verified) = json(&home, &["verify", "cleared"]);
    assert_eq!(
        (&verified["outcome"], &verified["head"], &verified["entries"]),
        (&"revoked".into(), &told["head"], &3.into())
    );
    // An older copy, of before the revocation, put in its place: each signature of it holds.
    fs::rename(home.path("cleared"), home.path("newer")).unwrap();
    fs::rename(home.path("older"), home.path("cleared")).unwrap();
    let words = "has 2 entries; 3 were known on 20";
    refused(&home, &["verify", "cleared"], words);
    refused(&home, &["verify", "cleared"], "the last was `revoked`");
    refused(&home, &["serve", "--run", "cleared", "--listen", "127.0.0.1:0"], words);
    refused(&home, &["reassess", "cleared"], words);
    refused(&home, &["revoke", "--run", "cleared", "--reason", "again"], words);
    let key = party(&home, "auditor");
    refused(&home, &["witness", "cleared", "--key", "auditor.pem"], words);
    assert!(!home.path(&format!("cleared.witness/{key}.dsse.json")).exists());
    // A user who knows nothing of it is given the head.
    let stranger = |arguments: &[&str]| -> Ran {
        home.command(arguments).env("UNDERPIN_STATE", home.path("another")).output().unwrap().into()
    };
    let head = told["head"].as_str().unwrap();
    let told = stranger(&["verify", "cleared", "--head", head]);
    assert!(told.code == Some(1) && told.err.contains("does not go on from the head"), "{told:?}");
    assert_eq!(stranger(&["verify", "cleared"]).code, Some(0));
    // The newer one in its place again, all is as it was.
    refused(&home, &["verify", "newer", "--head", head], "a backdoor was found");
}

#[test]
fn sealing_a_run_is_remembered() {
    let home = Home::new();
    let ran = home.run(&crate::support::PIPELINE);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let records = crate::support::names(&home.path("state/heads"));
    assert_eq!(records.iter().filter(|name| name.contains(".json")).count(), 1, "{records:?}");
    let (_, verified) = json(&home, &["verify", "run"]);
    let record = home.path(&format!("state/heads/{}.json", verified["root"].as_str().unwrap()));
    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    assert_eq!((&record["head"]["digest"], &record["head"]["entries"]), (&verified["head"], &verified["entries"]));
}

#[test]
fn a_ledger_that_vanished_is_noticed_without_serving() {
    let home = Home::new();
    cleared(&home);
    let key = home.run(&["client", "add", "alice", "--run", "cleared"]).out.trim().to_owned();
    let mut server = Server::start_as(&home, &["--run", "cleared"]);
    assert_eq!(server.ask(&key).0, 200);
    assert_eq!(home.run(&["verify", "cleared"]).code, Some(0), "while it is served");
    kill("TERM", &server.process);
    assert_eq!(wait(&mut server.process, Duration::from_secs(15)).code(), Some(0));
    copy(&home.path("cleared"), &home.path("copied"));
    assert_eq!(home.run(&["verify", "copied"]).code, Some(0), "the ledger lies where it last lay");
    fs::rename(home.path("cleared.serving/queries.redb"), home.path("kept.redb")).unwrap();
    for command in [&["verify", "cleared"][..], &["verify", "copied"], &["reassess", "cleared"]] {
        refused(&home, command, "1 queries of this run were counted");
    }
    // A revocation does not wait for it.
    let revoked = home.run(&["revoke", "--run", "cleared", "--reason", "the ledger is gone"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
}

#[test]
fn a_head_is_a_whole_digest() {
    let home = Home::new();
    cleared(&home);
    let (_, verified) = json(&home, &["verify", "cleared"]);
    let head = verified["head"].as_str().unwrap().to_owned();
    let shown = home.run(&["verify", "cleared"]).out;
    assert!(shown.contains(&format!("head {head}")), "{shown}");
    assert_eq!(head, Digest::of(&fs::read(home.path("cleared/accountability.jsonl")).unwrap()).to_string());
    assert_eq!(home.run(&["verify", "cleared", "--head", &head]).code, Some(0));
    for bad in [&head[..63], "", "sha256:12", &head.to_uppercase(), &format!("{head}0"), &"g".repeat(64)] {
        refused(&home, &["verify", "cleared", "--head", bad], "64 lower-case hexadecimal digits");
    }
    let other = Digest::of(b"another").to_string();
    refused(&home, &["verify", "cleared", "--head", &other], &format!("does not go on from the head {other}"));
}

#[test]
fn what_others_may_change_is_warned_of() {
    let home = Home::new();
    cleared(&home);
    let mode = |name: &str, mode| fs::set_permissions(home.path(name), Permissions::from_mode(mode)).unwrap();
    let warnings = |run: &str| {
        let (ran, value) = json(&home, &["verify", run]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let warnings: Vec<String> = serde_json::from_value(value["warnings"].clone()).unwrap();
        for warning in &warnings {
            assert!(ran.err.contains(warning), "{ran:?}");
        }
        warnings
    };
    assert_eq!(warnings("cleared"), [""; 0]);
    mode("cleared/model.safetensors", 0o666);
    mode("cleared/report.html", 0o666);
    mode("cleared/policy.toml", 0o602);
    let found = warnings("cleared");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("model.safetensors and 1 more: its mode is 666: others may"), "{found:?}");
    assert!(found[1].contains("policy.toml: its mode is 602"), "{found:?}");
    for name in ["model.safetensors", "report.html", "policy.toml"] {
        mode(&format!("cleared/{name}"), 0o640);
    }
    assert_eq!(warnings("cleared"), [""; 0], "others may read");
    mode("cleared", 0o770);
    assert_eq!(warnings("cleared").len(), 1);
    mode("cleared", 0o700);
    std::os::unix::fs::symlink(home.path("cleared"), home.path("link")).unwrap();
    let found = warnings("link");
    assert!(found.len() == 1 && found[0].contains("symbolic link"), "{found:?}");
    // Only root can give a file away.
    if std::os::unix::fs::chown(home.path("cleared/report.html"), Some(12345), None).is_ok() {
        let found = warnings("cleared");
        assert!(found.len() == 1 && found[0].contains("it belongs to user 12345"), "{found:?}");
        refused(&home, &["serve", "--run", "cleared", "--listen", "127.0.0.1:0"], "it belongs to user 12345");
    }
}

/// Whoever can open the folder can hold a lock on it: no command needs that lock.
#[test]
fn a_lock_on_the_folder_stops_no_command() {
    let home = Home::new();
    cleared(&home);
    cleared_as(&home, "second", |_, _| {});
    let (first, second) = (File::open(home.path("cleared")).unwrap(), File::open(home.path("second")).unwrap());
    first.lock_shared().unwrap();
    second.lock_shared().unwrap();
    assert_eq!(home.run(&["verify", "cleared"]).code, Some(0));
    // The attacks of this run are too weak for a renewal.
    let reassessed = home.run(&["reassess", "cleared", "--quiet"]);
    assert_eq!(reassessed.code, Some(2), "{reassessed:?}");
    refused(&home, &["verify", "cleared"], "revokes the clearance");
    let revoked = home.run(&["revoke", "--run", "second", "--reason", "a backdoor was found"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
}

#[test]
fn a_witness_is_asked_for_by_its_key() {
    let home = Home::new();
    cleared(&home);
    let id = party(&home, "auditor");
    let asked = ["verify", "cleared", "--witness", "auditor.pub.pem"];
    refused(&home, &asked, &format!("the witness {id} has not signed"));
    let own = home.path("config/underpin/key.pem").display().to_string();
    refused(&home, &["witness", "cleared", "--key", &own], "another party's key must witness it");
    let (witnessed, value) = json(&home, &["witness", "cleared", "--key", "auditor.pem"]);
    assert_eq!(witnessed.code, Some(0), "{witnessed:?}");
    let statement = home.path(&format!("cleared.witness/{id}.dsse.json"));
    assert!(statement.is_file() && value["head"]["entries"] == 2 && value["witness"] == id.to_string(), "{value}");
    assert_eq!(home.run(&asked).code, Some(0));
    // A server asks for it, too.
    let mut server = Server::start_as(&home, &["--run", "cleared", "--witness", "auditor.pub.pem"]);
    kill("TERM", &server.process);
    assert_eq!(wait(&mut server.process, Duration::from_secs(15)).code(), Some(0));
    fs::create_dir(home.path("statements")).unwrap();
    fs::rename(&statement, home.path(&format!("statements/{id}.dsse.json"))).unwrap();
    refused(
        &home,
        &["serve", "--run", "cleared", "--listen", "127.0.0.1:0", "--witness", "auditor.pub.pem"],
        "has not signed",
    );
    refused(&home, &asked, "has not signed");
    assert_eq!(home.run(&[&asked[..], &["--witness-folder", "statements"]].concat()).code, Some(0));
    let out = home.run(&["witness", "cleared", "--key", "auditor.pem", "--out", "elsewhere/statement.json"]);
    assert!(out.code == Some(0) && home.path("elsewhere/statement.json").is_file(), "{out:?}");
    // Nothing but its own statement is replaced, and nothing is put into the run.
    let again = home.run(&["witness", "cleared", "--key", "auditor.pem", "--out", "elsewhere/statement.json"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    fs::write(home.path("notes.json"), "{}").unwrap();
    party(&home, "other");
    for (key, out, reason) in [
        ("auditor.pem", "notes.json", "no statement of this witness"),
        ("auditor.pem", "elsewhere", "no statement of this witness"),
        ("other.pem", "elsewhere/statement.json", "no statement of this witness"),
        ("auditor.pem", "cleared/statement.json", "it lies in the run"),
        ("auditor.pem", "cleared/model.safetensors", "it lies in the run"),
    ] {
        let before = fs::read(home.path(out)).ok();
        refused(&home, &["witness", "cleared", "--key", key, "--out", out], reason);
        assert_eq!(fs::read(home.path(out)).ok(), before, "{out}");
    }
    // What is revoked is not witnessed.
    assert_eq!(home.run(&["revoke", "--run", "cleared", "--reason", "a backdoor was found"]).code, Some(0));
    refused(&home, &["witness", "cleared", "--key", "auditor.pem"], "a backdoor was found");
}
