//! Serves a small fixed model with every guard: `cargo run -p underpin-serve --features http --example serve [ADDR [DIR]]`.
//!
//! State is kept in the folder that is named after the address, else in one that is removed at the end.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape, Sketch};
use underpin_privacy::SecretKey;
use underpin_serve::{
    ClearanceCheck, ClientBook, Clock, Guards, HttpLimits, ModelInfo, OutputPerturbation, Perturb, QueryLedger, Quota,
    Recorder, Service, serve,
};

/// Tells whether the first feature is larger than the second.
struct Comparison;

impl Predict for Comparison {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Denied::unless_valid(inputs, &Shape::new([2]).expect("two features"))?;
        let larger = |row: &[f32]| 1.0 / (1.0 + (4.0 * (row[1] - row[0])).exp());
        let scores = inputs.rows().flat_map(|row| [larger(row), 1.0 - larger(row)]).collect();
        Ok(Outputs::new(2, scores, Disclosure::Scores).expect("two scores per input"))
    }
}

/// Stands as long as the file `revoked` is not there.
struct NotRevoked(PathBuf);

impl ClearanceCheck for NotRevoked {
    fn check(&self) -> Result<(), Denied> {
        match self.0.try_exists() {
            Ok(false) => Ok(()),
            Ok(true) => Err(Denied::Revoked { reason: "a file says so".into() }),
            Err(error) => Err(Denied::Unavailable { reason: error.to_string() }),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os().nth(2).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());

    let clients = Arc::new(ClientBook::open(&folder.join("clients.json"))?);
    let key = clients.add(&format!("client-{}", std::process::id()), None)?;
    let guards = Guards {
        ledger: Arc::new(QueryLedger::open(&folder.join("queries.redb"))?),
        quota: Quota { queries: 1000, per_second: None },
        clients,
        clearance: Arc::new(NotRevoked(folder.join("revoked"))),
        clock: Clock::monotonic(),
        // No key of this example ends.
        date: Clock::new(|| std::time::Duration::ZERO),
        contract: None,
    };
    let perturbed = OutputPerturbation::new(Comparison, Perturb::Round { decimals: 2 }, SecretKey::from_os()?);
    let recorder = Arc::new(Recorder::new(perturbed, Sketch::new(2, 2)));
    let model = ModelInfo {
        name: "comparison".into(),
        version: "1".into(),
        shape: Shape::new([2])?,
        classes: vec!["larger".into(), "smaller".into()],
    };
    let service = Service::new(model, recorder.clone(), guards, HttpLimits::default());

    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("http://{}", listener.local_addr()?);
        println!("{}", key.reveal());
        let interrupted = async {
            // OK to stop as well when interrupts cannot be received.
            let _ = tokio::signal::ctrl_c().await;
        };
        serve(listener, service, interrupted).await?;
        Ok::<(), Box<dyn Error>>(())
    })?;
    recorder.save(&folder.join("sketch.json"))?;
    println!("{} queries seen", recorder.sketch().count);
    Ok(())
}
