//! The command line, as a person uses it: the program is run, and its exit code, output and files are looked at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on must fail, one that skips says so"
)]

mod budget;
mod dry_run;
mod guides;
mod help;
mod hollow;
mod interrupt;
mod outcomes;
mod recipes;
mod revoke;
#[cfg(unix)]
mod serve_state;
mod support;
#[cfg(target_os = "linux")]
mod verify;
