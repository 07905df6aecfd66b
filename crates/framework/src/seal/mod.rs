//! Evidence on disk: keys, signatures, the run folder, its log, and the check that all of it holds together.
//!
//! ```text
//! RunFolder::create ─write, record→ finish ─→ folder on disk ─verify→ Verified (serve, report)
//!                                                  ↑ amend, revoke     ↓ ClearanceWatch (a running server)
//! ```
//!
//! Everything signed is a DSSE v1 envelope over an in-toto Statement v1, ECDSA P-256 over SHA-256, so that other
//! in-toto tools can check it with `signer.pub.pem`.
//!
//! # Guarantees
//!
//! 1. Flipping any byte of any file of a run folder makes [`verify`] fail: `every_flipped_byte_is_found`.
//! 2. A file that the log does not list, or that is gone, makes it fail: `files_not_listed_or_gone_are_found`.
//! 3. What is verified is what is handed out; a file that is read again is checked again, those very bytes:
//!    `what_is_handed_out_is_what_was_verified`.
//! 4. A run that is not finished is not there under its name: `an_unfinished_run_is_not_there`.
//! 5. A run is what the first entry of its log bound it to before a row was read ([`Commitment`]):
//!    `a_run_is_what_it_committed_to`.
//! 6. Hostile bytes neither pass nor panic: `hostile_bytes_never_pass`.
//!
//! # Limits
//!
//! Who holds the signing key can sign anything; a second party's signature shows what it has seen ([`Witnesses`]). Who can
//! write to the folder can put an older state of the *whole* folder back; only a reader who remembers the log's [`LogHead`]
//! sees that: [`ClearanceWatch`], and [`KnownRuns`](crate::KnownRuns).

#![allow(clippy::missing_panics_doc, reason = "`expect(\"invariant\")` panics on our own bug only")]

mod abandon;
mod amend;
mod clearance;
mod commitment;
mod contents;
mod disk;
mod envelope;
mod error;
mod exposure;
mod flaw;
mod folder;
mod keys;
mod layout;
mod listed;
mod log;
pub mod policy;
mod run;
mod snapshot;
mod statement;
mod verify;
mod watch;
mod witness;

pub use abandon::abandon;
pub use amend::{amend, read_log, recover, revoke};
pub use clearance::{ClearanceDocument, PolicyName, Revocation};
pub use commitment::Commitment;
pub use envelope::{Envelope, PAYLOAD_TYPE, pre_authentication_encoding};
pub use error::Error;
pub use exposure::{Exposed, exposures};
pub use flaw::{Fault, Flaw};
pub use folder::{RunFolder, check_free};
pub use keys::{PublicKey, SigningKey};
pub use layout::files;
pub use listed::ListedFile;
pub use log::{Action, Entry, Log, LogHead};
pub use run::{ClearanceStatus, Run, Verified};
pub use statement::{Predicate, Signed, open, sign};
pub use verify::{accepted, extends, in_force, inspect, verify};
pub use watch::ClearanceWatch;
pub use witness::{WitnessStatement, WitnessedStatus, Witnesses, witness};

#[cfg(test)]
mod tests;
