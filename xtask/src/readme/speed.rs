//! The table of training times, from what `cargo bench --bench training` left behind.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::root;

pub(super) const README: &str = "crates/train/README.md";
pub(super) const BEGIN: &str = "<!-- speed: written by `cargo xtask readme --speed` -->";
pub(super) const END: &str = "<!-- end of speed -->";

/// What criterion calls each network, and what the table calls it.
const NETWORKS: [(&str, &str); 4] = [
    ("cnn", "CNN of the Opacus MNIST example, 26,010 parameters, batch 256"),
    ("mlp", "MLP 784-256-128-10, batch 256"),
    ("mlp of 10 million", "MLP 784-2816-2816-10, 10.2 million parameters, batch 256"),
    ("transformer", "transformer, 4 layers, width 256, length 128, batch 8"),
];

/// The table, in Markdown, with the machine it was measured on.
pub(super) fn table() -> Result<String> {
    let mut text = format!("Medians in milliseconds, all in one run, on {}.\n\n", machine());
    text += "| step | burn's layers | plain | clipped | private | plain ÷ burn | clipped ÷ plain | private ÷ plain |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    for (group, name) in NETWORKS {
        let of = |way| Ok::<_, anyhow::Error>(median(group, way)? / 1e6);
        let [burn, plain, clipped, private] = [of("burn")?, of("plain")?, of("clipped")?, of("private")?];
        let ratios = [plain / burn, clipped / plain, private / plain].map(|ratio| format!("{ratio:.2}")).join(" | ");
        writeln!(text, "| {name} | {burn:.1} | {plain:.1} | {clipped:.1} | {private:.1} | {ratios} |")?;
    }
    let (cnn, mlp) = (median("noise", "cnn")?, median("noise", "mlp")?);
    let fraction = |noise: f64, group| Ok::<_, anyhow::Error>(100.0 * noise / median(group, "private")?);
    writeln!(
        text,
        "\nDrawing the batch from 60,000 rows and the noise take {:.2} ms ({:.0} %) of the CNN's private step and {:.2} ms \
         ({:.0} %) of the MLP's. At its peak a private step of the CNN holds {:.2} times the memory of a plain one.",
        cnn / 1e6,
        fraction(cnn, "cnn")?,
        mlp / 1e6,
        fraction(mlp, "mlp")?,
        median("memory", "private")? / median("memory", "plain")?,
    )?;
    Ok(text)
}

/// Median of one measurement, in criterion's unit: nanoseconds, or bytes.
fn median(group: &str, way: &str) -> Result<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("criterion").join(group).join(way).join("new/estimates.json");
    let hint = || format!("{}: run `cargo bench --bench training` first", path.display());
    let estimates: Value = serde_json::from_str(&std::fs::read_to_string(&path).with_context(hint)?)?;
    estimates["median"]["point_estimate"].as_f64().with_context(|| format!("{} has no median", path.display()))
}

/// Processor and number of cores, as far as the system reports them.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{cores} cores of {}", model.map_or("an unnamed processor", |(_, model)| model))
}
