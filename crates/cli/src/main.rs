//! The program `underpin`: everything is in the library, so that other programs can run the same commands.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Keeps the memory of one training step for the next.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    underpin_cli::main(std::env::args_os().skip(1))
}
