//! underpin
pub mod seal;
