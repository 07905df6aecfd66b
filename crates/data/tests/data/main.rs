//! Collection from the outside: bad input, real data sets, contracts, arbitrary bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "a test says what it measured, and why it was skipped")]

mod bad_input;
mod contracts;
mod hostile_bytes;
mod real_data;
mod tables;

use std::path::PathBuf;

use underpin_core::Seed;
use underpin_data::{
    Contract, Error, Limits, NamedBytes, Parts, RawTable, Rows, Source, Split, admit, from_bytes, split,
};

/// A data set outside the repository, if it is there.
fn shared(name: &str) -> Option<PathBuf> {
    outside("data", name)
}

/// A file of the folder `shared` beside the workspace, or beside the folder that it is in, if it is there.
fn outside(folder: &str, name: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = |up: &str| workspace.join(up).join("shared").join(folder).join(name);
    let path = ["..", "../.."].into_iter().map(beside).find(|path| path.exists());
    if path.is_none() {
        println!("skipped: {} is not there", beside("..").display());
    }
    path
}

/// The digits that are shipped.
fn digits() -> RawTable {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../framework/data/digits/digits.csv.gz");
    let shape = Some(underpin_core::Shape::new([1, 8, 8]).unwrap());
    underpin_data::open(&Source { shape, ..Source::new(path) }, &Limits::default()).unwrap()
}

fn table(text: &str) -> Result<RawTable, Error> {
    read("rows.csv", text.as_bytes())
}

fn read(name: &str, bytes: &[u8]) -> Result<RawTable, Error> {
    from_bytes(NamedBytes { name, bytes }, None, &Source::new(name), &Limits::default())
}

/// Raw training rows, the contract and the rows held out.
fn prepared(raw_table: RawTable, seed: u64) -> (RawTable, Contract, Rows) {
    let Parts { train, test } = split(raw_table, &Split { test_fraction: 0.2, seed: Seed(seed) }).unwrap();
    let contract = Contract::infer(&test).unwrap();
    let held_out = admit(test, &contract).unwrap().value.into_rows();
    (train, contract, held_out)
}
