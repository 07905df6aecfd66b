//! What holds across crates: the order of the lifecycle, the gate, the run folder, and bad input at the front door.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod bad_input;
mod budgets_and_resume;
mod gate;
mod order;
mod runs;
mod support;
