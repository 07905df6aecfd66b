//! One build of every dependency for `cargo xtask` and `cargo test` (what cargo-hakari calls a workspace-hack crate).
//!
//! cargo compiles a package once for each set of features that is asked of it. `cargo test --workspace` also asks for what
//! the tests and benches switch on (criterion and proptest below them); `cargo xtask` builds the package `xtask` alone and
//! would compile burn and everything else below a second time for a handful of features. `xtask` therefore depends on
//! this empty crate, whose manifest switches those features on. Nothing that is published depends on it.
//!
//! `cargo xtask tidy` compares the two sets and names each package whose features differ. cargo's own way
//! (`resolver.feature-unification = "workspace"`) is not stable.
