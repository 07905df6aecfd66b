//! `cargo xtask dist`: the release binary, its bill of materials, checksums and archive, and the container image.

mod container;
mod elf;
mod sbom;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use underpin_core::Digest;

use crate::packages::{self, PUBLISHED};
use crate::workspace::{captured, cargo, root};

/// Options of `dist`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Leave the container image out: it compiles everything a second time.
    #[arg(long)]
    without_container: bool,
}

/// The folder, ignored by git, that receives the files.
const FOLDER: &str = "dist";
/// The file name of the program.
const PROGRAM: &str = "underpin";
/// The file name of the bill of materials.
const SBOM: &str = "underpin.cdx.json";

/// Builds the release binary into `dist/` with its SBOM, archive and SHA-256 file, then builds and tests the container image.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = target::choose()?;
    eprintln!("── binary for {} ({})", chosen.triple, chosen.reason);
    let epoch = epoch()?;
    let built = build(&chosen, epoch)?;
    let folder = root().join(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let program = folder.join(PROGRAM);
    std::fs::copy(&built, &program).with_context(|| program.display().to_string())?;
    let bytes = std::fs::read(&program).with_context(|| program.display().to_string())?;
    eprintln!("   {} bytes, {}", bytes.len(), elf::linkage(&bytes, chosen.is_static)?);
    // A program that does not start is no release.
    let version = captured(Command::new(&program).arg("--version").env_clear())?;

    eprintln!("── bill of materials");
    let bill = sbom::Bill {
        graph: packages::graph("underpin-cli", &chosen.triple)?,
        details: packages::details(&chosen.triple)?,
        lock: packages::lock()?,
        workspace: package_digests()?,
        program: Digest::of(&bytes),
        target: chosen.triple.clone(),
        version: version.trim().replace('\n', ", "),
        compiler: captured(Command::new("rustc").arg("--version").current_dir(root()))?.trim().to_owned(),
        timestamp: captured(Command::new("date").args(["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]))?
            .trim()
            .to_owned(),
    };
    let document = sbom::document(&bill)?;
    std::fs::write(folder.join(SBOM), format!("{document:#}\n")).context(SBOM)?;
    eprintln!("   {} components", document["components"].as_array().map_or(0, Vec::len));

    let archive = archive(&folder, &chosen.triple, epoch)?;
    let names = [PROGRAM, SBOM, &archive];
    let sums =
        names.iter().map(|name| Ok(format!("{}  {name}\n", hex(&folder.join(name))?))).collect::<Result<String>>()?;
    std::fs::write(folder.join("underpin.sha256"), sums).context("underpin.sha256")?;
    eprintln!("   {FOLDER}/: {}, underpin.sha256", names.join(", "));

    if arguments.without_container {
        eprintln!("── container: left out, as asked");
    } else {
        container::build_and_test()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The time that a reproducible build stands for: `SOURCE_DATE_EPOCH`, else that of the commit.
fn epoch() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => captured(Command::new("git").args(["show", "-s", "--format=%ct", "HEAD"]).current_dir(root()))
            .context("no git commit to take the time from: set SOURCE_DATE_EPOCH to seconds since 1970")?,
    };
    text.trim().parse().with_context(|| format!("SOURCE_DATE_EPOCH {text:?} is no number of seconds since 1970"))
}

/// Compiles the program with paths of this machine replaced, so that the same commit gives the same bytes elsewhere.
fn build(chosen: &target::Target, epoch: u64) -> Result<PathBuf> {
    let registry = packages::cargo_home()?;
    let map = |from: &Path, to: &str| format!("{}={to}", from.display());
    let (sources, dependencies) = (map(root(), "/underpin"), map(&registry, "/cargo"));
    let mut flags: Vec<String> = chosen.flags.iter().map(ToString::to_string).collect();
    flags.extend([format!("--remap-path-prefix={sources}"), format!("--remap-path-prefix={dependencies}")]);
    let triple = &chosen.triple;
    let mut command = cargo(&["build", "--profile", "dist", "--locked", "--package", "underpin-cli", "--bin", PROGRAM]);
    command
        .args(["--target", triple])
        // Separated by the unit separator, so that a folder's name may hold spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env(format!("CFLAGS_{}", triple.replace('-', "_")), format!("-ffile-prefix-map={dependencies}"))
        .env("CARGO_INCREMENTAL", "0")
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    let status = command.status().context("cargo build")?;
    ensure!(status.success(), "the release build failed ({status})");
    Ok(packages::target_folder()?.join(triple).join("dist").join(PROGRAM))
}

/// The SHA-256 of what crates.io would receive of each package of the workspace, by name.
fn package_digests() -> Result<BTreeMap<String, String>> {
    packages::package()?;
    let folder = packages::target_folder()?.join("package");
    let digest = |name: &&str| {
        let file = format!("{name}-{}.crate", env!("CARGO_PKG_VERSION"));
        Ok(((*name).to_owned(), hex(&folder.join(file))?))
    };
    PUBLISHED.iter().map(digest).collect()
}

/// The SHA-256 of a file, in hexadecimal.
fn hex(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Digest::of(&bytes).to_string())
}

/// The program with its SBOM, licences and README in one file, the same bytes for the same content.
fn archive(folder: &Path, triple: &str, epoch: u64) -> Result<String> {
    let name = format!("{PROGRAM}-{}-{triple}.tar.gz", env!("CARGO_PKG_VERSION"));
    captured(
        Command::new("tar")
            .args([
                "--sort=name",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "--format=ustar",
                "--mode=u+rw,go+r,go-w",
            ])
            .arg(format!("--mtime=@{epoch}"))
            .args(["--use-compress-program", "gzip -9n", "--create", "--file"])
            .arg(folder.join(&name))
            .arg("--directory")
            .arg(folder)
            .args([PROGRAM, SBOM, "--directory"])
            .arg(root())
            .args(["LICENSE-APACHE", "LICENSE-MIT", "README.md"]),
    )?;
    Ok(name)
}
