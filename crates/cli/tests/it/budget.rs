//! `--budget`: runs on the same data add up.

use crate::support::Home;

/// A quick run that trains privately.
const PRIVATE: &str = "[privacy]\nepsilon = 8.0\n";

#[test]
fn a_run_that_does_not_fit_in_the_budget_is_refused_before_it_trains() {
    let home = Home::new();
    let quick = std::fs::read_to_string(home.path("quick.toml")).unwrap().replace("privacy = false\n", "");
    std::fs::write(home.path("private.toml"), quick + PRIVATE).unwrap();
    let run = |out: &str, seed: &str| {
        let line =
            ["pipeline", "--quiet", "--config", "private.toml", "--budget", "digits.budget", "--seed", seed, "--out"];
        home.run(&[&line[..], &[out]].concat())
    };
    // More than a new file would hold: refused, and no file is made.
    let small =
        "pipeline --quiet --config private.toml --budget small --budget-epsilon 1 --budget-delta 0.01 --out small-run";
    let refused = home.run(&small.split(' ').collect::<Vec<_>>());
    assert!(refused.code == Some(1) && refused.err.contains("whole"), "{refused:?}");
    assert!(!home.path("small").exists() && !home.path("small-run").exists());
    let first = run("one", "1");
    assert_eq!(first.code, Some(2), "weak attacks are refused: {first:?}");
    let second = run("two", "2");
    assert_eq!(second.code, Some(1), "{second:?}");
    for named in ["digits.budget", "epsilon = 8", "left", "whole"] {
        assert!(second.err.contains(named), "{named}: {}", second.err);
    }
    assert!(!home.path("two").exists());
    // Other data, the same file.
    let other = home.run(&["train", "--recipe", "adult-eps1", "--data", ".", "--budget", "digits.budget"]);
    assert_eq!(other.code, Some(1), "{other:?}");
}

#[test]
fn a_reader_who_has_gone_is_no_panic() {
    let home = Home::new();
    let account = "account --delta 1e-6 --sampling-rate 0.01 --noise-multiplier 1 --steps 10";
    for global in ["", "--json "] {
        let line = format!("\"$0\" {global}{account} | true; exit ${{PIPESTATUS[0]}}");
        let output = std::process::Command::new("bash")
            .args(["-c", &line, env!("CARGO_BIN_EXE_underpin")])
            .current_dir(home.path("."))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !err.contains("panicked"), "{}: {err}", output.status);
    }
}
