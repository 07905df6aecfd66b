//! A policy file, as a run reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = underpin::seal::policy::read(bytes);
});
