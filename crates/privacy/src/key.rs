//! Secret keys and the random streams drawn from them.

use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::Error;

/// Thirty-two secret bytes from which noise and samples are drawn.
///
/// Neither `Clone` nor `Copy`: a key that seeds two runs gives both the same noise, and their difference has none.
/// `Debug` shows nothing of it.
///
/// # Limits
///
/// The bytes are overwritten on drop; copies that the compiler, a moved value or a random stream's state leaves
/// behind are not.
///
/// # Examples
///
/// ```
/// use underpin_privacy::SecretKey;
///
/// let key = SecretKey::from_os()?;
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// let noise = key.derive("noise", &[b"run 7"]);
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntropy`] when it gives none.
    pub fn from_os() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::NoEntropy { reason: error.to_string() })?;
        Ok(Self(bytes))
    }

    /// A key that the caller already holds. It must be secret, uniform and used for nothing else.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose; another context or other parts give an unrelated key.
    ///
    /// Keyed BLAKE3 over the length-prefixed context and parts, so that no two lists of parts collide.
    #[must_use]
    pub fn derive(&self, context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(context.as_bytes()).chain(parts.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// A random stream of its own for one purpose.
    #[must_use]
    pub fn stream(&self, context: &str, parts: &[&[u8]]) -> SecretStream {
        SecretStream(ChaCha20Rng::from_seed(self.derive(context, parts).0))
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.derive("fingerprint", &[]).0
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping the write as dead.
        std::hint::black_box(&mut self.0);
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Random bits for noise: ChaCha with 20 rounds (Bernstein 2008), keyed by a [`SecretKey`].
///
/// Not `Clone`: two copies would give the same noise.
pub struct SecretStream(pub(crate) ChaCha20Rng);

impl fmt::Debug for SecretStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = SecretKey::new([7; 32]);
        let of = |context: &str, parts: &[&[u8]]| key.derive(context, parts).0;
        let keys = [
            of("a", &[]),
            of("b", &[]),
            of("a", &[b""]),
            of("a", &[b"xy"]),
            of("a", &[b"x", b"y"]),
            of("a", &[b"", b"xy"]),
            of("ax", &[b"y"]),
            SecretKey::new([8; 32]).derive("a", &[]).0,
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(of("a", &[b"x", b"y"]), of("a", &[b"x", b"y"]));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        assert_eq!(format!("{:?}", SecretKey::new([7; 32])), "SecretKey(..)");
        assert_eq!(format!("{:?}", SecretKey::new([7; 32]).stream("a", &[])), "SecretStream(..)");
        assert_ne!(SecretKey::from_os().unwrap().0, SecretKey::from_os().unwrap().0);
    }
}
