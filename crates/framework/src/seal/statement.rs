//! in-toto Statement v1: which files something is said of, and what is said.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use underpin_core::{Digest, Evidence, Subject};

use super::flaw::shown;
use super::{Envelope, Error, Flaw, PublicKey, SigningKey};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What a statement can say.
pub trait Predicate: Serialize + DeserializeOwned {
    /// Its predicate type, a URI that never changes its meaning.
    const TYPE: &'static str;
}

impl Predicate for Evidence {
    const TYPE: &'static str = "https://underpin.dev/evidence/v1";
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<WireSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSubject {
    name: String,
    digest: WireDigest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDigest {
    sha256: Digest,
}

/// Only what is needed to distinguish a statement of another kind from one that is broken.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

/// A statement whose signature was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed<P> {
    /// What is said.
    pub predicate: P,
    /// Of which files.
    pub subjects: Vec<Subject>,
    /// Id of the key that signed it.
    pub signer: Digest,
    /// SHA-256 of the envelope's bytes.
    pub digest: Digest,
}

/// Signs a statement; the bytes of its envelope.
///
/// # Errors
///
/// [`Error::NotReadable`] when the predicate would not read back, for instance for a NaN where JSON has none.
pub fn sign<P: Predicate>(predicate: &P, subjects: &[Subject], key: &SigningKey) -> Result<Vec<u8>, Error> {
    let refused = |reason: String| Error::NotReadable { predicate: P::TYPE, reason };
    let subject =
        |subject: &Subject| WireSubject { name: subject.name.clone(), digest: WireDigest { sha256: subject.digest } };
    let wire = Wire {
        kind: STATEMENT.to_owned(),
        subject: subjects.iter().map(subject).collect(),
        predicate_type: P::TYPE.to_owned(),
        predicate,
    };
    let payload = serde_json::to_vec(&wire).map_err(|error| refused(error.to_string()))?;
    parse::<P>(&payload).map_err(|flaw| refused(flaw.to_string()))?;
    Ok(Envelope::sign(payload, key).to_bytes())
}

/// Opens an envelope that must hold a statement of type `P` signed by a trusted key.
///
/// # Errors
///
/// Whatever is wrong with the envelope, its signature or the statement.
pub fn open<P: Predicate>(bytes: &[u8], trusted: &[PublicKey]) -> Result<Signed<P>, Flaw> {
    let envelope = Envelope::read(bytes)?;
    let (payload, key) = envelope.verify(trusted)?;
    let wire = parse::<P>(payload)?;
    let subject = |subject: WireSubject| Subject { name: subject.name, digest: subject.digest.sha256 };
    Ok(Signed {
        predicate: wire.predicate,
        subjects: wire.subject.into_iter().map(subject).collect(),
        signer: key.id(),
        digest: Digest::of(bytes),
    })
}

fn parse<P: Predicate>(payload: &[u8]) -> Result<Wire<P>, Flaw> {
    let malformed = |error: serde_json::Error| Flaw::malformed(&error);
    let Kind { predicate_type } = serde_json::from_slice(payload).map_err(malformed)?;
    if predicate_type != P::TYPE {
        return Err(Flaw::Kind { expected: P::TYPE, found: shown(&predicate_type) });
    }
    let wire: Wire<P> = serde_json::from_slice(payload).map_err(malformed)?;
    if wire.kind != STATEMENT {
        return Err(Flaw::Kind { expected: STATEMENT, found: shown(&wire.kind) });
    }
    let again = serde_json::to_vec(&wire).map_err(malformed)?;
    if again == payload { Ok(wire) } else { Err(Flaw::NotCanonical) }
}
