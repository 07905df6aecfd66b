//! What fuzz targets share.

#[cfg(feature = "models")]
pub mod models;
pub mod seeds;

use underpin_core::Seed;
use underpin_data::{
    Contract, Features, NamedBytes, Format, Limits, Parts, Sanitizers, Source, Split, admit, from_bytes, split,
    write_quarantine,
};

/// Reads rows and takes them through everything that collection does.
pub fn collect(format: Format, bytes: &[u8], labels: Option<&[u8]>) {
    let source = Source { format: Some(format), ..Source::new("rows") };
    let limits = Limits { bytes: 1 << 20, rows: 200, columns: 64, cell: 64 };
    let labels = labels.map(|bytes| NamedBytes { name: "labels", bytes });
    let Ok(raw_table) = from_bytes(NamedBytes { name: "rows", bytes }, labels, &source, &limits) else { return };
    assert!(raw_table.len() as u64 <= limits.rows);
    assert!(raw_table.rows().zip(raw_table.rows().skip(1)).all(|(row, next)| row.id() < next.id()));
    let Ok(Parts { train, test }) = split(raw_table.clone(), &Split { test_fraction: 0.3, seed: Seed(1) }) else { return };
    assert_eq!(train.len() + test.len(), raw_table.len());
    let Ok(contract) = Contract::infer(&test) else { return };
    let held_out = admit(test, &contract).expect("its own contract fits").value.into_rows();
    let admitted = admit(train, &contract).expect("the same columns").value;
    write_quarantine(&admitted, Vec::new()).expect("memory takes it");
    assert!(admitted.rows().examples().inputs().values().iter().all(|value| (0.0..=1.0).contains(value)));
    let admitted = admitted.hold_out(held_out).expect("the same shape");
    if let Ok(kept) = Sanitizers::default().sanitize(admitted, &Features, Seed(1)) {
        kept.value.ledger().verify(kept.value.rows()).expect("what is kept matches the ledger");
    }
}
