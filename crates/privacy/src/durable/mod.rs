//! Durable writes: a redb database in a file of its owner's alone ([`DurableStore`]), and group commit for the threads
//! that write to it ([`GroupCommit`]).
//!
//! One writer at a time commits what all threads wait for, so that they share the cost of one synchronisation. The
//! privacy budget of this crate and the query ledger of `underpin-serve` are written this way.

mod group_commit;
mod store;
mod sync;

pub use group_commit::{BatchWriter, GroupCommit};
pub use store::{DurableStore, StoreError};
