//! `underpin account`: the (ε, δ) of a private training run, or the parameter that keeps it within a target.

mod curve;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use underpin_core::{Delta, Epsilon, OutOfRange};
use underpin_privacy::{Adjacency, Bounds, Event, Target, recommended_delta};

use crate::console::Console;

/// Options of `account`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  underpin account --sampling-rate 0.01 --noise-multiplier 1.1 --steps 10000 --delta 1e-5\n  \
                        underpin account --sampling-rate 0.01 --steps 10000 --delta 1e-5 --target-epsilon 3 --json\n  \
                        underpin account --sampler fixed-size --batch-size 600 --rows 60000 --noise-multiplier 2.2 --steps \
                        10000 --delta 1e-5 --neighbours replace\n\nExit codes: 0 accounted, 1 an error."
)]
pub(crate) struct Arguments {
    /// Probability with which a step takes each row; or give --batch-size and --rows.
    #[arg(long, value_name = "Q", allow_negative_numbers = true, conflicts_with_all = ["batch_size", "rows"])]
    sampling_rate: Option<f64>,
    /// Rows of a step's batch (expected ones under Poisson sampling).
    #[arg(long, value_name = "B", requires = "rows")]
    batch_size: Option<u64>,
    /// Rows in all.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Standard deviation of the noise over the clipping norm.
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    noise_multiplier: Option<f64>,
    /// Number of steps.
    #[arg(long, value_name = "T")]
    steps: Option<u64>,
    /// The additive slack δ of (ε, δ)-differential privacy; choose it well below 1 / rows (Dwork and Roth 2014, section 2.3).
    /// Default with --rows: the largest power of ten that is at most 1 / (10 rows), and at most 1e-4.
    #[arg(long, value_name = "DELTA", allow_negative_numbers = true)]
    delta: Option<f64>,
    /// How epsilon is bounded.
    #[arg(long, value_enum, default_value = "pld")]
    accountant: Accountant,
    /// What neighbouring data sets differ in.
    #[arg(long, value_enum, default_value = "add-remove")]
    neighbours: Neighbours,
    /// How batches are drawn.
    #[arg(long, value_enum, default_value = "poisson")]
    sampler: Sampler,
    /// Find the parameter left out (noise multiplier, steps or sampling rate) that keeps epsilon within this.
    #[arg(long, value_name = "EPSILON", allow_negative_numbers = true)]
    target_epsilon: Option<f64>,
    /// How far apart the bounds may be, relative to the upper one.
    #[arg(long, value_name = "GAP", allow_negative_numbers = true, default_value_t = 0.01)]
    gap: f64,
    /// Draw epsilon over the steps.
    #[arg(long, value_name = "FILE.svg")]
    curve: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Accountant {
    /// Privacy loss distributions: both bounds.
    Pld,
    /// Renyi differential privacy: an upper bound.
    Rdp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Neighbours {
    /// One row more or less.
    AddRemove,
    /// One row replaced by another.
    Replace,
    /// One row replaced by one that contributes nothing.
    ZeroOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sampler {
    /// Each row independently.
    Poisson,
    /// So many rows, without replacement, at every step.
    FixedSize,
    /// Shuffled, disjoint batches, epoch by epoch.
    Shuffle,
}

impl From<Neighbours> for Adjacency {
    fn from(neighbours: Neighbours) -> Self {
        match neighbours {
            Neighbours::AddRemove => Self::AddOrRemove,
            Neighbours::Replace => Self::Replace,
            Neighbours::ZeroOut => Self::ZeroOut,
        }
    }
}

/// A run of which nothing is open.
#[derive(Clone, Copy, Debug)]
struct Run {
    batches: Batches,
    noise_multiplier: f64,
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
enum Batches {
    Poisson { rate: f64 },
    FixedSize { batch_size: u64, rows: u64 },
    Shuffled { rate: f64 },
}

impl Run {
    fn event(self) -> Event {
        let Self { batches, noise_multiplier, steps } = self;
        match batches {
            Batches::Poisson { rate } => {
                Event::SubsampledGaussian { sampling_rate: rate, noise_multiplier }.repeated(steps)
            }
            Batches::FixedSize { batch_size, rows } => {
                Event::FixedSizeGaussian { batch_size, rows, noise_multiplier }.repeated(steps)
            }
            Batches::Shuffled { rate } => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is refused")]
                let epochs = (steps as f64 * rate).ceil() as u64;
                Event::ShuffledGaussian { noise_multiplier }.repeated(epochs)
            }
        }
    }

    fn rate(self) -> f64 {
        match self.batches {
            Batches::Poisson { rate } | Batches::Shuffled { rate } => rate,
            Batches::FixedSize { batch_size, rows } => batch_size as f64 / rows as f64,
        }
    }
}

impl Arguments {
    /// The batches, or none where the sampling rate is left out.
    fn batches(&self) -> Result<Option<Batches>> {
        if let (Some(batch_size), Some(rows)) = (self.batch_size, self.rows) {
            ensure!((1..=rows).contains(&batch_size), "--batch-size {batch_size} is outside [1, --rows {rows}]");
        }
        let rate = self.sampling_rate.or_else(|| Some(self.batch_size? as f64 / self.rows? as f64));
        Ok(match (self.sampler, rate) {
            (Sampler::Poisson, rate) => rate.map(|rate| Batches::Poisson { rate }),
            (Sampler::Shuffle, Some(rate)) => {
                ensure!(rate > 0.0 && rate <= 1.0, "--sampling-rate {rate} is outside (0, 1]");
                Some(Batches::Shuffled { rate })
            }
            (Sampler::FixedSize, _) => match (self.batch_size, self.rows) {
                (Some(batch_size), Some(rows)) => Some(Batches::FixedSize { batch_size, rows }),
                (None, Some(_)) => None,
                _ => bail!("--sampler fixed-size needs --rows and --batch-size, not --sampling-rate"),
            },
            (Sampler::Shuffle, None) => bail!("--sampler shuffle needs --sampling-rate, or --batch-size and --rows"),
        })
    }

    /// The run, with the one parameter left out found where there is a target; its name too.
    fn run(&self, delta: Delta) -> Result<(Run, Option<&'static str>)> {
        let batches = self.batches()?;
        let Some(target) = self.target_epsilon else {
            let missing = "is missing; leave one parameter out with --target-epsilon only";
            return Ok((
                Run {
                    batches: batches.with_context(|| format!("--sampling-rate {missing}"))?,
                    noise_multiplier: self.noise_multiplier.with_context(|| format!("--noise-multiplier {missing}"))?,
                    steps: self.steps.with_context(|| format!("--steps {missing}"))?,
                },
                None,
            ));
        };
        ensure!(self.accountant == Accountant::Pld, "--target-epsilon is found by --accountant pld");
        let target = Target {
            epsilon: Epsilon::new(target).context("--target-epsilon")?,
            delta,
            adjacency: self.neighbours.into(),
        };
        match (batches, self.noise_multiplier, self.steps) {
            (Some(batches), None, Some(steps)) => {
                let run = |noise_multiplier| Run { batches, noise_multiplier, steps };
                Ok((run(target.noise_multiplier(|noise| run(noise).event())?), Some("noise_multiplier")))
            }
            (Some(batches), Some(noise_multiplier), None) => {
                let run = |steps| Run { batches, noise_multiplier, steps };
                let steps = if let Batches::Shuffled { rate } = batches {
                    let epochs = target.steps(&Event::ShuffledGaussian { noise_multiplier })?;
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "epochs are at most 2^40"
                    )]
                    let steps = (epochs as f64 / rate).floor() as u64;
                    steps
                } else {
                    target.steps(&run(1).event())?
                };
                Ok((run(steps), Some("steps")))
            }
            (None, Some(noise_multiplier), Some(steps)) => {
                let run = |batches| Run { batches, noise_multiplier, steps };
                if let (Sampler::FixedSize, Some(rows)) = (self.sampler, self.rows) {
                    let size = |batch_size| run(Batches::FixedSize { batch_size, rows });
                    let batch_size = target.batch_size(rows, |batch_size| size(batch_size).event())?;
                    return Ok((size(batch_size), Some("batch_size")));
                }
                let rate = target.sampling_rate(|rate| run(Batches::Poisson { rate }).event())?;
                Ok((run(Batches::Poisson { rate }), Some("sampling_rate")))
            }
            _ => bail!(
                "--target-epsilon finds one parameter: leave out exactly one of --noise-multiplier, --steps and \
                 --sampling-rate"
            ),
        }
    }

    /// An error of the accountant, with the name of the option in place of the parameter's.
    fn in_options(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(underpin_privacy::Error::OutOfRange(out_of_range)) = error.downcast_ref() else { return error };
        let option = match &*out_of_range.name {
            // The quotient of two options.
            "sampling_rate" if self.sampling_rate.is_none() && self.batch_size.is_some() => "--batch-size / --rows",
            "sampling_rate" => "--sampling-rate",
            "noise_multiplier" => "--noise-multiplier",
            "batch_size" => "--batch-size",
            "rows" => "--rows",
            "steps" => "--steps",
            "gap" => "--gap",
            "epsilon" => "--target-epsilon",
            "delta" => "--delta",
            _ => return error,
        };
        anyhow::Error::new(OutOfRange { name: option.into(), ..out_of_range.clone() })
    }

    /// The δ that was named, or one that fits the rows.
    fn delta(&self) -> Result<Delta> {
        match (self.delta, self.rows) {
            (Some(delta), _) => Delta::new(delta).context("--delta"),
            (None, Some(rows)) => Ok(recommended_delta(usize::try_from(rows).unwrap_or(usize::MAX))),
            (None, None) => bail!("--delta is missing; it has a default with --rows, 1 / (10 rows) at most"),
        }
    }

    fn bounds(&self, event: &Event, delta: Delta) -> Result<Bounds> {
        let adjacency = self.neighbours.into();
        Ok(match self.accountant {
            Accountant::Pld => event.epsilon_within(delta, adjacency, self.gap)?,
            Accountant::Rdp => Bounds { lower: 0.0, upper: event.renyi_epsilon(delta, adjacency)? },
        })
    }
}

pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let delta = arguments.delta()?;
    let started = Instant::now();
    let (run, found) = arguments.run(delta).map_err(|error| arguments.in_options(error))?;
    let bounds = arguments.bounds(&run.event(), delta).map_err(|error| arguments.in_options(error))?;
    let elapsed = 1e3 * started.elapsed().as_secs_f64();
    if let Some(path) = &arguments.curve {
        let points = curve::steps(run.steps)
            .into_iter()
            .map(|steps| Ok((steps, arguments.bounds(&Run { steps, ..run }.event(), delta)?)));
        let points = points.collect::<Result<Vec<_>>>()?;
        let about = format!(
            "sampling rate {}, noise multiplier {}, {}",
            short(run.rate()),
            short(run.noise_multiplier),
            Adjacency::from(arguments.neighbours)
        );
        let drawing = curve::draw(&points, delta.value(), &about);
        std::fs::write(path, drawing).with_context(|| format!("--curve {}", path.display()))?;
    }
    let answer = Answer { run, found, bounds, delta, elapsed };
    if console.json {
        console.print(&format_args!("{:#}", json(arguments, &answer)))?;
    } else if !console.quiet {
        console.print(&lines(arguments, &answer).join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is printed of a run.
struct Answer<'a> {
    run: Run,
    /// The quantity that was worked out, if one was.
    found: Option<&'a str>,
    bounds: Bounds,
    delta: Delta,
    /// Milliseconds that it took.
    elapsed: f64,
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn json(arguments: &Arguments, answer: &Answer<'_>) -> serde_json::Value {
    let Answer { run, found, bounds, delta, elapsed } = *answer;
    let (batch_size, rows) = match run.batches {
        Batches::FixedSize { batch_size, rows } => (Some(batch_size), Some(rows)),
        _ => (arguments.batch_size, arguments.rows),
    };
    serde_json::json!({
        "epsilon_lower": (arguments.accountant == Accountant::Pld).then_some(bounds.lower),
        "epsilon_upper": bounds.upper,
        "delta": delta.value(),
        "accountant": name(&arguments.accountant),
        "neighbours": name(&arguments.neighbours),
        "sampler": name(&arguments.sampler),
        "sampling_rate": run.rate(),
        "batch_size": batch_size,
        "rows": rows,
        "noise_multiplier": run.noise_multiplier,
        "steps": run.steps,
        "target_epsilon": arguments.target_epsilon,
        "found": found,
        "elapsed_ms": elapsed,
    })
}

fn lines(arguments: &Arguments, answer: &Answer<'_>) -> Vec<String> {
    let Answer { run, found, bounds, delta, elapsed } = *answer;
    let epsilon = match arguments.accountant {
        Accountant::Pld => format!("between {} and {}", short(bounds.lower), short_up(bounds.upper)),
        Accountant::Rdp => format!("at most {}", short_up(bounds.upper)),
    };
    let mark = |what: &str| if found == Some(what) { " (found)" } else { "" };
    let mut lines = vec![
        format!("epsilon           {epsilon} at delta {:e}", delta.value()),
        format!("neighbours        {}", Adjacency::from(arguments.neighbours)),
        match run.batches {
            Batches::FixedSize { batch_size, rows } => {
                format!("batch size        {batch_size} of {rows}{}", mark("batch_size"))
            }
            _ => format!("sampling rate     {}{}", short(run.rate()), mark("sampling_rate")),
        },
        format!("sampler           {}", name(&arguments.sampler)),
        format!("noise multiplier  {}{}", short_up(run.noise_multiplier), mark("noise_multiplier")),
        format!("steps             {}{}", run.steps, mark("steps")),
        format!("accountant        {} ({elapsed:.1} ms)", name(&arguments.accountant)),
    ];
    if arguments.accountant == Accountant::Pld && bounds.gap() > arguments.gap {
        let gap = 100.0 * bounds.gap();
        lines.push(format!("note              the bounds are {gap:.1} % apart: the accountant found no closer ones"));
    }
    lines
}

/// Five digits, rounded down.
fn short(value: f64) -> String {
    rounded(value, f64::floor)
}

/// Five digits, rounded up.
fn short_up(value: f64) -> String {
    rounded(value, f64::ceil)
}

fn rounded(value: f64, round: impl Fn(f64) -> f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    #[allow(clippy::cast_possible_truncation, reason = "a finite double has some 300 digits")]
    let digits = 4 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(-300, 300));
    // What has five digits already is not moved by the product's rounding.
    let scaled = value * scale;
    let near = scaled.round();
    let scaled = if (scaled - near).abs() < 1e-9 * scaled.abs() { near } else { round(scaled) };
    let text = scaled / scale;
    if (1e-4..1e7).contains(&value.abs()) { format!("{text}") } else { format!("{text:e}") }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(line: &str) -> Arguments {
        Line::try_parse_from(std::iter::once("account").chain(line.split(' '))).unwrap().arguments
    }

    fn refused(line: &str) -> String {
        let arguments = parsed(line);
        let delta = arguments.delta().unwrap();
        let found = arguments.run(delta).and_then(|(run, _)| arguments.bounds(&run.event(), delta));
        format!("{:#}", arguments.in_options(found.unwrap_err()))
    }

    #[test]
    fn what_is_left_out_is_found() {
        let delta = Delta::new(1e-5).unwrap();
        for (line, name) in [
            ("--sampling-rate 0.01 --steps 1000", "noise_multiplier"),
            ("--sampling-rate 0.01 --noise-multiplier 1.1", "steps"),
            ("--noise-multiplier 1.1 --steps 1000", "sampling_rate"),
            ("--noise-multiplier 2.5 --steps 1000 --sampler fixed-size --rows 60000", "batch_size"),
            (
                "--batch-size 600 --rows 60000 --steps 1000 --sampler fixed-size --neighbours replace",
                "noise_multiplier",
            ),
            ("--batch-size 600 --rows 60000 --noise-multiplier 9 --sampler shuffle --neighbours zero-out", "steps"),
        ] {
            let arguments = parsed(&format!("{line} --delta 1e-5 --target-epsilon 3"));
            let (run, found) = arguments.run(delta).unwrap();
            let bounds = arguments.bounds(&run.event(), delta).unwrap();
            assert!(found == Some(name) && bounds.upper <= 3.0 && bounds.upper > 2.0, "{line} {run:?} {bounds:?}");
        }
    }

    #[test]
    fn delta_follows_the_rows_unless_it_is_named() {
        let delta = |line: &str| parsed(line).delta().map(Delta::value).map_err(|error| error.to_string());
        assert_eq!(delta("--rows 10000 --batch-size 100"), Ok(1e-5));
        assert_eq!(delta("--rows 60000 --batch-size 100"), Ok(1e-6));
        assert_eq!(delta("--rows 60000 --batch-size 100 --delta 1e-5"), Ok(1e-5));
        assert!(delta("--sampling-rate 0.01").unwrap_err().contains("--delta is missing"));
        assert!(delta("--rows 10 --delta 1").unwrap_err().contains("--delta"));
    }

    #[test]
    fn bad_options_are_named() {
        for (line, says) in [
            ("--sampling-rate 0.01 --steps 10 --delta 1e-5", "--noise-multiplier is missing"),
            ("--sampling-rate 2 --noise-multiplier 1 --steps 10 --delta 1e-5", "--sampling-rate = 2 is outside"),
            ("--batch-size 9 --rows 8 --noise-multiplier 1 --steps 10 --delta 1e-5", "--batch-size 9 is outside"),
            ("--sampling-rate 0.1 --noise-multiplier 1 --steps 10 --delta 1e-5 --sampler fixed-size", "needs --rows"),
            ("--sampling-rate 0.1 --noise-multiplier 1 --steps 10 --delta 1e-5 --sampler shuffle", "Chua et al. 2024"),
            (
                "--sampling-rate 0.1 --noise-multiplier 1 --steps 10 --delta 1e-5 --target-epsilon 1",
                "leave out exactly one",
            ),
            ("--sampling-rate 0.1 --steps 10 --delta 1e-5 --target-epsilon -1", "--target-epsilon"),
            (
                "--sampling-rate 0.1 --noise-multiplier 1e300 --steps 10 --delta 1e-5",
                "--noise-multiplier = 1e300 is outside",
            ),
            ("--batch-size 0 --rows 8 --noise-multiplier 1 --steps 10 --delta 1e-5", "--batch-size 0 is outside"),
            ("--sampling-rate 0.1 --noise-multiplier 1 --steps 10 --delta 1e-5 --gap 0", "--gap = 0 is outside"),
        ] {
            assert!(refused(line).contains(says), "{line}: {}", refused(line));
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_safe_side() {
        assert_eq!((short(1.234_567), short_up(1.234_567)), ("1.2345".to_owned(), "1.2346".to_owned()));
        assert_eq!((short(0.1), short_up(0.1)), ("0.1".to_owned(), "0.1".to_owned()));
        assert_eq!((short(0.0), short_up(f64::INFINITY)), ("0".to_owned(), "inf".to_owned()));
        assert_eq!(short(1.5e-7), "1.5e-7");
    }
}
