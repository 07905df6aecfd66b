use std::fs;
use underpin_core::Digest;

use p256::ecdsa::Signature;

use super::fixture::key;
use crate::seal::*;

/// The key of RFC 6979, A.2.5.
fn rfc_key() -> SigningKey {
    use p256::pkcs8::EncodePrivateKey;
    let scalar = bytes("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    let pem = p256::SecretKey::from_slice(&scalar).unwrap().to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap();
    SigningKey::from_pem(&pem).unwrap()
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn signature(r: &str, s: &str) -> Signature {
    Signature::from_slice(&[bytes(r), bytes(s)].concat()).unwrap()
}

#[test]
fn signatures_are_those_of_rfc_6979_with_the_smaller_s() {
    let key = rfc_key();
    // "test": the RFC's s is already the smaller one.
    let test = signature(
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    );
    assert_eq!(key.sign(b"test"), test.to_der().as_bytes());
    // "sample": the RFC's s is the larger one; its twin is signed, and the RFC's own is refused.
    let sample = signature(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    );
    let twin = sample.normalize_s().unwrap();
    assert_eq!(key.sign(b"sample"), twin.to_der().as_bytes());
    assert!(key.public().verifies(b"sample", twin.to_der().as_bytes()));
    assert!(!key.public().verifies(b"sample", sample.to_der().as_bytes()));
    assert!(!key.public().verifies(b"test", twin.to_der().as_bytes()));
}

#[test]
fn a_signature_has_one_encoding() {
    let key = rfc_key();
    let der = key.sign(b"test");
    assert!(key.public().verifies(b"test", &der));
    // 30 LEN 02 LEN r 02 LEN s: a long form of a length, a zero before s, a byte after the end.
    let long = [&[0x30, 0x81, der[1]], &der[2..]].concat();
    let at = 4 + usize::from(der[3]);
    let (r, s) = (&der[2..at], &der[at + 2..]);
    let zero = [&[0x30, der[1] + 1], r, &[0x02, der[at + 1] + 1, 0x00], s].concat();
    let more = [&der[..], &[0]].concat();
    let counted = [&[0x30, der[1] + 1], &der[2..], &[0]].concat();
    for other in [&long, &zero, &more, &counted, &vec![]] {
        assert!(!key.public().verifies(b"test", other), "{other:02x?}");
    }
}

#[test]
fn keys_survive_the_round_trip() {
    for original in [key(1), SigningKey::generate().unwrap()] {
        let again = SigningKey::from_pem(&original.to_pem()).unwrap();
        assert_eq!(again.public(), original.public());
        assert_eq!(again.sign(b"m"), original.sign(b"m"));
        let public = original.public();
        assert_eq!(PublicKey::from_pem(&public.to_pem()).unwrap(), public);
        assert_eq!(public.id(), Digest::of(public.to_pem().as_bytes()));
        assert!(public.to_pem().starts_with("-----BEGIN PUBLIC KEY-----\n") && !public.to_pem().contains('\r'));
    }
    assert_ne!(SigningKey::generate().unwrap().public(), SigningKey::generate().unwrap().public());
}

#[test]
fn what_is_not_a_p256_key_is_refused() {
    let other_curve = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    for text in ["", "hello", other_curve, &key(1).to_pem()] {
        assert!(matches!(PublicKey::from_pem(text), Err(Error::Key { .. })), "{text}");
    }
    for text in ["", "hello", other_curve, &key(1).public().to_pem()] {
        assert!(matches!(SigningKey::from_pem(text), Err(Error::Key { .. })), "{text}");
    }
}

#[test]
fn a_private_key_is_never_shown() {
    let key = key(7);
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().id()));
}

#[test]
fn secrets_differ_by_context_and_key_and_repeat() {
    let secret = key(1).secret("noise");
    assert_eq!(secret, key(1).secret("noise"));
    assert_ne!(secret, key(1).secret("nois"));
    assert_ne!(secret, key(2).secret("noise"));
    assert_eq!(secret, blake3::derive_key("underpin.dev v1 noise", &[1; 32]));
}

#[test]
fn a_missing_key_is_made_once_however_many_ask() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("underpin/keys/key.pem");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let ask = || SigningKey::load_or_create(&path).unwrap().public().id();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(SigningKey::load(&path).unwrap().public().id(), ids[0]);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "drafts are left: {left:?}");
}

#[cfg(unix)]
#[test]
fn key_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("underpin");
    let path = folder.join("key.pem");
    SigningKey::load_or_create(&path).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    for exposed in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
        let error = SigningKey::load_or_create(&path).unwrap_err();
        assert!(matches!(error, Error::Exposed { mode, .. } if mode == exposed), "{error}");
        assert!(error.to_string().contains("key.pem") && error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_broken_key_file_is_named_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("key.pem");
    SigningKey::load_or_create(&path).unwrap();
    fs::write(&path, "no key").unwrap();
    let error = SigningKey::load_or_create(&path).unwrap_err();
    assert!(matches!(error, Error::KeyFile { .. }) && error.to_string().contains("key.pem"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"no key");
    let error = PublicKey::load(&place.path().join("none.pem")).unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
}
