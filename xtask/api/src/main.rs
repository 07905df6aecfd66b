//! Lists the public items of a crate from rustdoc's JSON: `underpin-api FILE.json`. Apart from `xtask`, so that only who
//! asks for the list compiles its reader.
//!
//! With `UNDERPIN_RUSTDOC` set it is rustdoc instead: it runs the program of that name with the same arguments and with
//! unstable options allowed, which JSON still needs. Cargo is given it as `RUSTDOC`: allowing them for all of cargo would
//! change what build scripts see, and so compile every dependency again.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use public_api::Builder;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(rustdoc) = std::env::var_os("UNDERPIN_RUSTDOC") {
        let status = Command::new(&rustdoc).args(&arguments).env("RUSTC_BOOTSTRAP", "1").status().context("rustdoc")?;
        return Ok(ExitCode::from(u8::from(!status.success())));
    }
    ensure!(arguments.len() == 1, "give one file of rustdoc's JSON");
    let path = std::path::Path::new(&arguments[0]);
    let reader = Builder::from_rustdoc_json(path).omit_blanket_impls(true).omit_auto_trait_impls(true);
    let api = reader.omit_auto_derived_impls(false).build().with_context(|| path.display().to_string())?;
    for item in api.items().map(ToString::to_string).filter(|item| !is_implied(item)) {
        println!("{item}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a line says nothing beside the line of the trait's implementation above it: methods as `derive` writes them.
fn is_implied(item: &str) -> bool {
    let methods =
        ["::clone(&self)", "::eq(&self, ", "::fmt(&self, ", "::hash<__H", "::serialize<__S>(", "::deserialize<__D>("];
    item.contains("core::marker::StructuralPartialEq")
        || item.starts_with("pub fn ") && methods.iter().any(|method| item.contains(method))
}
