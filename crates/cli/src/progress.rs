//! Progress bars, drawn from the libraries' `progress` events; on what is no terminal, a line when a task is done.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

/// Target of the events that bars are drawn from.
const TARGET: &str = "progress";

/// One bar per task.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    shown: bool,
    terminal: bool,
    multi: MultiProgress,
    tasks: Arc<Mutex<HashMap<String, ProgressBar>>>,
}

impl Bars {
    /// Bars on stderr if `shown`; lines where it is no `terminal`.
    pub(crate) fn new(shown: bool, terminal: bool) -> Self {
        let target = if shown && terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { shown, terminal, multi: MultiProgress::with_draw_target(target), tasks: Arc::default() }
    }

    /// Removes every bar.
    pub(crate) fn clear(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.drain().for_each(|(_, bar)| bar.finish_and_clear());
    }

    /// A writer of log lines that keeps out of the bars' way.
    pub(crate) fn writer(&self) -> LogWriter {
        LogWriter(self.multi.clone())
    }

    fn update(&self, seen: &Seen) {
        let (Some(task), Some(of)) = (&seen.task, seen.of) else { return };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = tasks.entry(task.clone()).or_insert_with(|| {
            let bar = self.multi.add(ProgressBar::new(of));
            let template =
                "{prefix:<28} {bar:24.cyan/dim} {pos:>6}/{len:<6} {elapsed:>4} (left {eta:>4}) {wide_msg:.dim}";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(task.clone());
            bar
        });
        bar.set_length(of);
        bar.set_position(seen.step);
        bar.set_message(seen.details.join("  "));
        if seen.step >= of {
            let seconds = bar.elapsed().as_secs_f64();
            bar.finish_and_clear();
            tasks.remove(task);
            if self.shown && !self.terminal && seconds >= 0.5 {
                eprintln!("{task}: {of} steps in {seconds:.1} s  {}", seen.details.join("  "));
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for Bars {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.shown && event.metadata().target() == TARGET {
            let mut seen = Seen::default();
            event.record(&mut seen);
            self.update(&seen);
        }
    }
}

/// The fields of one event.
#[derive(Default)]
struct Seen {
    task: Option<String>,
    step: u64,
    of: Option<u64>,
    details: Vec<String>,
}

impl Visit for Seen {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "step" => self.step = value,
            "of" => self.of = Some(value),
            name => self.details.push(format!("{name} {value}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_u64(field, value.unsigned_abs());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.details.push(format!("{} {value:.3}", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "task" {
            self.task = Some(value.to_owned());
        } else if field.name() == "now" {
            self.details.push(value.to_owned());
        } else {
            self.details.push(format!("{} {value}", field.name()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "task" => self.task = Some(text),
            "message" => self.details.push(text),
            name => self.details.push(format!("{name} {text}")),
        }
    }
}

/// Writes log lines to stderr, above the bars.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter(MultiProgress);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
