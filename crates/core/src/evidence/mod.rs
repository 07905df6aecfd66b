//! Evidence: values and measurements, the record of a step, and what binds a record to data, model and policy.

mod about;
mod bundle;
mod control;
mod interval;
mod measurement;
mod metric;
mod quantity;
mod record;
mod shortfall;
mod value;

pub use about::{About, System};
pub use bundle::{Attempt, Evidence, Subject};
pub use control::Control;
pub use interval::Interval;
pub use measurement::Measurement;
pub use metric::Metric;
pub use quantity::{Direction, Quantity, Unit};
pub use record::{Point, Record, Series};
pub use shortfall::Shortfall;
pub use value::Value;
