//! underpin
