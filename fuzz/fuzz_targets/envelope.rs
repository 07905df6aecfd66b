//! A DSSE envelope, and a statement in one: what is read is written back as it was.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use underpin::seal::{Envelope, PublicKey, open};
use underpin_core::Evidence;

static TRUSTED: LazyLock<Vec<PublicKey>> = LazyLock::new(|| vec![underpin_fuzz::models::key().public()]);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::read(bytes) {
        assert_eq!(envelope.to_bytes(), bytes);
    }
    let _ = open::<Evidence>(bytes, &TRUSTED);
    // What a signature would cover, were it there.
    let signed = Envelope::sign(bytes.to_vec(), underpin_fuzz::models::key()).to_bytes();
    let _ = open::<Evidence>(&signed, &TRUSTED);
});
