use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use underpin_core::{Digest, Evidence, Value};

use super::fixture::*;
use crate::seal::*;

fn signed() -> Vec<u8> {
    let sample = Sample::cleared();
    sign(&sample.evidence, &sample.evidence.subjects, &sample.key).unwrap()
}

fn text() -> String {
    String::from_utf8(signed()).unwrap()
}

#[test]
fn the_encoding_is_that_of_the_dsse_specification() {
    let example = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(example, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    // Lengths are of bytes, not of characters.
    assert_eq!(pre_authentication_encoding("\u{e9}", b""), "DSSEv1 2 \u{e9} 0 ".as_bytes());
}

#[test]
fn a_signed_statement_opens_as_it_was() {
    let sample = Sample::cleared();
    let opened = open::<Evidence>(&signed(), &trusted()).unwrap();
    assert_eq!(opened.predicate, sample.evidence);
    assert_eq!(opened.subjects, sample.evidence.subjects);
    assert_eq!(opened.signer, key(1).public().id());
    assert_eq!(opened.digest, Digest::of(&signed()));
}

#[test]
fn a_statement_has_the_fields_of_in_toto() {
    let wire: serde_json::Value = serde_json::from_str(&text()).unwrap();
    assert_eq!(wire["payloadType"], "application/vnd.in-toto+json");
    let payload = STANDARD.decode(wire["payload"].as_str().unwrap()).unwrap();
    let statement: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://underpin.dev/evidence/v1");
    assert_eq!(statement["subject"][0]["name"], files::MODEL);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], Digest::of(MODEL).to_string());
    assert_eq!(statement["predicate"]["seed"], 7);
}

#[test]
fn another_way_to_write_the_same_is_refused() {
    let text = text();
    let flaw = |changed: String| open::<Evidence>(changed.as_bytes(), &trusted()).unwrap_err();
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!(" {text}"),
        text.replacen(':', ": ", 1),
        text.replacen("payloadType", "payload\\u0054ype", 1),
    ] {
        assert_eq!(flaw(changed), Flaw::NotCanonical);
    }
    let mut fields: Vec<&str> = text.trim_end().trim_matches(['{', '}']).splitn(3, ",\"").collect();
    fields.swap(0, 1);
    assert_eq!(flaw(format!("{{\"{},{},\"{}}}\n", fields[0], fields[1], fields[2])), Flaw::NotCanonical);
    for changed in [
        text.replacen("{\"payload\"", "{\"extra\":1,\"payload\"", 1),
        text.replacen("{\"payload\"", "{\"payload\":\"\",\"payload\"", 1),
        text.replacen("\"keyid\"", "\"cert\":\"\",\"keyid\"", 1),
        text.replacen("==", "", 1).replacen("\"sig\":\"", "\"sig\":\"=", 1),
    ] {
        assert!(matches!(flaw(changed.clone()), Flaw::Malformed { .. }), "{changed}");
    }
}

#[test]
fn the_unused_bits_of_base64_are_refused() {
    // A payload of which the last base64 digit carries unused bits: two padding signs, four spare bits.
    let envelope = Envelope::sign(b"{}..".to_vec(), &key(1));
    let text = String::from_utf8(envelope.to_bytes()).unwrap();
    assert!(text.contains("Lg==\""), "{text}");
    let spare = text.replacen("Lg==\"", "Lh==\"", 1);
    assert!(matches!(Envelope::read(spare.as_bytes()), Err(Flaw::Malformed { .. })));
}

#[test]
fn a_payload_in_another_order_is_refused_even_when_signed() {
    let payload = br#"{"subject":[],"_type":"https://in-toto.io/Statement/v1","predicateType":"https://underpin.dev/revocation/v1","predicate":{"model":"0000000000000000000000000000000000000000000000000000000000000000","at":1,"reason":""}}"#;
    let bytes = Envelope::sign(payload.to_vec(), &key(1)).to_bytes();
    assert_eq!(open::<Revocation>(&bytes, &trusted()).unwrap_err(), Flaw::NotCanonical);
}

