//! What holds across crates: the order of the lifecycle, the gate, the run folder, and bad input at the front door.

mod bad_input;
mod gate;
mod order;
mod runs;
mod support;
