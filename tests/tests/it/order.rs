//! The order of the lifecycle.

use std::path::Path;

use underpin::seal::policy;
use underpin::stages::Declared;
use underpin::{Error, Input, Protection};
use underpin_data::Rows;

use crate::support::job;

#[test]
fn a_ledger_knows_its_rows() {
    let mut job = job(Path::new("never made"));
    job.protection = Protection::Undefended;
    let sanitized = Declared::read(policy::BASELINE.as_bytes()).unwrap().collect(&job).unwrap();
    let collected = sanitized.collected();
    let rows = collected.train();
    assert!(collected.ledger().verify(rows).is_ok());
    // One pixel of one row, one label, one row less, two rows exchanged.
    let examples = rows.examples();
    let mut pixels = examples.inputs().clone();
    pixels.values_mut()[3] = 1.0 - pixels.values()[3];
    let mut labels = examples.labels().to_vec();
    labels[5] = (labels[5] + 1) % examples.classes();
    let all: Vec<usize> = (0..rows.len()).collect();
    let mut exchanged = all.clone();
    exchanged.swap(0, 1);
    let changed = [
        Rows::new(examples.with_inputs(pixels).unwrap(), rows.ids().to_vec()).unwrap(),
        Rows::new(examples.with_labels(labels).unwrap(), rows.ids().to_vec()).unwrap(),
        rows.select(&all[1..]),
        rows.select(&exchanged),
    ];
    for rows in changed {
        assert!(collected.ledger().verify(&rows).is_err());
    }
}

#[test]
fn a_policy_is_judged_before_any_data_is_touched() {
    let mut job = job(&tempfile::tempdir().unwrap().path().join("run"));
    job.policy = b"name = 'lax'\nvalid_days = 30\nmax_rejected = 0.1\nbar = []".to_vec();
    job.input = Input::Files { train: Box::new(underpin_data::Source::new("/nowhere/rows.csv")), test: None };
    let error: Error = crate::support::run(&job, &crate::support::key()).unwrap_err();
    assert!(error.to_string().contains("poisoning"), "{error}");
}
