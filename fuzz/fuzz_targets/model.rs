//! A model in safetensors: what is read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_train::{Classifier, DeviceKind};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = Classifier::from_safetensors(bytes, DeviceKind::Flex) {
        let written = model.to_safetensors().expect("a model has a file");
        let read = Classifier::from_safetensors(&written, DeviceKind::Flex).expect("its own file is a model");
        assert_eq!(read.to_safetensors().expect("a model has a file"), written);
    }
});
