//! The guides: their `sh` blocks are run in order, each page in a folder of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Home;

/// The blocks of a page that are written in `language`, joined.
fn blocks(page: &str, language: &str) -> String {
    let mut script = String::new();
    let mut within = false;
    for line in page.lines() {
        if let Some(opened) = line.strip_prefix("```") {
            within = opened == language;
        } else if within {
            script.push_str(line);
            script.push('\n');
        }
    }
    script
}

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(name)).unwrap()
}

fn run(name: &str) {
    let script = blocks(&page(name), "sh");
    assert!(!script.is_empty(), "{name} has no block to run");
    let home = Home::new();
    let program = Path::new(env!("CARGO_BIN_EXE_underpin"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(home.path("."))
        .env("PATH", path.unwrap())
        .env("XDG_CONFIG_HOME", home.path("config"))
        .env("UNDERPIN_STATE", home.path("state"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{name}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_guide_to_your_data_runs() {
    run("your-data.md");
}

#[test]
fn the_guide_to_policies_runs() {
    run("policy.md");
}

#[test]
fn the_guide_to_privacy_runs() {
    run("privacy.md");
}

#[test]
fn the_tutorial_runs() {
    let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !curl.is_ok_and(|status| status.success()) {
        println!("skipped: the tutorial asks the server by curl, which is not installed");
        return;
    }
    run("tutorial.md");
}

#[test]
fn the_bar_of_the_guide_to_policies_is_one() {
    #[derive(serde::Deserialize)]
    struct Bars {
        bar: Vec<underpin_core::Bar>,
    }
    let bars: Bars = toml::from_str(&blocks(&page("policy.md"), "toml")).unwrap();
    assert_eq!(bars.bar.len(), 1);
}
