//! framework: one run of the whole lifecycle from code, and its verification by somebody who has the public key alone.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use underpin::seal::{self, SigningKey, policy};
use underpin::{Input, Job, dry_run, run};

/// Weak and quick: such attacks meet no bar, so the run is refused.
const QUICK: &str = include_str!("../../tests/quick.toml");

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let job = Job::new(Input::Digits, policy::BASELINE.as_bytes().to_vec(), folder.path().join("run"));
    let job = Job { config: Some(QUICK.to_owned()), who: "an example".into(), ..job };
    let plan = dry_run(&job)?;
    println!(
        "{} rows of {} classes, label {:?}; rejected: {:?}",
        plan.rows,
        plan.classes.len(),
        plan.label,
        plan.rejected
    );

    let key = SigningKey::generate()?;
    let now = 1_800_000_000; // seconds since 1970: the clock is an argument
    let finished = run(&job, &key, &|| now)?;
    for cells in &finished.table {
        println!("{}", cells.join(" | "));
    }
    println!("cleared: {}", finished.is_cleared());

    let verified = seal::verify(&job.out, &[key.public()], now + 1)?;
    println!("verified; signed by {}", verified.signer());
    assert!(!finished.is_cleared() && verified.clearance().is_none(), "weak attacks vouch for nothing");
    Ok(())
}
