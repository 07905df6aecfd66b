//! For which target the release binary is built: static where this machine can link one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{captured, root};

/// A target and how to build for it.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name for `--target`.
    pub(crate) triple: String,
    /// Compiler flags beside the usual ones.
    pub(crate) flags: &'static [&'static str],
    /// Whether the binary must need no shared library.
    pub(crate) is_static: bool,
    /// Why this one, for people.
    pub(crate) reason: String,
}

/// Links the C library into the program.
const STATIC: &[&str] = &["-C", "target-feature=+crt-static"];

/// musl if its standard library and C compiler are installed, else static glibc, else dynamic glibc.
///
/// # Errors
///
/// On systems other than Linux, or when not even a dynamic program links.
pub(crate) fn choose() -> Result<Target> {
    if !cfg!(target_os = "linux") {
        bail!("`dist` builds for Linux; this is {}", std::env::consts::OS);
    }
    let architecture = std::env::consts::ARCH;
    let musl = format!("{architecture}-unknown-linux-musl");
    let gnu = format!("{architecture}-unknown-linux-gnu");
    let Some(no_musl) = musl_fault(&musl)? else {
        let reason = "static, musl".to_owned();
        return Ok(Target { triple: musl, flags: &[], is_static: true, reason });
    };
    let Some(fault) = link_fault(&gnu, STATIC)? else {
        let reason = format!("static, glibc; not musl: {no_musl}");
        return Ok(Target { triple: gnu, flags: STATIC, is_static: true, reason });
    };
    if let Some(fault) = link_fault(&gnu, &[])? {
        bail!("no program links for {gnu}: {fault}");
    }
    let reason = format!("dynamic; not musl: {no_musl}; not static glibc: {fault}");
    Ok(Target { triple: gnu, flags: &[], is_static: false, reason })
}

fn musl_fault(triple: &str) -> Result<Option<String>> {
    let folder =
        captured(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]).current_dir(root()))?;
    if !Path::new(folder.trim()).is_dir() {
        return Ok(Some(format!("the target {triple} is not installed")));
    }
    // Dependencies written in C are compiled, too.
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        return Ok(Some("there is no musl-gcc".to_owned()));
    }
    link_fault(triple, &[])
}

/// What goes wrong when an empty program is linked; `None` when nothing does.
fn link_fault(triple: &str, flags: &[&str]) -> Result<Option<String>> {
    let folder = std::env::temp_dir().join(format!("underpin-dist-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    std::fs::write(folder.join("empty.rs"), "fn main() {}\n")?;
    let mut rustc = Command::new("rustc");
    // In the workspace, so that its toolchain is the one that is tried.
    rustc.args(["--target", triple]).args(flags).arg(folder.join("empty.rs")).arg("-o").arg(folder.join("empty"));
    let output = rustc.current_dir(root()).output().context("rustc");
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| text.lines().next().unwrap_or("rustc failed").to_owned()))
}
