//! TLS by rustls: versions 1.2 and 1.3, cryptography by ring.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::server::TlsStream;
use underpin_privacy::durable::read_bounded;

use crate::{Error, file};

/// Most bytes of a certificate chain.
const CHAIN_LIMIT: u64 = 1 << 20;

/// The server's certificate and key, by which it speaks TLS.
///
/// # Guarantees
///
/// 1. A key that others than its owner may read is refused (`a_key_that_others_may_read_is_refused`).
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads a certificate chain (PEM, the server's own first) and its private key (PEM: PKCS #8, SEC 1 or PKCS #1).
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] when a file holds something else, or the two do not fit; [`Error::File`]; [`Error::Exposed`] for a key
    /// that is a link, another user's or open to others.
    pub fn from_pem(chain: &Path, key: &Path) -> Result<Self, Error> {
        let refuse = |path: &Path, reason: String| Error::Tls { path: path.to_owned(), reason };
        let bytes = read_bounded(chain, CHAIN_LIMIT).map_err(Error::file(chain))?;
        let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| refuse(chain, error.to_string()))?;
        if certificates.is_empty() {
            return Err(refuse(chain, "no certificate in PEM".into()));
        }
        let missing = || Error::file(key)(io::ErrorKind::NotFound.into());
        let secret = file::read_private(key)?.ok_or_else(missing)?;
        let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(|error| refuse(key, error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(chain, error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(certificates, secret)
            .map_err(|error| refuse(chain, error.to_string()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.0.accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
