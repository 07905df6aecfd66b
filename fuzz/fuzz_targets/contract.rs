//! A contract in JSON, and a table judged by it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_data::{Contract, NamedBytes, Limits, Source, admit, from_bytes};

fuzz_target!(|bytes: &[u8]| {
    let Ok(contract) = serde_json::from_slice::<Contract>(bytes) else { return };
    let file = NamedBytes { name: "rows.csv", bytes: b"a,b,label\n1,red,x\n2,blue,y\n1e300,,x\n" };
    let raw_table = from_bytes(file, None, &Source::new("rows.csv"), &Limits::default()).expect("a table");
    if let Ok(admitted) = admit(raw_table, &contract) {
        let rows = admitted.value.rows();
        assert!(rows.examples().inputs().values().iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(rows.examples().labels().iter().all(|label| *label < contract.classes().len()));
    }
});
