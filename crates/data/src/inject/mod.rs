//! Injects test faults into a copy of the rows (red team), so that detection is measured and not claimed.

mod detection;
mod faults;
mod injector;

pub use detection::{Detection, Detections, detection};
pub use faults::{Fault, Faults, Injected};
pub use injector::inject;
