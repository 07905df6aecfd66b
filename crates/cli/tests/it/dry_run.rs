//! `pipeline --dry-run`: what a run would do, with nothing written.

use std::fmt::Write as _;

use crate::revoke::cleared;
use crate::support::{Home, names};

/// 400 rows of two classes that lie apart, and after each `bad` of them, if any, a line that is no row.
fn rows(home: &Home, bad: usize) {
    let mut text = String::from("width,height,colour,label\n");
    for at in 0..400 {
        let (x, y) = ((at * 37 % 101) as f64 / 100.0, (at * 53 % 97) as f64 / 96.0);
        let (x, label) = if at % 2 == 0 { (x, "yes") } else { (x + 3.0, "no") };
        let colour = if at % 3 == 0 { "red" } else { "blue" };
        writeln!(text, "{x},{y},{colour},{label}").unwrap();
        if bad > 0 && at % bad == 0 {
            text += "oops\n";
        }
    }
    std::fs::write(home.path("rows.csv"), text).unwrap();
}

#[test]
fn a_dry_run_shows_its_plan_and_writes_nothing() {
    let home = Home::new();
    rows(&home, 0);
    let before = names(&home.path("."));
    let line = ["pipeline", "--data", "rows.csv", "--dry-run"];
    let table = home.run(&line);
    assert_eq!((table.code, table.err.as_str()), (Some(0), ""), "{table:?}");
    for expected in ["width", "number", "colour", "category", "blue, red", "label", "epsilon 8", "nothing was written"]
    {
        assert!(table.out.contains(expected), "{expected}: {}", table.out);
    }
    let json = home.run(&[&["--json"], &line[..]].concat());
    let plan: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&plan["label"], &plan["rows"]), (&"label".into(), &400.into()));
    assert_eq!(plan["classes"], serde_json::json!(["no", "yes"]));
    assert_eq!((&plan["columns"][0]["name"], &plan["columns"][0]["kind"]), (&"width".into(), &"number".into()));
    assert_eq!((&plan["columns"][2]["name"], &plan["columns"][2]["kind"]), (&"colour".into(), &"category".into()));
    assert!(
        plan["rejected"].is_object() && plan["plan"]["attacks"]["keys"] == 2 && plan["stops"].is_null(),
        "{plan:#}"
    );
    assert_eq!(names(&home.path(".")), before, "no key, no folder");
}

#[test]
fn a_dry_run_shows_rows_beyond_the_limit_and_says_that_the_run_would_stop() {
    let home = Home::new();
    rows(&home, 3);
    let json = home.run(&["--json", "pipeline", "--data", "rows.csv", "--dry-run"]);
    let plan: serde_json::Value = serde_json::from_str(&json.out).unwrap_or_else(|_| panic!("{json:?}"));
    assert_eq!(json.code, Some(0), "{json:?}");
    assert_eq!(plan["rejected"]["malformed"], 134, "{plan:#}");
    assert!(plan["stops"].as_str().unwrap_or_default().contains("rejected"), "{plan:#}");
    // The run itself does stop, for that reason.
    let run = home.run(&["pipeline", "--data", "rows.csv", "--out", "run"]);
    assert!(run.code == Some(1) && run.err.contains("rejected") && !home.path("run").exists(), "{run:?}");
}

#[test]
fn a_dry_run_refuses_what_the_run_would_before_it_begins() {
    let home = Home::new();
    std::fs::create_dir(home.path("taken")).unwrap();
    std::fs::write(home.path("taken/file"), "x").unwrap();
    for (more, fault) in [
        (&["--out", "taken"][..], "taken"),
        (&["--key", "nope.pem"], "nope.pem"),
        (&["--undefended", "--budget", "b"], "does not train privately"),
        (&["--resume", "state"], "--out"),
        (&["--resume", "x/state", "--out", "x"], "neither lies in the other"),
        (&["--data", "."], "--data . is not a regular file"),
        (&["--budget-epsilon", "3"], "--budget"),
        (&["--device", "cuda"], "flex"),
    ] {
        let ran = home.run(&[&["pipeline", "--dry-run"], more].concat());
        assert!(ran.code == Some(1) && ran.err.contains(fault), "{more:?}: {ran:?}");
    }
}

/// A FIFO that nobody writes to would be read from without end.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let home = Home::new();
    cleared(&home);
    let made = std::process::Command::new("mkfifo").args([home.path("fifo"), home.path("fifo.toml")]).status().unwrap();
    assert!(made.success());
    for command in [
        &["pipeline", "--dry-run", "--data", "fifo"][..],
        &["pipeline", "--dry-run", "--config", "fifo"],
        &["pipeline", "--dry-run", "--policy", "fifo"],
        &["verify", "cleared", "--trust", "fifo"],
        &["revoke", "--run", "cleared", "--reason", "r", "--key", "fifo"],
        &["train", "--recipe", "fifo.toml"],
    ] {
        let mut child = home
            .command(command)
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let status = crate::support::wait(&mut child, std::time::Duration::from_mins(1));
        assert_eq!(status.code(), Some(1), "{command:?}");
    }
}
