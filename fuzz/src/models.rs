//! What targets with a key share.

use underpin::seal::SigningKey;

/// A key that signs nothing of worth; made anew for each process.
pub fn key() -> &'static SigningKey {
    static KEY: std::sync::LazyLock<SigningKey> =
        std::sync::LazyLock::new(|| SigningKey::generate().expect("the system has randomness"));
    &KEY
}
