//! IDX images and their labels, read and judged. The first byte is the fraction, in 256ths of the rest, at which the labels begin.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_data::Format;

fuzz_target!(|bytes: &[u8]| {
    let Some((fraction, rest)) = bytes.split_first() else { return };
    let (images, labels) = rest.split_at(rest.len() * usize::from(*fraction) / 256);
    underpin_fuzz::collect(Format::Idx, images, Some(labels));
});
