//! A ledger: what is read is written back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_data::{RowLedger, Limits};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ledger) = RowLedger::read_from(bytes, &Limits::default()) {
        let mut written = Vec::new();
        ledger.write(&mut written).expect("memory takes any ledger");
        assert_eq!(written, bytes);
    }
});
