//! One forward pass for every use: it records nothing, sums gradients, or clips them example by example.

mod attention;
mod clip;
mod conv;
mod conv_gradients;
mod correlate;
mod cost;
mod custom;
mod each;
mod factors;
mod forward;
mod gradient;
pub(crate) mod host;
mod instantiated;
mod kept;
mod lanes;
mod layers;
mod linear;
mod lookup;
mod norm;
mod op;
mod outer;
mod parameters;
mod pool;
mod pooled;
mod recording;
mod recurrent;
mod sizes;
mod tanh;
mod tied;
mod unfold;
mod uses;
mod window;

pub use self::attention::Attend;
pub use self::cost::NormMethod;
pub use self::custom::ExampleRule;
pub use self::forward::Tape;
pub use self::gradient::Gradient;
pub(crate) use self::gradient::{ExampleGradients, Grouped};
pub(crate) use self::parameters::Parameter;
pub use self::recording::Recording;
pub(crate) use self::recording::{factor, rounded_down};
pub(crate) use self::tanh::tanh;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod pooled_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
