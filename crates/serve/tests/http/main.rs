//! The server over real sockets: the protocol, every status, what it must never do, and what it must withstand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod columns;
mod common;
mod encrypted;
mod kills;
mod load;
mod memory;
mod protocol;
