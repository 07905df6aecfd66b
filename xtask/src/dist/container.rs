//! The container image: built from the Containerfile and tried, where a builder is present.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::workspace::{captured, root};

const IMAGE: &str = "underpin:dist";
const CONTAINER: &str = "underpin-dist-test";
/// What the Containerfile's health check asks.
const READY: &str = "http://127.0.0.1:8080/v2/health/ready";
/// A whole run comes before the first answer.
const PATIENCE: Duration = Duration::from_mins(20);

/// Builds the image, asks its program for its version, and waits for a healthy server in it.
///
/// Prints why where there is no builder.
///
/// # Errors
///
/// When the build fails or the image does not do what it has to.
pub(crate) fn build_and_test() -> Result<()> {
    eprintln!("── container");
    let program = match builder() {
        Ok(program) => program,
        Err(reasons) => {
            eprintln!("   not built: {}", reasons.join("; "));
            return Ok(());
        }
    };
    let mut build = Command::new(program);
    build.args(["build", "--file", "Containerfile", "--tag", IMAGE]).current_dir(root());
    if program == "podman" {
        // Its own format has no health check.
        build.args(["--format", "docker"]);
    }
    let status = build.arg(".").status().context(program)?;
    ensure!(status.success(), "{program} could not build the Containerfile ({status})");
    let version = captured(Command::new(program).args(["run", "--rm", IMAGE, "--version"]))?;
    ensure!(version.starts_with("underpin "), "the image's program says {version:?} of its version");
    let user = captured(Command::new(program).args(["run", "--rm", "--entrypoint", "id", IMAGE, "-u"]))?;
    ensure!(user.trim() != "0", "the image runs as root");

    let script = "underpin --quiet pipeline --out /tmp/run && exec underpin serve --run /tmp/run --listen 0.0.0.0:8080";
    captured(Command::new(program).args([
        "run",
        "--detach",
        "--name",
        CONTAINER,
        "--entrypoint",
        "sh",
        IMAGE,
        "-c",
        script,
    ]))?;
    let tried = healthy(program);
    let log = captured(Command::new(program).args(["logs", CONTAINER])).unwrap_or_default();
    captured(Command::new(program).args(["rm", "--force", CONTAINER]))?;
    tried.with_context(|| format!("the server in the container; it printed: {log}"))
}

/// The first of podman and docker that can build here; else why each cannot.
fn builder() -> Result<&'static str, Vec<String>> {
    let mut reasons = Vec::new();
    for program in ["podman", "docker"] {
        // Asks docker's daemon, too.
        match Command::new(program).args(["info"]).output() {
            Err(_) => reasons.push(format!("{program} is not installed")),
            Ok(output) if !output.status.success() => {
                let text = String::from_utf8_lossy(&output.stderr);
                reasons.push(format!("{program} info: {}", text.lines().last().unwrap_or("failed")));
            }
            Ok(_) => return Ok(program),
        }
    }
    Err(reasons)
}

/// Waits until the server answers its health check, then ends it and looks at its exit code.
fn healthy(program: &str) -> Result<()> {
    let begun = Instant::now();
    let ask = || captured(Command::new(program).args(["exec", CONTAINER, "curl", "-sf", READY]));
    while let Err(error) = ask() {
        let running = captured(Command::new(program).args(["inspect", "--format", "{{.State.Running}}", CONTAINER]))?;
        ensure!(running.trim() == "true", "it has ended");
        if begun.elapsed() > PATIENCE {
            return Err(error.context("not healthy in 20 minutes"));
        }
        sleep(Duration::from_secs(2));
    }
    captured(Command::new(program).args(["stop", "--time", "15", CONTAINER]))?;
    let code = captured(Command::new(program).args(["inspect", "--format", "{{.State.ExitCode}}", CONTAINER]))?;
    ensure!(code.trim() == "0", "an orderly stop ended with {}", code.trim());
    Ok(())
}
