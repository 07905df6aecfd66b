//! Policies, as bytes that are hashed before anything is measured.

use underpin_core::{Digest, Policy};

use super::Error;

/// The policy for a model that answers strangers: the default.
pub const BASELINE: &str = include_str!("../../policies/baseline.toml");

/// The policy for a model whose training rows are personal, or whose errors are costly.
pub const STRICT: &str = include_str!("../../policies/strict.toml");

/// No policy is larger, bytes.
const LIMIT: usize = 1 << 20;

/// Reads a policy; it and the SHA-256 of its bytes.
///
/// # Errors
///
/// [`Error::Policy`] with line and column: text that is not UTF-8 or not TOML, an unknown or missing key, a limit that
/// is not a finite number or bounds from the wrong side, a threat without a bar.
///
/// # Examples
///
/// ```
/// use underpin::seal::policy;
///
/// let (policy, _) = policy::read(policy::BASELINE.as_bytes())?;
/// assert_eq!(policy.name(), "baseline");
/// # Ok::<(), underpin::seal::Error>(())
/// ```
pub fn read(bytes: &[u8]) -> Result<(Policy, Digest), Error> {
    let refuse = |at: usize, message: String| {
        let before = String::from_utf8_lossy(&bytes[..at.min(bytes.len())]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::Policy { line, column, message }
    };
    if bytes.len() > LIMIT {
        return Err(refuse(0, format!("{} bytes; allowed: {LIMIT}", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| refuse(error.valid_up_to(), "not UTF-8".to_owned()))?;
    let policy = toml::from_str::<Policy>(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        refuse(at, error.message().split('\n').collect::<Vec<_>>().join(", "))
    })?;
    Ok((policy, Digest::of(bytes)))
}
