//! The table of the privacy crate's README: how long the accountants take.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Adjacency, Event, Target};

use crate::workspace::root;

pub(super) const README: &str = "crates/privacy/README.md";
pub(super) const BEGIN: &str = "<!-- speed: written by `cargo xtask readme --privacy` -->";
pub(super) const END: &str = "<!-- end of speed -->";
const VECTORS: &str = "crates/privacy/tests/vectors";
/// Runs of each question, of which the median counts.
const RUNS: usize = 9;

/// Median and worst.
struct Times {
    median: f64,
    worst: f64,
}

impl Times {
    fn of(mut milliseconds: Vec<f64>) -> Result<Self> {
        milliseconds.sort_by(f64::total_cmp);
        let worst = *milliseconds.last().context("no vectors")?;
        Ok(Self { median: milliseconds[milliseconds.len() / 2], worst })
    }

    fn row(&self, name: &str) -> String {
        format!("| {name} | {} | {} |\n", readable(self.median), readable(self.worst))
    }
}

fn readable(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

/// Milliseconds of the median run.
fn timed<T>(mut ask: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut found = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        black_box(ask()?);
        found.push(1e3 * started.elapsed().as_secs_f64());
    }
    found.sort_by(f64::total_cmp);
    Ok(found[RUNS / 2])
}

fn event(sampling_rate: f64, noise_multiplier: f64, steps: f64) -> Event {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the vectors hold whole numbers")]
    let steps = steps as u64;
    Event::SubsampledGaussian { sampling_rate, noise_multiplier }.repeated(steps)
}

/// Every subsampled Gaussian of the vectors under a relation, to a gap.
fn epsilons(adjacency: Adjacency, gap: f64) -> Result<Times> {
    let path = root().join(VECTORS).join("subsampled_gaussian.csv");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut times = Vec::new();
    for line in text.lines().skip(1) {
        let numbers = line.split(',').take(4).map(str::parse).collect::<Result<Vec<f64>, _>>();
        let numbers = numbers.with_context(|| line.to_owned())?;
        let [rate, noise, steps, delta] = numbers[..] else { anyhow::bail!("{line}: fewer than four numbers") };
        let (event, delta) = (event(rate, noise, steps), Delta::new(delta)?);
        let bounds = event.epsilon_within(delta, adjacency, gap)?;
        ensure!(bounds.gap() <= gap, "{line}: the bounds {bounds:?} are wider than {gap}");
        times.push(timed(|| Ok(event.epsilon_within(delta, adjacency, gap)?))?);
    }
    Times::of(times)
}

/// Every calibration of the vectors: ours, and dp-accounting's as published with them.
fn calibrations() -> Result<[Times; 2]> {
    let path = root().join(VECTORS).join("calibration.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: serde_json::Value = serde_json::from_str(&text)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for case in file["cases"].as_array().context("no cases")? {
        let number = |name: &str| case[name].as_f64().with_context(|| format!("{name} of {case}"));
        let (rate, steps) = (number("q")?, number("steps")?);
        let target = Target {
            epsilon: Epsilon::new(number("target_eps")?)?,
            delta: Delta::new(number("delta")?)?,
            adjacency: Adjacency::AddOrRemove,
        };
        ours.push(timed(|| Ok(target.noise_multiplier(|noise| event(rate, noise, steps))?))?);
        theirs.push(number("ms_pld")?);
    }
    Ok([Times::of(ours)?, Times::of(theirs)?])
}

/// The table, in Markdown: measured now, beside what the peers took when the vectors were made.
pub(super) fn table() -> Result<String> {
    let mut table = String::from("| | median | worst |\n|---|---|---|\n");
    for (adjacency, name) in [(Adjacency::AddOrRemove, "add-or-remove-one"), (Adjacency::Replace, "replace-one")] {
        for (gap, percent) in [(0.01, "1 %"), (0.001, "0.1 %")] {
            table += &epsilons(adjacency, gap)?.row(&format!("ε within {percent}, {name}"));
        }
    }
    table += "| dp-accounting 0.6 PLD, ε | 349 ms | 4.1 s |\n| prv-accountant 0.2, ε | 460 ms | |\n";
    let [ours, theirs] = calibrations()?;
    table += &ours.row("calibration of the noise");
    table += &theirs.row("dp-accounting 0.6 PLD, calibration");
    Ok(table)
}