#[test]
fn a_signature_by_another_key_is_named() {
    let other = key(2).public();
    let flaw = open::<Evidence>(&signed(), std::slice::from_ref(&other)).unwrap_err();
    assert_eq!(flaw, Flaw::Untrusted { key: key(1).public().id() });
    // Claiming a trusted key's id does not help.
    let claimed = text().replace(&key(1).public().id().to_string(), &other.id().to_string());
    let flaw = open::<Evidence>(claimed.as_bytes(), std::slice::from_ref(&other)).unwrap_err();
    assert_eq!(flaw, Flaw::Signature { key: other.id() });
}

#[test]
fn one_kind_of_statement_does_not_pass_for_another() {
    let flaw = open::<ClearanceDocument>(&signed(), &trusted()).unwrap_err();
    assert!(matches!(flaw, Flaw::Kind { expected: "https://underpin.dev/clearance/v1", .. }), "{flaw}");
    let other = text().replacen("vnd.in-toto+json", "vnd.in-toto+cbor", 1);
    assert!(matches!(open::<Evidence>(other.as_bytes(), &trusted()), Err(Flaw::Kind { .. })));
}

#[test]
fn what_others_wrote_is_shown_without_control_characters_and_in_short() {
    let other = text().replacen("vnd.in-toto+json", "\\u001b[2J\\n", 1);
    let shown = open::<Evidence>(other.as_bytes(), &trusted()).unwrap_err().of("\x1b[2J").to_string();
    assert!(shown.contains("\\u{1b}[2J") && !shown.contains(['\x1b', '\n']), "{shown:?}");
    let long = text().replacen("{\"payload\"", &format!("{{\"{}\":1,\"payload\"", "x".repeat(100_000)), 1);
    let shown = open::<Evidence>(long.as_bytes(), &trusted()).unwrap_err().to_string();
    assert!(shown.len() < 400 && shown.contains("unknown field `xxx"), "{shown}");
}

#[test]
fn none_and_two_signatures_are_refused() {
    let text = text();
    let at = text.find("[{\"keyid\"").unwrap();
    let one = &text[at + 1..text.len() - 3];
    for (signatures, found) in [(String::new(), 0), (format!("{one},{one}"), 2)] {
        let changed = format!("{}[{signatures}]}}\n", &text[..at]);
        let flaw = open::<Evidence>(changed.as_bytes(), &trusted()).unwrap_err();
        assert_eq!(flaw, Flaw::Signatures { found });
    }
}

#[test]
fn what_would_not_read_back_is_not_signed() {
    let mut sample = Sample::cleared();
    sample.evidence.record.parameters.insert("bad".into(), Value::Number(f64::NAN));
    let error = sign(&sample.evidence, &sample.evidence.subjects, &sample.key).unwrap_err();
    assert!(matches!(error, Error::NotReadable { .. }), "{error}");
    // Evidence itself may hold NaN where the vocabulary has a word for it.
    let mut sample = Sample::cleared();
    sample.evidence.record.measurements[0].value = f64::NAN;
    assert!(sign(&sample.evidence, &sample.evidence.subjects, &sample.key).is_ok());
}

/// Another implementation agrees: `openssl dgst -sha256 -verify` over the encoding.
#[test]
fn openssl_verifies_the_signature() {
    if !Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: there is no openssl on this machine");
        return;
    }
    let wire: serde_json::Value = serde_json::from_str(&text()).unwrap();
    let decode = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("pub.pem"), key(1).public().to_pem()).unwrap();
    std::fs::write(place.path().join("sig.der"), decode(&wire["signatures"][0]["sig"])).unwrap();
    let payload = decode(&wire["payload"]);
    let header = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    let verify = |message: &[u8]| {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig.der"])
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(message).unwrap();
        openssl.wait().unwrap().success()
    };
    let message = [header.as_bytes(), &payload].concat();
    assert!(verify(&message));
    assert!(!verify(&message[1..]));
}
