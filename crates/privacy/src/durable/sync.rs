//! The locks of `group_commit`.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
