//! Real data sets, from the file to sanitized rows.
use std::path::PathBuf;
use underpin_core::{Audited, Seed, Shape, Trigger};
use underpin_data::*;
use underpin_data::redteam::{self, *};

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() { Some(path) } else { println!("skipped: {name} is not there"); None }
}

fn explore(name: &str, shape: Option<[usize; 3]>, seed: u64) {
    let Some(path) = shared(name) else { return };
    let mut source = Source::new(path);
    source.shape = shape.map(|s| Shape::new(s).unwrap());
    let door = open(&source, &Limits::default()).unwrap();
    let t = std::time::Instant::now();
    let Parts { train, test } = split(door, &Split { test_share: 0.2, seed: Seed(seed) }).unwrap();
    let contract = Contract::infer(&test).unwrap();
    let Audited { value: held, .. } = admit(test, &contract).unwrap();
    println!("== {name} seed {seed}: columns {} features {} classes {:?} held {}", train.columns().len(), contract.shape().size(), contract.classes(), held.ledger().kept());
    println!("held out dropped: {:?}", held.ledger().dropped());
    let held = held.into_rows();
    let run = |door: Door| {
        let Audited { value, record } = admit(door, &contract).unwrap();
        if let Some(d) = value.ledger().fates().iter().find_map(|f| f.dropped.as_ref()) { println!("first drop {d:?}"); }
        println!("   {:?}", record.parameters.get("collection.contract.clamped_values"));
        let value = value.hold_out(held.clone()).unwrap();
        let Audited { value, record } = Sanitizers::default().sanitize(value, &Features, Seed(seed)).unwrap();
        for (k, v) in &record.parameters { if k.ends_with("threshold") || k.ends_with("calibrated") || k.ends_with("distance") { println!("   {k} {v:?}"); } }
        value.ledger().verify(value.rows()).unwrap();
        value
    };
    let features = contract.shape().size();
    let trigger = Trigger { features: match shape { Some([1, 8, 8]) => vec![(54, 1.0), (55, 1.0), (62, 1.0), (63, 1.0)], _ => vec![(0, 1.0), (features / 2, 1.0), (features - 1, 1.0)] }, target: 0 };
    let faults = Faults([(Fault::LabelFlip, 0.05), (Fault::Backdoor, 0.05), (Fault::Duplicate, 0.02), (Fault::NearDuplicate, 0.02), (Fault::OutOfRange, 0.01), (Fault::Malformed, 0.01)].into());
    let (dirty, planted) = redteam::plant(&train, &contract, &faults, &trigger, Seed(seed)).unwrap();
    let clean = run(train);
    println!("clean: read {} kept {} dropped {:?}", clean.ledger().read(), clean.ledger().kept(), clean.ledger().dropped());
    let Audited { value, record: _ } = admit(dirty, &contract).unwrap();
    let value = value.hold_out(held.clone()).unwrap();
    let Audited { value, .. } = Sanitizers::default().sanitize(value, &Features, Seed(seed)).unwrap();
    let found = detection(&planted, value.ledger());
    for d in found.faults { println!("   {:15} {:4}/{:4} {:?}", d.fault.to_string(), d.caught, d.planted, d.by); }
    println!("   flagged clean of {}: {:?}  {:?}", found.clean, found.flagged, t.elapsed());
}

#[test]
fn explore_all() {
    for seed in 0..3 {
    explore("digits/digits.csv.gz", Some([1, 8, 8]), seed);
    explore("breast_cancer/breast_cancer.csv", None, seed);
    explore("wine/wine_data.csv", None, seed);
    explore("iris/iris.csv", None, seed);
    explore("german-credit/german.data", None, seed);
    }
    explore("adult/adult.data", None, 0);
}
