//! What goes to the terminal: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::progress::Bars;

/// How log lines are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print neither progress nor tables, only errors; the exit code tells the result.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print the result as one JSON value on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Log more to standard error: -v what each stage does, -vv its details too. RUST_LOG selects by module.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Format of log lines, on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// The terminal as the options want it.
#[derive(Debug)]
pub(crate) struct Console {
    /// No progress, no table.
    pub(crate) quiet: bool,
    /// Results as JSON.
    pub(crate) json: bool,
    /// Colours on stdout.
    pub(crate) colour: bool,
    bars: Bars,
}

impl Options {
    /// Subscribes to the libraries' events: progress bars and log lines, both to stderr.
    pub(crate) fn open(self) -> Console {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let machine = matches!(self.log_format, LogFormat::Json);
        let bars = Bars::new(!self.quiet && !machine, stderr().is_terminal());
        let level = match self.verbose {
            0 => "warn",
            1 => "info",
            _ => "debug",
        };
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{level},progress=off")));
        let writer = bars.writer();
        let log = match self.log_format {
            LogFormat::Text => fmt::layer().with_ansi(!plain && stderr().is_terminal()).with_writer(writer).boxed(),
            LogFormat::Json => fmt::layer().json().with_writer(writer).boxed(),
        };
        tracing_subscriber::registry().with(log.with_filter(filter)).with(bars.clone()).init();
        Console { quiet: self.quiet, json: self.json, colour: !plain && stdout().is_terminal(), bars }
    }
}

impl Console {
    /// Prints a result; to a reader who has gone (`| head`), nothing.
    pub(crate) fn print(&self, result: &impl Display) -> Result<()> {
        self.clear();
        match writeln!(stdout().lock(), "{result}").and_then(|()| stdout().flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
            _ => Ok(()),
        }
    }

    /// Prints an error and its causes in one line; a cause that the error already tells is not told again.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.bars.clear();
        let mut line = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !line.contains(&cause) {
                line = format!("{line}: {cause}");
            }
        }
        let line = line.replace('\n', " ");
        if self.json {
            let _ = writeln!(stdout(), "{:#}", serde_json::json!({ "error": line }));
        }
        let _ = writeln!(stderr(), "error: {line}");
    }

    /// Takes the progress bars away, for a result to be printed.
    pub(crate) fn clear(&self) {
        self.bars.clear();
    }
}
