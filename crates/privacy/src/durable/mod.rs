//! Durable writes: files of their owner's alone ([`open_owned`]), a redb database in one ([`DurableStore`]), and group
//! commit for the threads that write to it ([`GroupCommit`]).
//!
//! One writer at a time commits what all threads wait for, so that they share the cost of one synchronisation. The
//! privacy budget of this crate and the query ledger of `underpin-serve` are written this way.

mod bounded;
mod group_commit;
mod owned;
mod store;
mod sync;

pub use bounded::{open_regular, read_bounded};
pub use group_commit::{BatchWriter, GroupCommit};
pub use owned::{
    Exposure, OwnedError, change_exposure, create_owned, folder_exposure, open_owned, owned_folder, read_owned,
    replace_owned, sync_folder_of,
};
pub use store::{DurableStore, StoreError};
