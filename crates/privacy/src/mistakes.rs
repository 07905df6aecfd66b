//! Nine critical mistakes of private training, and why they cannot be made here.
//!
//! The list is that of jax_privacy's pitfalls: each silently voids the ε that is published. Each has a test of its name in
//! `tests/mistakes.rs`; where the compiler rules it out, the code below does not compile, and a compiling counterpart, which differs in
//! that alone, does.
//!
//! | mistake | ruled out by | test |
//! |---|---|---|
//! | dividing by the size of the drawn batch, which is secret | the divisor is no parameter | `divide_by_batch` |
//! | noise for another sensitivity than that of the sum | clipping norm and noise are one value, which cannot be changed; a sum that is too long is refused; [`PrivateSteps::average`] clips itself | `sensitivity` |
//! | another sampler than the accounted one | batches come from the accounted sampler alone | `sampler_mismatch` |
//! | private metadata: the number of rows taken for secret while it is released | the run states the relation under which it is public | `private_metadata` |
//! | noise and ε under different neighbouring relations | the relation is a value, and sensitivities follow it | `neighbouring_relation` |
//! | empty batches left out, NaN let through | an empty batch is a step with noise; NaN is refused and the step stays spent | `empty_or_nan_batch` |
//! | accumulation: several batches, one noise; or one batch, two releases | a batch is consumed by its release | `accumulation` |
//! | operations across examples before clipping (batch normalisation) | [`PrivateSteps::average`] shows its closure one row at a time | `cross_example` |
//! | auxiliary output: losses, norms, the rows drawn | a release gives the noisy average alone; `Debug` shows no row | `auxiliary_output` |
//!
//! Left to the caller, and nowhere claimed: a closure that reads other rows by their positions, or keeps them in a cell of
//! its own, is not stopped; nor is one who prints [`Batch::indices`].
//!
//! # In code
//!
//! All start from this run:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Dividing by the batch.** A release takes no divisor:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! run.release(batch, &mut [0.0])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! let divisor = batch.indices().len();
//! run.release(batch, &mut [0.0], divisor)?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Sensitivity.** The clipping norm and the noise of a mechanism can be read, not changed:
//!
//! ```
//! # use underpin_privacy::SubsampledGaussian;
//! let mut mechanism = SubsampledGaussian::new(0.5, 1.0, 1.0)?;
//! assert_eq!(mechanism.clipping_norm(), 1.0);
//! # mechanism = mechanism;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::SubsampledGaussian;
//! let mut mechanism = SubsampledGaussian::new(0.5, 1.0, 1.0)?;
//! mechanism.clipping_norm = 0.1;
//! # mechanism = mechanism;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Another sampler.** A batch of one's own choice cannot be made (the compiling counterpart is the first example):
//!
//! ```compile_fail
//! # use underpin_privacy::{Batch, SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = Batch { indices: (0..4).collect(), ..run.draw()? };
//! run.release(batch, &mut [0.0])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Private metadata, neighbouring relation.** The relation of a run is read from it; the accountant takes none:
//!
//! ```
//! # use underpin_core::Delta;
//! # use underpin_privacy::{Adjacency, SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! assert_eq!(run.adjacency(), Adjacency::ZeroOut);
//! run.epsilon(Delta::new(1e-5)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_core::Delta;
//! # use underpin_privacy::{Adjacency, SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! assert_eq!(run.adjacency(), Adjacency::ZeroOut);
//! run.epsilon(Delta::new(1e-5)?, Adjacency::AddOrRemove)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Empty batches.** A drawn batch is counted, and has no way back:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! if batch.indices().is_empty() {
//!     drop(batch);
//! }
//! assert_eq!(run.steps(), 1);
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! if batch.indices().is_empty() {
//!     run.give_back(batch);
//! }
//! assert_eq!(run.steps(), 1);
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Accumulation.** Each batch has its release:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let (one, other) = (run.draw()?, run.draw()?);
//! run.release(one, &mut [0.0])?;
//! run.release(other, &mut [0.0])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let (one, other) = (run.draw()?, run.draw()?);
//! run.release([one, other], &mut [0.0])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let (one, other) = (run.draw()?, run.draw()?);
//! run.release(one, &mut [0.0])?;
//! run.release(one, &mut [0.0])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Across examples.** The closure is given one row and can keep nothing from one call to the next:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let (rows, mut mean) = ([[0.5_f32]; 8], 0.0);
//! let batch = run.draw()?;
//! run.average(batch, 1, |row| {
//!     [rows[row][0] - mean]
//! })?;
//! # mean += 1.0;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let (rows, mut mean) = ([[0.5_f32]; 8], 0.0);
//! let batch = run.draw()?;
//! run.average(batch, 1, |row| {
//!     mean += rows[row][0] / 4.0;
//!     [rows[row][0] - mean]
//! })?;
//! # mean += 1.0;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! **Auxiliary output.** The average is all there is:
//!
//! ```
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! let average = run.average(batch, 1, |_| [0.5])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! let (average, norms) = run.average(batch, 1, |_| [0.5])?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! ```compile_fail
//! # use underpin_privacy::{SecretKey, SubsampledGaussian};
//! # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 10, SecretKey::new([0; 32]))?;
//! let batch = run.draw()?;
//! let average = run.average(batch, 1, |_| ([0.5], 0.25))?;
//! # Ok::<(), underpin_privacy::Error>(())
//! ```
//!
//! [`PrivateSteps::average`]: crate::PrivateSteps::average
//! [`Batch::indices`]: crate::Batch::indices
