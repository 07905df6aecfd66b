//! Keys that sign, and keys that check.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{self, DerSignature, Signature, VerifyingKey};
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use underpin_core::Digest;
use underpin_privacy::durable::open_regular;

use super::{Error, disk};

/// No key file is larger.
const LIMIT: u64 = 64 * 1024;

/// A public key: ECDSA on NIST P-256 with SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a PEM text (SubjectPublicKeyInfo).
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when it is not a public key on P-256.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let refused = |error: p256::pkcs8::spki::Error| Error::Key { kind: "public key", reason: error.to_string() };
        Ok(Self(VerifyingKey::from_public_key_pem(text).map_err(refused)?))
    }

    /// Reads a PEM file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::KeyFile`], naming the file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = text(open_regular(path).map_err(Error::io("open", path))?, path)?;
        Self::from_pem(&text).map_err(|fault| Error::KeyFile { path: path.to_owned(), fault: fault.into() })
    }

    /// PEM text (SubjectPublicKeyInfo), lines ended by LF.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("invariant: a valid point has an encoding")
    }

    /// The key's id: SHA-256 of its PEM text.
    pub fn id(&self) -> Digest {
        Digest::of(self.to_pem().as_bytes())
    }

    /// Whether `signature` (DER) is this key's over `message`.
    ///
    /// Of the two signatures that ECDSA allows, `(r, s)` and `(r, n - s)`, only the one with the smaller `s` is taken,
    /// and only in its one DER encoding: who has one signature cannot make a second.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(parsed) = Signature::from_der(signature) else { return false };
        parsed.normalize_s().is_none() && self.0.verify(message, &parsed).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// A private key. Its scalar is wiped from memory when it is dropped, and never shown by `Debug`.
pub struct SigningKey(ecdsa::SigningKey);

impl SigningKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when there is none.
    pub fn generate() -> Result<Self, Error> {
        let mut scalar = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(scalar.as_mut()).map_err(Error::Randomness)?;
            // OK because a scalar outside [1, n) comes up with probability below 2^-32: the next one is drawn.
            if let Ok(key) = ecdsa::SigningKey::from_slice(scalar.as_ref()) {
                return Ok(Self(key));
            }
        }
    }

    /// Reads a PEM text (PKCS#8, not encrypted).
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when it is not a private key on P-256.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let refused =
            |error: p256::pkcs8::Error| Error::Key { kind: "private key (PKCS#8)", reason: error.to_string() };
        Ok(Self(ecdsa::SigningKey::from_pkcs8_pem(text).map_err(refused)?))
    }

    /// PEM text (PKCS#8), wiped from memory when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("invariant: a valid scalar has an encoding")
    }

    /// Reads a key file that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`Error::Exposed`] when others can read or write it (checked on Unix), [`Error::Io`] or [`Error::KeyFile`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let file = open_regular(path).map_err(Error::io("open", path))?;
        refuse_exposed(&file, path)?;
        let text = Zeroizing::new(text(file, path)?);
        Self::from_pem(&text).map_err(|fault| Error::KeyFile { path: path.to_owned(), fault: fault.into() })
    }

    /// Reads the key at `path`; makes one there first if there is none.
    ///
    /// The new file has mode 600, folders made for it have mode 700. Of several processes that make one at the same
    /// time one wins, and all read the same key: the file appears under its name complete or not at all.
    ///
    /// # Errors
    ///
    /// Those of [`SigningKey::load`] and [`SigningKey::generate`].
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            _ => {}
        }
        Self::load(path)
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// A secret for one purpose, for instance the noise that protects privacy; the same key gives the same secret.
    ///
    /// BLAKE3 `derive_key` of the private scalar under `underpin.dev v1 CONTEXT`: secrets of two contexts reveal nothing
    /// about each other, nor about the key.
    pub fn secret(&self, context: &str) -> [u8; 32] {
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        blake3::derive_key(&format!("underpin.dev v1 {context}"), scalar.as_ref())
    }

    /// Signs `message`; DER, the smaller `s`. The nonce is that of RFC 6979: the same message gives the same signature.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        let der: DerSignature = signature.normalize_s().unwrap_or(signature).to_der();
        der.as_bytes().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

fn text(file: File, path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text).map_err(Error::io("read", path))?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let mode = file.metadata().map_err(Error::io("read", path))?.permissions().mode() & 0o777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(Error::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &File, _: &Path) -> Result<(), Error> {
    Ok(())
}

fn create(path: &Path) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Error::Name { name: path.display().to_string() });
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    private_folders(parent)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(Error::Randomness)?;
    let draft = parent.join(format!(".{name}.{:016x}", u64::from_le_bytes(unique)));
    let made = SigningKey::generate().and_then(|key| write_private(&draft, key.to_pem().as_bytes()));
    // A link, unlike a rename, never replaces what another process has put there meanwhile.
    let linked = made.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", path)(error)),
        _ => Ok(()),
    });
    let removed = fs::remove_file(&draft).map_err(Error::io("remove", &draft));
    linked.and(removed).and_then(|()| disk::sync_folder(parent))
}

fn private_folders(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::io("create", path))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}
