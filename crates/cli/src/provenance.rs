//! Revision of the code and versions of what computes, fixed when the program was built; and who runs it.

use std::collections::BTreeMap;

/// The git commit of the build; ` with changes` follows when the tree differed from it; `unknown` outside of a repository.
pub(crate) const REVISION: &str = env!("UNDERPIN_REVISION");

/// burn's version in the lock file of the build.
const BURN: &str = env!("UNDERPIN_BURN");

/// What `--version` prints.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\nrevision ", env!("UNDERPIN_REVISION"), "\nburn ", env!("UNDERPIN_BURN"));

/// Versions of what computes.
pub(crate) fn versions() -> BTreeMap<String, String> {
    [
        ("underpin", env!("CARGO_PKG_VERSION")),
        ("burn", BURN),
        ("architecture", std::env::consts::ARCH),
        ("system", std::env::consts::OS),
    ]
    .into_iter()
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .collect()
}

/// Who runs this, for the accountability log.
pub(crate) fn who() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "unknown".into())
}
