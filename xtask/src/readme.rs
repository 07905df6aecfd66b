//! What is written from code and from runs: JSON schemas and the README's table of results.

mod accountants;
mod command_line;
mod configuration;
mod grid;
mod recipes;
mod speed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use underpin::{report, summary};
use underpin_core::{Evidence, Policy};

use crate::workspace::root;

/// Options of `readme`.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Arguments {
    /// A cleared run of the digits, whose results the README shall show; without it the schemas and the reference pages are written.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Time the accountants over the vectors and write the table of the privacy crate's README.
    #[arg(long)]
    privacy: bool,
    /// Ask the accountant every question of the grid of hard points and write gaps and times: a table in the privacy crate's
    /// README, and every point in docs.
    #[arg(long)]
    grid: bool,
    /// Write the table of training times from what `cargo bench --bench training` measured.
    #[arg(long)]
    speed: bool,
    /// Write the table of the recipes from the results kept in docs/recipes.
    #[arg(long)]
    recipes: bool,
}

/// Where the results that the README shows are kept, so that the table can be checked against them.
const RESULTS: &str = "docs/digits.results.json";
const BEGIN: &str = "<!-- results: written by `cargo xtask readme --run DIR` -->";
const END: &str = "<!-- end of results -->";

/// Writes the schemas and the reference pages and, from a run, the README's table.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    for (path, text) in pages()? {
        write(&root().join(path), &text)?;
    }
    if let Some(folder) = &arguments.run {
        let run = underpin::seal::inspect(folder, &underpin_cli::trusted_keys(&[])?)?;
        let results = serde_json::json!({
            "policy": run.policy(),
            "evidence": run.evidence(),
            "safety": serde_json::from_slice::<serde_json::Value>(&run.file(underpin::seal::files::SAFETY, underpin::seal::files::DOCUMENT_LIMIT).context("the run is not cleared")?)?,
        });
        write(&root().join(RESULTS), &format!("{results:#}\n"))?;
        let path = root().join("README.md");
        let readme = std::fs::read_to_string(&path)?;
        write(&path, &between(&readme, [BEGIN, END], &table()?)?)?;
    }
    if arguments.privacy {
        let path = root().join(accountants::README);
        let readme = std::fs::read_to_string(&path)?;
        write(&path, &between(&readme, [accountants::BEGIN, accountants::END], &accountants::table()?)?)?;
    }
    if arguments.grid {
        let path = root().join(accountants::README);
        let readme = std::fs::read_to_string(&path)?;
        let (points, table) = grid::grid()?;
        write(&path, &between(&readme, [grid::BEGIN, grid::END], &table)?)?;
        write(&root().join(grid::POINTS), &points)?;
    }
    if arguments.speed {
        let path = root().join(speed::README);
        let readme = std::fs::read_to_string(&path)?;
        write(&path, &between(&readme, [speed::BEGIN, speed::END], &speed::table()?)?)?;
    }
    if arguments.recipes {
        let path = root().join(recipes::README);
        let readme = std::fs::read_to_string(&path)?;
        write(&path, &between(&readme, [recipes::BEGIN, END], &recipes::table()?)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// What is written from code alone, by path.
fn pages() -> Result<Vec<(&'static str, String)>> {
    let text = |schema| Ok::<_, anyhow::Error>(format!("{}\n", serde_json::to_string_pretty(&schema)?));
    Ok(vec![
        (command_line::PAGE, command_line::page()),
        (configuration::PAGE, configuration::page()?),
        ("schema/evidence.schema.json", text(schemars::schema_for!(Evidence))?),
        ("schema/policy.schema.json", text(schemars::schema_for!(Policy))?),
    ])
}

/// The table of the kept results, in Markdown.
fn table() -> Result<String> {
    let path = root().join(RESULTS);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let policy: Policy = serde_json::from_value(value["policy"].clone())?;
    let evidence: Evidence = serde_json::from_value(value["evidence"].clone())?;
    let verdicts = policy.judge(evidence.policy, &evidence);
    let data = summary::DataSummary::default();
    let report = report::Report {
        evidence: &evidence,
        policy: &policy,
        verdicts: &verdicts,
        outcome: report::GateResult::Refused,
        data: &data,
        reconstructions: &[],
    };
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<String> = report::HEADINGS.iter().map(ToString::to_string).collect();
    let mut table = line(&headings) + &line(&vec!["---".to_owned(); headings.len()]);
    for row in report::table(&report).iter().filter(|row| row.bar.is_some()) {
        table += &line(&row.cells().map(|cell| cell.replace('|', "\\|")));
    }
    Ok(table)
}

/// `readme` with what stands between the two marks replaced by `table`.
fn between(readme: &str, [begin, end]: [&str; 2], table: &str) -> Result<String> {
    let (before, rest) = readme.split_once(begin).with_context(|| format!("README.md has no line {begin}"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("README.md has no line {end}"))?;
    Ok(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

/// What differs from what would be written now.
pub(crate) fn differences() -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (path, text) in pages()? {
        if std::fs::read_to_string(root().join(path)).ok().as_deref() != Some(text.as_str()) {
            faults.push(format!("{path} is not what the code says: run `cargo xtask readme`"));
        }
    }
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    ensure!(readme.contains(BEGIN), "README.md has no line {BEGIN}");
    if between(&readme, [BEGIN, END], &table()?)? != readme {
        faults
            .push(format!("README.md's table of results is not that of {RESULTS}: run `cargo xtask readme --run DIR`"));
    }
    // Timings differ from machine to machine: only that there is a place for them.
    let privacy = std::fs::read_to_string(root().join(accountants::README))?;
    if between(&privacy, [accountants::BEGIN, accountants::END], "").is_err() {
        faults.push(format!("{} has no place for the accountants' speed: {}", accountants::README, accountants::BEGIN));
    }
    let readme = std::fs::read_to_string(root().join(recipes::README))?;
    if between(&readme, [recipes::BEGIN, END], &recipes::table()?)? != readme {
        let path = recipes::README;
        faults.push(format!("{path}: not the table of the kept results: run `cargo xtask readme --recipes`"));
    }
    Ok(faults)
}
