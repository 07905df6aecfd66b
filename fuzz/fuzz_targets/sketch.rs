//! A sketch of the traffic: what was read takes more traffic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use underpin_core::{Disclosure, Inputs, Outputs, Shape, Sketch};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut sketch) = serde_json::from_slice::<Sketch>(bytes) else { return };
    let (features, classes) = (sketch.features.len(), sketch.answers.len());
    let Ok(shape) = Shape::new([features]) else { return };
    let inputs = Inputs::new(shape, vec![0.5; features]).expect("one row");
    let Ok(outputs) = Outputs::new(classes, vec![0.0; classes], Disclosure::Scores) else { return };
    sketch.observe(&inputs, &outputs);
});
