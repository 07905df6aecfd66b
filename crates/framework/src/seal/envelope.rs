//! DSSE v1: the envelope that carries a signed payload.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use underpin_core::Digest;

use super::flaw::shown;
use super::{Flaw, PublicKey, SigningKey};

/// Payload type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bytes that a DSSE signature covers: `DSSEv1 SP len(type) SP type SP len(payload) SP payload`.
///
/// Source: DSSE v1 protocol, "Signature Definition", `PAE`; lengths are decimal numbers of bytes.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// A payload under one signature.
///
/// Written in one way only: compact JSON in this order of fields, standard base64 with padding, one newline at the
/// end. Anything else is refused, so that no byte of a signed file can be changed unnoticed, signed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    key: Digest,
    signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: Digest,
    sig: String,
}

impl Envelope {
    /// Signs `payload`, an in-toto statement.
    pub fn sign(payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload));
        Self { payload, key: key.public().id(), signature }
    }

    /// The one way to write it: JSON and a newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![WireSignature { keyid: self.key, sig: STANDARD.encode(&self.signature) }],
        };
        let mut bytes = serde_json::to_vec(&wire).expect("invariant: strings have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads an envelope. It is not to be believed before [`Envelope::verify`].
    ///
    /// # Errors
    ///
    /// [`Flaw::Malformed`], [`Flaw::Kind`], [`Flaw::Signatures`], or [`Flaw::NotCanonical`] when it is written in
    /// another way than [`Envelope::to_bytes`] writes.
    pub fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| Flaw::malformed(&error))?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(Flaw::Kind { expected: PAYLOAD_TYPE, found: shown(&wire.payload_type) });
        }
        let [WireSignature { keyid, sig }] = &wire.signatures[..] else {
            return Err(Flaw::Signatures { found: wire.signatures.len() });
        };
        let decode = |text: &str| STANDARD.decode(text).map_err(|error| Flaw::malformed(&error));
        let envelope = Self { payload: decode(&wire.payload)?, key: *keyid, signature: decode(sig)? };
        if envelope.to_bytes() == bytes { Ok(envelope) } else { Err(Flaw::NotCanonical) }
    }

    /// The payload and the trusted key that signed it.
    ///
    /// # Errors
    ///
    /// [`Flaw::Untrusted`] or [`Flaw::Signature`].
    pub fn verify<'k>(&self, trusted: &'k [PublicKey]) -> Result<(&[u8], &'k PublicKey), Flaw> {
        let Some(key) = trusted.iter().find(|key| key.id() == self.key) else {
            return Err(Flaw::Untrusted { key: self.key });
        };
        if key.verifies(&pre_authentication_encoding(PAYLOAD_TYPE, &self.payload), &self.signature) {
            Ok((&self.payload, key))
        } else {
            Err(Flaw::Signature { key: key.id() })
        }
    }
}
