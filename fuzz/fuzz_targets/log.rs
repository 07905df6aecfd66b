//! An accountability log, unsigned or signed line by line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin::seal::{Envelope, Log};

fuzz_target!(|bytes: &[u8]| {
    let key = underpin_fuzz::models::key();
    let trusted = [key.public()];
    let _ = Log::read(bytes.to_vec(), &trusted);
    let lines = bytes.split(|byte| *byte == b'\n');
    let signed: Vec<u8> = lines.flat_map(|line| Envelope::sign(line.to_vec(), key).to_bytes()).collect();
    let _ = Log::read(signed, &trusted);
});
