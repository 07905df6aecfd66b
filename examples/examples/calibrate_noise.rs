//! privacy: the least noise that keeps a training run within ε, and a budget that several runs are charged to.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Budget, BudgetTerms, Cost, DiscreteLaplace, SecretKey, SubsampledGaussian};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // 1,000 steps over one row in a hundred each, within ε = 3.
    let delta = Delta::new(1e-6)?;
    let mechanism = SubsampledGaussian::calibrated(Epsilon::new(3.0)?, delta, 0.01, 1_000, 1.0)?;
    let mut run = mechanism.start(60_000, 1_000, SecretKey::from_os()?)?;
    let batch = run.draw()?;
    let mut sum = vec![0.0; 4]; // of the gradients of these rows, each clipped to norm 1
    run.release(batch, &mut sum)?;
    println!("after one step of 1,000: epsilon is at most {:.3}", run.epsilon(delta)?.upper);

    // A budget on disk: what does not fit is refused before anything is computed.
    let folder = tempfile::tempdir()?;
    let unit = "one row of patients.csv".to_owned();
    let terms = BudgetTerms { unit, ..BudgetTerms::new(Epsilon::new(1.0)?, delta) };
    let budget = Budget::create(&folder.path().join("patients.budget"), &terms)?;
    let noise = DiscreteLaplace::new(4.0)?;
    let cost = Cost::Pure(Epsilon::new(noise.epsilon(1))?);
    let mut stream = SecretKey::from_os()?.stream("count", &[]);
    let answered = (0..10)
        .map_while(|_| budget.reserve_for("smokers", cost).ok())
        .map(|reserved| reserved.answer(|| 1_234 + noise.sample(&mut stream)));
    let answered = answered.count();
    println!("{answered} of 10 counts were answered within epsilon = 1");
    assert_eq!(answered, 3);
    Ok(())
}
