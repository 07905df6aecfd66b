//! Counts how many injected faults the sanitizers detected, and how many clean rows they flagged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::faults::{Fault, Injected};
use crate::record::RowLedger;

/// How many rows with one fault were dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The fault.
    pub fault: Fault,
    /// Rows injected.
    pub injected: usize,
    /// Of these, rows dropped.
    pub caught: usize,
    /// Rows dropped by each sanitizer.
    pub by: BTreeMap<String, usize>,
}

/// Detection counts of a ledger: of injected rows, and of all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detections {
    /// One entry per fault that was injected.
    pub faults: Vec<Detection>,
    /// Rows that were not injected.
    pub clean: usize,
    /// Of these, rows dropped by each sanitizer.
    pub flagged: BTreeMap<String, usize>,
}

/// Counts detected faults and flagged clean rows: which of the `injected` rows, and which others, the ledger records as dropped.
pub fn detection(injected: &Injected, ledger: &RowLedger) -> Detections {
    let mut faults: BTreeMap<Fault, Detection> = BTreeMap::new();
    let (mut clean, mut flagged) = (0, BTreeMap::new());
    for decision in ledger.decisions() {
        let by = if let Some(fault) = injected.0.get(&decision.id) {
            let new = Detection { fault: *fault, injected: 0, caught: 0, by: BTreeMap::new() };
            let detection = faults.entry(*fault).or_insert(new);
            detection.injected += 1;
            detection.caught += usize::from(decision.dropped.is_some());
            &mut detection.by
        } else {
            clean += 1;
            &mut flagged
        };
        if let Some(drop) = &decision.dropped {
            *by.entry(drop.by.clone()).or_insert(0) += 1;
        }
    }
    Detections { faults: faults.into_values().collect(), clean, flagged }
}
