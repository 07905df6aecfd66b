//! The grid of hard questions to the accountant: gap and time of every point, and the table of the privacy crate's README.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use underpin_core::Delta;
use underpin_privacy::{Adjacency, Bounds, Event};

pub(super) const BEGIN: &str = "<!-- grid: written by `cargo xtask readme --grid` -->";
pub(super) const END: &str = "<!-- end of grid -->";
/// Every point, as tab-separated values.
pub(super) const POINTS: &str = "docs/accountant-grid.tsv";

const RATES: [f64; 8] = [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.5, 1.0];
const NOISES: [f64; 7] = [0.05, 0.2, 0.4, 0.5, 1.0, 5.0, 20.0];
const STEPS: [u64; 6] = [1, 2, 100, 10_000, 1_000_000, 10_000_000];
const DELTAS: [f64; 3] = [1e-3, 1e-6, 1e-12];

struct Point {
    rate: f64,
    bounds: Bounds,
    milliseconds: f64,
}

/// Asks every question; the points as a file, and the table.
pub(super) fn grid() -> Result<(String, String)> {
    let mut file = String::from("neighbours\tsampling_rate\tnoise_multiplier\tsteps\tdelta\tlower\tupper\tgap\tms\n");
    let mut table = String::from(
        "| sampling rate | neighbours | points | within 1 % | within 3 % | widest gap | median time | worst time |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (adjacency, name) in [(Adjacency::AddOrRemove, "add-or-remove-one"), (Adjacency::Replace, "replace-one")] {
        let mut points = Vec::new();
        for sampling_rate in RATES {
            for noise_multiplier in NOISES {
                for (steps, delta) in STEPS.iter().flat_map(|steps| DELTAS.map(|delta| (*steps, delta))) {
                    let event = Event::SubsampledGaussian { sampling_rate, noise_multiplier }.repeated(steps);
                    let started = Instant::now();
                    let bounds = event.epsilon(Delta::new(delta)?, adjacency)?;
                    let milliseconds = 1e3 * started.elapsed().as_secs_f64();
                    writeln!(
                        file,
                        "{name}\t{sampling_rate:e}\t{noise_multiplier}\t{steps}\t{delta:e}\t{:.5e}\t{:.5e}\t{:.5}\t{milliseconds:.2}",
                        bounds.lower,
                        bounds.upper,
                        bounds.gap()
                    )?;
                    points.push(Point { rate: sampling_rate, bounds, milliseconds });
                }
            }
        }
        for rate in RATES {
            let own: Vec<&Point> = points.iter().filter(|point| point.rate.to_bits() == rate.to_bits()).collect();
            table += &row(&format!("{rate:e}"), name, &own);
        }
        table += &row("all", name, &points.iter().collect::<Vec<_>>());
    }
    Ok((file, table))
}

fn row(rate: &str, name: &str, points: &[&Point]) -> String {
    let within = |gap: f64| points.iter().filter(|point| point.bounds.gap() <= gap).count();
    let widest = points.iter().map(|point| point.bounds.gap()).fold(0.0, f64::max);
    let mut times: Vec<f64> = points.iter().map(|point| point.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    format!(
        "| {rate} | {name} | {} | {} | {} | {:.1} % | {median:.2} ms | {worst:.0} ms |\n",
        points.len(),
        within(0.01),
        within(0.03),
        100.0 * widest
    )
}
