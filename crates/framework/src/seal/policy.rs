//! Policies, as bytes that are hashed before anything is measured.

use std::collections::BTreeSet;

use underpin_core::{Digest, Policy};

use super::Error;

/// The policy for a model that answers strangers: the default.
pub const BASELINE: &str = include_str!("../../policies/baseline.toml");

/// The policy for a model whose training rows are personal, or whose errors are costly.
pub const STRICT: &str = include_str!("../../policies/strict.toml");

/// The shipped policies, by the names that are reserved for them.
const SHIPPED: [(&str, &str); 2] = [("baseline", BASELINE), ("strict", STRICT)];

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
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !(1..=64).contains(&policy.name().len()) || !policy.name().bytes().all(allowed) {
        let at = text.find("name").unwrap_or(0);
        let name = super::flaw::shown(policy.name());
        return Err(refuse(at, format!("the name \"{name}\"; allowed: 1 to 64 of a-z 0-9 . _ -")));
    }
    let reserved = SHIPPED.iter().find(|(name, text)| *name == policy.name() && text.as_bytes() != bytes);
    if let Some((name, _)) = reserved {
        let at = text.find("name").unwrap_or(0);
        return Err(refuse(
            at,
            format!("the name {name:?} is reserved for the shipped policy, byte for byte: choose another"),
        ));
    }
    Ok((policy, Digest::of(bytes)))
}

/// The policies under which a relying party accepts a clearance, by the digests of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedPolicies(BTreeSet<Digest>);

impl AcceptedPolicies {
    /// The shipped policies: what is accepted when a relying party names none.
    pub fn shipped() -> Self {
        Self(SHIPPED.iter().map(|(_, text)| Digest::of(text.as_bytes())).collect())
    }

    /// Only these.
    pub fn only(digests: impl IntoIterator<Item = Digest>) -> Self {
        Self(digests.into_iter().collect())
    }

    /// The one policy that `text` names: `baseline`, `strict`, or `sha256:` and 64 hexadecimal digits; none for another
    /// text, which may be the path of a file.
    ///
    /// # Errors
    ///
    /// [`underpin_core::Error::Digest`] when what follows `sha256:` is no digest.
    pub fn named(text: &str) -> Result<Option<Self>, underpin_core::Error> {
        if let Some((_, shipped)) = SHIPPED.iter().find(|(name, _)| *name == text) {
            return Ok(Some(Self::only([Digest::of(shipped.as_bytes())])));
        }
        text.strip_prefix("sha256:").map(|digest| Ok(Self::only([digest.parse()?]))).transpose()
    }

    /// All that any of these accepts.
    pub fn any(policies: impl IntoIterator<Item = Self>) -> Self {
        Self(policies.into_iter().flat_map(|policies| policies.0).collect())
    }

    /// Whether a policy is accepted.
    pub fn contains(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }
}
