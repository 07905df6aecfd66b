//! A policy in TOML, as the vocabulary checks it: what is read says the same when written as JSON and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_core::Policy;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(policy) = toml::from_str::<Policy>(text) else { return };
    let written = serde_json::to_string(&policy).expect("a policy has a JSON form");
    assert_eq!(serde_json::from_str::<Policy>(&written).expect("its own form is a policy"), policy);
});
