//! The body of an inference request. The first byte: odd if its JSON ends where the second says, in 256ths.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_core::Shape;
use underpin_serve::read_request;

fuzz_target!(|bytes: &[u8]| {
    let [how, fraction, body @ ..] = bytes else { return };
    let header = (how % 2 == 1).then(|| (body.len() * usize::from(*fraction) / 256).to_string());
    let shape = Shape::new([2, 2]).expect("a shape");
    if let Some(inputs) = read_request(body, header.as_deref(), &shape, None) {
        assert_eq!(inputs.shape(), &shape);
        assert!(!inputs.is_empty() && inputs.values().iter().all(|value| value.is_finite()));
    }
});
