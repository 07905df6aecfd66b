//! What holds for every sanitizer, and for the ledger.

use std::collections::BTreeSet;

use underpin_core::{Audited, Examples, Inputs, Sanitizer, Seed, Trigger};
use underpin_data::inject::{Fault, Faults, inject};
use underpin_data::{
    ActivationClustering, Collection, Error, ExactDuplicates, FIRST_INJECTED_ID, FalsePositiveRate, Features, Limits,
    Manifest, RowDecision, RowFault, RowLedger, Rows, Sanitizers, Source, SpectralSignatures, Split, admit, open,
    write_quarantine,
};

use crate::{digits, prepared};

type Change<'a> = &'a dyn Fn(&mut Vec<RowDecision>);
type Step<'a> = (&'a str, &'a dyn Sanitizer<Collection, Error = Error>);

/// Digits with every fault injected, admitted.
fn dirty() -> Collection {
    let (train, contract, held_out) = prepared(digits(), 7);
    let trigger = Trigger { features: vec![(54, 1.0), (55, 1.0), (62, 1.0), (63, 1.0)], target: 3 };
    let faults = Faults(Fault::ALL.into_iter().map(|fault| (fault, 0.03)).collect());
    let (raw_table, _) = inject(&train, &contract, &faults, &trigger, Seed(7)).unwrap();
    admit(raw_table, &contract).unwrap().value.hold_out(held_out).unwrap()
}

fn clean() -> Collection {
    let (train, contract, held_out) = prepared(digits(), 7);
    admit(train, &contract).unwrap().value.hold_out(held_out).unwrap()
}

#[test]
fn every_sanitizer_is_idempotent_and_invents_nothing() {
    let all = Sanitizers::default();
    let rate = FalsePositiveRate::new(0.01).unwrap();
    let spectral = SpectralSignatures { representation: &Features, false_positive_rate: rate, seed: Seed(1) };
    let clustering = ActivationClustering { representation: &Features, neighbours: 10, reclassified: 0.7 };
    let steps: [Step<'_>; 7] = [
        ("exact_duplicates", &ExactDuplicates),
        ("leakage", &all.leakage),
        ("near_duplicates", &all.near_duplicates),
        ("activation_clustering", &clustering),
        ("spectral_signatures", &spectral),
        ("knn_labels", &all.knn_labels),
        ("knn_outliers", &all.knn_outliers),
    ];
    for (name, step) in steps {
        let before = dirty();
        let first = step.sanitize(before.clone()).unwrap();
        let after = first.value;
        let dropped = before.rows().len() - after.rows().len();
        assert!(dropped > 0 || name == "leakage", "{name} finds something");
        assert_eq!(first.record.parameters[&format!("collection.{name}.dropped")], dropped.into());
        let known: BTreeSet<_> = before.rows().ids().iter().zip(before.rows().digests()).collect();
        assert!(after.rows().ids().iter().zip(after.rows().digests()).all(|row| known.contains(&row)), "{name}");
        assert_eq!(after.ledger().kept(), after.rows().len(), "{name}");
        let again = step.sanitize(after.clone()).unwrap().value;
        assert_eq!(again.rows(), after.rows(), "{name}");
        assert_eq!(again.ledger(), after.ledger(), "{name}");
        let repeated = step.sanitize(before).unwrap().value;
        assert_eq!(repeated.ledger().root(), after.ledger().root(), "{name} repeats");
    }
}

#[test]
fn any_change_to_a_kept_row_is_named() {
    let Audited { value: collection, .. } = ExactDuplicates.sanitize(clean()).unwrap();
    let (ledger, rows) = (collection.ledger(), collection.rows());
    ledger.verify(rows).unwrap();
    let ids = rows.ids();
    let fault = |rows: Rows| match ledger.verify(&rows) {
        Err(Error::Mismatch { id, fault, .. }) => (id, fault),
        other => panic!("{other:?}"),
    };

    let mut values = rows.examples().inputs().values().to_vec();
    values[64 * 5 + 3] += f32::EPSILON;
    let inputs = Inputs::new(rows.examples().inputs().shape().clone(), values).unwrap();
    let changed = Rows::new(rows.examples().with_inputs(inputs).unwrap(), ids.to_vec()).unwrap();
    assert_eq!(fault(changed), (ids[5], RowFault::Changed));

    let mut labels = rows.examples().labels().to_vec();
    labels[9] = (labels[9] + 1) % 10;
    let flipped = Rows::new(rows.examples().with_labels(labels).unwrap(), ids.to_vec()).unwrap();
    assert_eq!(fault(flipped), (ids[9], RowFault::Changed));

    let all: Vec<usize> = (0..rows.len()).collect();
    let without = |skipped: usize| all.iter().copied().filter(|at| *at != skipped).collect::<Vec<_>>();
    assert_eq!(fault(rows.select(&without(4))), (ids[5], RowFault::Order));
    assert_eq!(fault(rows.select(&all[..all.len() - 1])), (*ids.last().unwrap(), RowFault::Missing));
    assert_eq!(fault(rows.select(&[&all[..], &[0]].concat())), (ids[0], RowFault::Repeated));
    assert_eq!(fault(rows.select(&[1, 0])).0, ids[1]);
    assert_eq!(fault(rows.select(&[])), (ids[0], RowFault::Missing));

    let stranger = |id: u64| {
        let one: Examples = rows.examples().select(&[0]);
        Rows::new(one, vec![id]).unwrap()
    };
    assert_eq!(fault(stranger(1_000_000)), (1_000_000, RowFault::Unknown));
    assert_eq!(fault(stranger(FIRST_INJECTED_ID)), (FIRST_INJECTED_ID, RowFault::Injected));
}

