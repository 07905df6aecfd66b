//! The first state: a policy is declared.

use underpin_core::{Digest, Policy};

use crate::{Error, seal};

/// A policy is fixed: read, complete, and known by the digest of its bytes. Nothing has been measured.
#[derive(Debug)]
pub struct Declared {
    policy: Policy,
    digest: Digest,
    bytes: Vec<u8>,
}

impl Declared {
    /// Reads and hashes a policy.
    ///
    /// # Errors
    ///
    /// When the bytes are no complete policy, naming what is wrong or missing.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (policy, digest) = seal::policy::read(bytes)?;
        Ok(Self { policy, digest, bytes: bytes.to_vec() })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes, as they were read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
