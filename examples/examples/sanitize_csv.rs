//! data: from the bytes of a CSV file to sanitized rows, with a ledger of every row kept or dropped.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fmt::Write as _;

use underpin_core::{Audited, Seed};
use underpin_data::{
    Contract, Features, Floor, Limits, NamedBytes, Parts, Sanitizers, Source, Split, admit, from_bytes, split,
};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Two classes, 400 rows; one row has a word where a number belongs, one is there twice.
    let mut csv = String::from("width,height,label\n");
    for i in 0..400 {
        let (x, y) = (f64::from(i * 37 % 101) / 100.0, f64::from(i * 53 % 97) / 96.0);
        let (shift, label) = if i % 2 == 0 { (0.0, "small") } else { (3.0, "large") };
        writeln!(csv, "{},{y},{label}", x + shift)?;
    }
    csv += "wide,0.5,small\n0.0,0.0,small\n";

    let file = NamedBytes { name: "boxes.csv", bytes: csv.as_bytes() };
    let raw_table = from_bytes(file, None, &Source::new("boxes.csv"), &Limits::default())?;
    let Parts { train, test } = split(raw_table, &Split { test_fraction: 0.25, seed: Seed(1) })?;
    let contract = Contract::infer(&test)?;
    let held_out = admit(test, &contract)?.value.into_rows();
    let admitted = admit(train, &contract)?.value.hold_out(held_out)?;
    let Audited { value: collection, .. } = Sanitizers::default().sanitize(admitted, &Features, Seed(1))?;
    collection.check(&Floor { max_rejected: 0.1, min_rows: 100 })?;

    let ledger = collection.ledger();
    println!("kept {} of {} rows; Merkle root {}", ledger.kept(), ledger.read(), ledger.root());
    for decision in ledger.decisions() {
        if let Some(rejection) = &decision.dropped {
            println!("row {}: {} by {}: {}", decision.id, rejection.reason, rejection.by, rejection.detail);
        }
    }
    assert!(ledger.kept() < ledger.read(), "the word is found");
    Ok(())
}
