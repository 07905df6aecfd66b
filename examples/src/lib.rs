//! One program for each crate and way of use: `cargo run --package underpin-examples --example NAME`.
