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
    /// Print neither progress nor tables, only errors; the exit code is the result.
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

    /// Prints an error and its causes in one line.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.bars.clear();
        let line = one_line(error);
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

/// An error and its causes in one line: a cause that the line holds already is not repeated.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(|cause| cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ")) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    visible(&short_numbers(&line))
}

/// The text with its control characters written out: words of untrusted rows must not steer the terminal.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        // Zero-width and directional marks hide or turn words, too.
        if letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The text with each number of more than 25 digits before its point cut to six digits and an exponent.
///
/// Numbers of 64 bits stay as they are; what is longer is a float, of which the parsers' messages print each digit.
pub(crate) fn short_numbers(text: &str) -> String {
    let mut short = String::new();
    let mut left = text;
    while let Some(start) = left.find(|letter: char| letter.is_ascii_digit()) {
        let (before, rest) = left.split_at(start);
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        short += before;
        // Within a word (a digest, a file's name) or after a point it is no whole number.
        let alone = !before.ends_with(|letter: char| letter.is_alphanumeric() || "._".contains(letter))
            && !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        if alone && digits > 25 {
            let mantissa = format!("{}.{}", &number[..1], &number[1..6]);
            let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
            short.extend([mantissa, "e", &(digits - 1).to_string()]);
            // Digits after the point do not matter beside so many before it.
            let fraction =
                after.strip_prefix('.').map(|after| after.trim_start_matches(|letter: char| letter.is_ascii_digit()));
            left = fraction.filter(|_| after[1..].starts_with(|letter: char| letter.is_ascii_digit())).unwrap_or(after);
        } else {
            short += number;
            left = after;
        }
    }
    short + left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_is_in_the_line_is_not_repeated() {
        let error = anyhow::Error::msg("invalid type\nin `training`\n");
        let error = error.context("configuration: invalid type\nin `training`\n").context("--config a.toml");
        assert_eq!(one_line(&error), "--config a.toml: configuration: invalid type in `training`");
        assert_eq!(one_line(&anyhow::Error::msg("b").context("a")), "a: b");
    }

    #[test]
    fn what_turns_or_hides_words_is_written_out() {
        assert_eq!(visible("a\u{1b}[2J\r\u{7f}\u{9b}b"), "a\\u{1b}[2J\\r\\u{7f}\\u{9b}b");
        assert_eq!(visible("\u{202e}x\u{200b}\u{feff}\u{2066}"), "\\u{202e}x\\u{200b}\\u{feff}\\u{2066}");
        assert_eq!(visible("naïve ε ≤ 1, 日本"), "naïve ε ≤ 1, 日本");
    }

    #[test]
    fn long_numbers_are_cut_and_nothing_else_is() {
        let zeros = "0".repeat(299);
        let text = format!("floating point `1{zeros}0.0`, -12345678{zeros}.5 ");
        assert_eq!(short_numbers(&text), "floating point `1e300`, -1.23456e306 ");
        let digest = "1".repeat(64) + "a";
        for same in ["18446744073709551615", "0.1", "1e300", &digest, "", "runs/1795454191"] {
            assert_eq!(short_numbers(same), same);
        }
    }
}
