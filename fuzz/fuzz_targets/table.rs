//! A table (CSV and its cousins, plain or gzip), read and judged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_data::Format;

fuzz_target!(|bytes: &[u8]| underpin_fuzz::collect(Format::Csv, bytes, None));
