//! The server over TLS. The certificate is its own issuer: `openssl req -x509`, for `localhost`, for a hundred years.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use underpin_privacy::durable::Exposure;
use underpin_serve::{Error, HttpLimits, Quota, Tls};

use crate::common::Server;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/tls").join(name)
}

/// A copy of the fixture's key that is its owner's alone, as no checkout makes it.
fn key(folder: &Path) -> PathBuf {
    let path = folder.join("key.pem");
    std::fs::copy(fixture("key.pem"), &path).unwrap();
    mode(&path, 0o600);
    path
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

/// What the server says to a client that trusts the certificate, or nobody.
fn get(server: &Server, name: &'static str, trusting: bool) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    if trusting {
        roots.add(CertificateDer::from_pem_file(fixture("cert.pem")).unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address).await?;
        let name = ServerName::try_from(name).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        Ok(reply)
    })
}

#[test]
fn a_server_with_a_certificate_speaks_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::from_pem(&fixture("cert.pem"), &key(folder.path())).unwrap();
    let limits = HttpLimits { head: Duration::from_secs(1), ..HttpLimits::default() };
    let quota = Quota { queries: 10, per_second: None };
    let server = Server::start_with(folder.path(), quota, limits, None, Some(tls));
    for name in ["localhost", "127.0.0.1"] {
        let reply = get(&server, name, true).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("{\"live\":true,\"ready\":true}"), "{reply}");
    }
    assert!(get(&server, "localhost", false).is_err(), "who does not trust the certificate hears nothing");
    assert!(get(&server, "example.org", true).is_err(), "nor who looks for another server");
    assert_eq!(server.get("/v2/health/ready").status, 0, "without TLS there is no answer");
    // Whoever begins no handshake is not waited for.
    let mut silent = vec![];
    // OK to be cut off without a word.
    let _ = server.connect().read_to_end(&mut silent);
    assert!(silent.is_empty());
}

#[test]
fn what_is_no_certificate_or_no_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (fixture("cert.pem"), key(folder.path()));
    assert!(matches!(Tls::from_pem(&key, &key), Err(Error::Tls { .. })), "a key is no certificate");
    let other = folder.path().join("other.pem");
    std::fs::copy(&chain, &other).unwrap();
    mode(&other, 0o600);
    assert!(matches!(Tls::from_pem(&chain, &other), Err(Error::Tls { .. })), "a certificate is no key");
    assert!(matches!(Tls::from_pem(&folder.path().join("none"), &key), Err(Error::File { .. })));
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    for open in [0o640, 0o604, 0o622] {
        mode(&key, open);
        let refused = Tls::from_pem(&fixture("cert.pem"), &key);
        assert!(
            matches!(refused, Err(Error::Exposed { exposure: Exposure::Permissions { .. }, .. })),
            "{open:o}: {refused:?}"
        );
    }
}
