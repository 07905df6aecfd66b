//! underpin

pub mod report;
