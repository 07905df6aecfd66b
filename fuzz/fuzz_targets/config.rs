//! A configuration in TOML, over the one that fits the digits.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use underpin::{Config, DeviceKind, seal::policy};
use underpin_core::Shape;

static FITTING: LazyLock<Config> = LazyLock::new(|| {
    let (policy, _) = policy::read(policy::BASELINE.as_bytes()).expect("the baseline is a policy");
    Config::recommended(&Shape::new([1, 8, 8]).expect("a shape"), [1000, 300], 10, DeviceKind::Flex, &policy)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = FITTING.changed(text);
});
