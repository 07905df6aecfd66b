//! core: judge evidence by a policy, without any other crate.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use underpin_core::{Digest, Evidence, Policy, Record, Seed, Subject};

const POLICY: &str = include_str!("../../crates/framework/policies/baseline.toml");

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let policy: Policy = underpin::seal::policy::read(POLICY.as_bytes())?.0;
    let digest = Digest::of(POLICY.as_bytes());
    // Evidence about a model, with nothing measured: no bar is met by silence.
    let evidence = Evidence {
        subjects: vec![Subject { name: "model.bin".into(), digest: Digest::of(b"weights") }],
        policy: digest,
        seed: Seed(7),
        revision: "0123abcd".into(),
        versions: BTreeMap::new(),
        attempt: None,
        measured_at: 1_800_000_000,
        record: Record::default(),
    };
    let verdicts = policy.judge(digest, &evidence);
    for (bar, verdict) in policy.bars().iter().zip(&verdicts) {
        let why = verdict.unmet.as_ref().map_or_else(|| "met".to_owned(), ToString::to_string);
        println!("{} {} {}: {why}", bar.about, bar.quantity, bar.limit);
    }
    assert!(verdicts.iter().all(|verdict| !verdict.is_met()), "absent evidence meets no bar");
    Ok(())
}
