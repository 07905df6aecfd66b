//! Runs every example.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/attack_a_model.rs"]
mod attack_a_model;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/calibrate_noise.rs"]
mod calibrate_noise;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/guard_a_predictor.rs"]
mod guard_a_predictor;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/judge_evidence.rs"]
mod judge_evidence;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/run_pipeline.rs"]
mod run_pipeline;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/sanitize_csv.rs"]
mod sanitize_csv;
#[allow(dead_code, reason = "it is a program, too")]
#[path = "../examples/train_privately.rs"]
mod train_privately;

const NAMES: [&str; 7] = [
    "attack_a_model",
    "calibrate_noise",
    "guard_a_predictor",
    "judge_evidence",
    "run_pipeline",
    "sanitize_csv",
    "train_privately",
];

#[test]
fn the_example_attack_a_model_runs() {
    attack_a_model::main().unwrap();
}

#[test]
fn the_example_calibrate_noise_runs() {
    calibrate_noise::main().unwrap();
}

#[test]
fn the_example_guard_a_predictor_runs() {
    guard_a_predictor::main().unwrap();
}

#[test]
fn the_example_judge_evidence_runs() {
    judge_evidence::main().unwrap();
}

#[test]
fn the_example_run_pipeline_runs() {
    run_pipeline::main().unwrap();
}

#[test]
fn the_example_sanitize_csv_runs() {
    sanitize_csv::main().unwrap();
}

#[test]
fn the_example_train_privately_runs() {
    train_privately::main().unwrap();
}

#[test]
fn every_example_is_listed_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()
    };
    let mut found: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    found.sort();
    assert_eq!(found, NAMES);
}
