//! The lifecycle as types: each state owns what it certifies, and is reached only through the one before.
//!
//! ```text
//! Declared ─collect→ Sanitized ─train→ Trained ─harden→ Guarded ─assess→ Cleared ─→ safety, signing, serving
//!    policy             rows           model            endpoint     └──→ Refused: the Guarded back, and why
//! ```
//!
//! No state can be cloned, defaulted or read from a file, and no field is public. Safety cannot be evaluated before
//! clearance:
//!
//! ```compile_fail
//! fn evaluate<M: underpin::Model>(guarded: &underpin::stages::Guarded<M>, seed: underpin_core::Seed) {
//!     let _ = guarded.evaluate_safety(seed);
//! }
//! ```
//!
//! and can be after it:
//!
//! ```
//! fn evaluate<M: underpin::Model>(cleared: &underpin::stages::Cleared<M>, seed: underpin_core::Seed) {
//!     let _ = cleared.evaluate_safety(seed);
//! }
//! ```
//!
//! A refusal has no clearance to sign:
//!
//! ```compile_fail
//! fn sign<M: underpin::Model>(refused: &underpin::stages::Refused<M>, safety: &underpin_core::Record) {
//!     let _ = refused.clearance(b"evidence", (safety, b"safety"), 0);
//! }
//! ```
//!
//! a clearance has:
//!
//! ```
//! fn sign<M: underpin::Model>(cleared: &underpin::stages::Cleared<M>, safety: &underpin_core::Record) {
//!     let _ = cleared.clearance(b"evidence", (safety, b"safety"), 0);
//! }
//! ```
//!
//! Nobody outside makes a cleared state:
//!
//! ```compile_fail
//! fn forge<M>(guarded: underpin::stages::Guarded<M>, judged: underpin::stages::Judged) -> underpin::stages::Cleared<M> {
//!     underpin::stages::Cleared { guarded, judged }
//! }
//! ```
//!
//! only the gate does:
//!
//! ```
//! fn pass<M>(assessed: underpin::stages::Assessed<M>) -> Option<underpin::stages::Cleared<M>> {
//!     match assessed {
//!         underpin::stages::Assessed::Cleared(cleared) => Some(cleared),
//!         underpin::stages::Assessed::Refused(_) => None,
//!     }
//! }
//! ```

mod assess;
mod clear;
mod collect;
mod declare;
mod harden;
mod judge;
mod train;

pub use assess::{Assessed, Provenance};
pub use clear::{Cleared, Refused};
pub use collect::Sanitized;
pub use declare::Declared;
pub use harden::Guarded;
pub use judge::Judged;
pub use train::Trained;
