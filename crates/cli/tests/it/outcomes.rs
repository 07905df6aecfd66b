//! Exit codes, JSON and messages.

use std::fs::OpenOptions;

use crate::support::{Home, PIPELINE, Ran};

#[test]
fn a_refused_run_says_so_in_every_form() {
    let home = Home::new();
    let ran = home.run(&["--json", "pipeline", "--config", "quick.toml", "--out", "run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["cleared"], false);
    assert!(result["verdicts"].as_array().unwrap().len() > 10);
    assert!(!home.path("run/clearance.dsse.json").exists() && !home.path("run/safety.json").exists());

    let verified = home.run(&["verify", "run", "--json"]);
    assert_eq!(verified.code, Some(2));
    let result: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(result["outcome"], "refused");
    let verified = home.run(&["verify", "run"]);
    assert!(verified.out.starts_with("refused under baseline (sha256:"), "{}", verified.out);
    assert!(verified.out.contains("\nattempt 1 on these data under this key\n"), "{}", verified.out);
    assert_eq!(home.run(&["verify", "run", "--quiet"]).out, "");

    // Neither served, nor given clients, nor reassessed.
    for arguments in [&["serve", "--run", "run"][..], &["client", "add", "a", "--run", "run"], &["reassess", "run"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ran.err.contains("cleared"), "{}", ran.err);
    }

    // A run that exists is not written over.
    let again = home.run(&PIPELINE);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("run exists and is not an empty folder"), "{}", again.err);

    // Another user's key is not trusted.
    let stranger = home.command(&["verify", "run"]).env("XDG_CONFIG_HOME", home.path("stranger")).output().unwrap();
    assert_eq!(stranger.status.code(), Some(1));

    // Output that cannot be written is an error, not a panic.
    if let Ok(full) = OpenOptions::new().write(true).open("/dev/full") {
        let ran = Ran::from(home.command(&["verify", "run"]).stdout(full).output().unwrap());
        assert_eq!(ran.code, Some(1));
        assert!(ran.err.starts_with("error: standard output: "), "{}", ran.err);
    } else {
        println!("skipped: there is no /dev/full");
    }
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_its_file() {
    let home = Home::new();
    let write = |name: &str, text: &str| std::fs::write(home.path(name), text).unwrap();
    write("policy.toml", "surprise = 1");
    write("unknown.toml", "surprise = 1");
    write("range.toml", "[attacks]\nkeys = 0");
    let pipeline = |more: &[&str]| home.run(&[&["pipeline", "--quiet", "--out", "run"], more].concat());
    for (arguments, expected) in [
        (
            &["--policy", "policy.toml"][..],
            "error: --policy policy.toml: policy, line 1, column 1: unknown field `surprise`",
        ),
        (&["--policy", "absent.toml"], "error: --policy absent.toml: No such file"),
        (&["--config", "unknown.toml"], "error: --config unknown.toml: configuration: "),
        (&["--config", "range.toml"], "error: --config range.toml: attacks.keys = 0 is outside [1, inf)"),
        (&["--config", "absent.toml"], "error: --config absent.toml: No such file"),
        (&["--data", "absent.csv"], "error: absent.csv"),
        (&["--data", "unknown.toml", "--shape", "8x8"], "error: --shape \"8x8\": give channels, height and width"),
    ] {
        let ran = pipeline(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ran.err.contains(expected.trim_start_matches("error: ")), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(!home.path("run").exists());
    }
    let mistyped = home.run(&["pipeline", "--surprise"]);
    assert_eq!(mistyped.code, Some(1), "2 is a refusal");
}