#[test]
fn messages_of_a_mismatch_name_what_differs() {
    let words = [
        (RowFault::Changed, "its content changed"),
        (RowFault::Order, "it is out of order, or the row before it is missing"),
        (RowFault::Missing, "it is missing"),
        (RowFault::Repeated, "it is repeated"),
        (RowFault::Unknown, "the ledger does not know it"),
        (RowFault::Injected, "it is injected; injected rows never train"),
        (RowFault::Rejected, "the ledger says it was dropped"),
    ];
    for (fault, word) in words {
        let error = Error::Mismatch { id: 7, position: 3, fault };
        assert_eq!(error.to_string(), format!("row 7 (position 3 of the rows) does not match the ledger: {word}"));
    }
}

#[test]
fn a_dropped_row_is_refused() {
    let (before, after) = {
        let before = clean();
        (before.clone(), Sanitizers::default().sanitize(before, &Features, Seed(0)).unwrap().value)
    };
    assert!(after.rows().len() < before.rows().len());
    let first = before.rows().ids().iter().zip(after.rows().ids()).find(|(before, after)| before != after).unwrap();
    match after.ledger().verify(before.rows()) {
        Err(Error::Mismatch { id, fault, .. }) => assert_eq!((id, fault), (*first.0, RowFault::Rejected)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_change_of_a_decision_changes_the_root() {
    let ledger = Sanitizers::default().sanitize(dirty(), &Features, Seed(0)).unwrap().value.ledger().clone();
    let decisions = ledger.decisions();
    let dropped = decisions.iter().position(|decision| decision.dropped.is_some()).unwrap();
    let root = |change: Change<'_>| {
        let mut decisions = decisions.to_vec();
        change(&mut decisions);
        RowLedger::new(decisions).unwrap().root()
    };
    assert_eq!(root(&|_| ()), ledger.root());
    let changes: [Change<'_>; 6] = [
        &|decisions| decisions[dropped].dropped = None,
        &|decisions| decisions[dropped].dropped.as_mut().unwrap().detail.push('x'),
        &|decisions| decisions[dropped].dropped.as_mut().unwrap().by = "nobody".into(),
        &|decisions| decisions[0].digest = underpin_core::Digest::new([0; 32]),
        &|decisions| decisions.last_mut().unwrap().id += 1,
        &|decisions| drop(decisions.pop()),
    ];
    let roots: BTreeSet<_> = changes.iter().map(|change| root(change)).chain([ledger.root()]).collect();
    assert_eq!(roots.len(), changes.len() + 1);
}

#[test]
fn ledger_manifest_and_quarantine_survive_the_disk() {
    let Audited { value: collection, .. } = Sanitizers::default().sanitize(dirty(), &Features, Seed(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    collection.ledger().write(std::fs::File::create(&path).unwrap()).unwrap();
    let from = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    let read_back = RowLedger::read_from(from, &Limits::default()).unwrap();
    assert_eq!(read_back, *collection.ledger());
    assert_eq!(read_back.root(), collection.ledger().root());

    let split = Some(Split { test_fraction: 0.2, seed: Seed(7) });
    let manifest = Manifest::new(&collection, split).unwrap();
    let json = serde_json::to_string_pretty(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    assert_eq!(manifest.read, manifest.kept + manifest.dropped.values().sum::<usize>());
    assert_eq!(manifest.counts.iter().sum::<usize>(), manifest.kept);
    assert_eq!(manifest.sketch.count, manifest.held_out as u64);
    assert!(!json.contains('/'), "no path, no folder");

    let path = folder.path().join("quarantine.parquet");
    write_quarantine(&collection, std::fs::File::create(&path).unwrap()).unwrap();
    let source = Source { label: Some("reason".into()), ..Source::new(&path) };
    let quarantine = open(&source, &Limits::default()).unwrap();
    assert_eq!(quarantine.columns(), ["id", "sanitizer", "reason", "detail", "raw"]);
    let dropped: Vec<_> =
        collection.ledger().decisions().iter().filter(|decision| decision.dropped.is_some()).collect();
    assert_eq!(quarantine.rows().len(), dropped.len());
    for (row, decision) in quarantine.rows().zip(dropped) {
        let drop = decision.dropped.as_ref().unwrap();
        let cells: Vec<_> = row.cells().map(std::borrow::Cow::into_owned).collect();
        assert_eq!(
            cells[..4],
            [decision.id.to_string(), drop.by.clone(), drop.reason.to_string(), drop.detail.clone()]
        );
        assert_eq!(cells[4], String::from_utf8_lossy(&collection.raw_table().row(decision.id).unwrap().line()));
    }
}

#[test]
fn rows_held_out_never_come_back_in_training() {
    let raw_table = digits();
    let copies: Vec<u8> = {
        let line = |row: underpin_data::RawRow<'_>| [&row.line()[..], b"\n"].concat();
        let once: Vec<u8> = raw_table.rows().flat_map(line).collect();
        once.repeat(2)
    };
    let source = Source { shape: raw_table.shape().cloned(), ..Source::new("twice.csv") };
    let file = underpin_data::NamedBytes { name: "twice.csv", bytes: &copies };
    let twice = underpin_data::from_bytes(file, None, &source, &Limits::default()).unwrap();
    let (train, contract, held_out) = prepared(twice, 3);
    let admitted = admit(train, &contract).unwrap().value.hold_out(held_out.clone()).unwrap();
    let kept = Sanitizers::default().sanitize(admitted, &Features, Seed(0)).unwrap().value;
    let seen: BTreeSet<_> = held_out.digests().iter().collect();
    assert!(kept.rows().digests().iter().all(|digest| !seen.contains(digest)));
    assert_eq!(kept.rows().digests().iter().collect::<BTreeSet<_>>().len(), kept.rows().len());
}
