//! serve: a lifetime quota for each client and rounded answers around any predictor.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
use underpin_privacy::SecretKey;
use underpin_serve::{Clock, OutputPerturbation, Perturb, QueryLedger, QueryLimit, Quota};

struct Model;

impl Predict for Model {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let scores = [0.8125, 0.1875].repeat(inputs.len());
        Outputs::new(2, scores, Disclosure::Scores).map_err(|error| Denied::Unavailable { reason: error.to_string() })
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb"))?);
    let rounded = OutputPerturbation::new(Model, Perturb::Round { decimals: 1 }, SecretKey::from_os()?);
    let limit = QueryLimit::new(rounded, ledger, Quota { queries: 3, per_second: None }, Clock::monotonic());

    let two = Inputs::new(Shape::new([1])?, vec![0.0, 1.0])?;
    println!("alice is answered {:?}", limit.client("alice").predict(&two)?.row(0));
    // One query is left: two more are denied whole, and cost nothing.
    let denied = limit.client("alice").predict(&two);
    println!("alice asks again: {denied:?}");
    assert_eq!(denied, Err(Denied::QuotaExhausted { used: 2, limit: 3, asked: 2 }));
    Ok(())
}
