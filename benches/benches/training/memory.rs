//! Peak memory as a criterion measurement, each in a process of its own.

use std::process::Command;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};

/// Tells a child what to run.
const WAY: &str = "UNDERPIN_MEMORY_OF";

/// Steps that a child runs: the allocator has then seen what it will see.
const STEPS: usize = 3;

/// Bytes, reported by the routine itself.
#[derive(Debug)]
pub(crate) struct Peak;

impl Measurement for Peak {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    fn end(&self, (): ()) -> f64 {
        0.0
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Peak {
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        for value in values {
            *value /= f64::from(1 << 20);
        }
        "MiB"
    }

    fn scale_throughputs(&self, typical: f64, _: &Throughput, values: &mut [f64]) -> &'static str {
        self.scale_values(typical, values)
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "bytes"
    }
}

/// What this process is to run, if it is a child.
pub(crate) fn way_of_this_child() -> Option<String> {
    std::env::var(WAY).ok()
}

/// Runs some steps and prints the bytes they took at most.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn report(mut step: impl FnMut()) {
    let before = status("VmRSS:");
    (0..STEPS).for_each(|_| step());
    println!("{}", status("VmHWM:").saturating_sub(before));
}

/// Peak of a child that runs one way; 0 where the system does not report it (no `/proc`).
pub(crate) fn of_a_child(way: &str) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).env(WAY, way).output().expect("this program runs");
    let text = String::from_utf8(output.stdout).expect("digits");
    text.trim().parse().expect("a child prints a number")
}

fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("the system prints a number")
}
