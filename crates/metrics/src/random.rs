//! Random streams; every one starts at a seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use underpin_core::Seed;

/// The random stream of `seed`.
pub(crate) fn stream(seed: Seed) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed.0)
}

/// A standard normal variate (Box and Muller 1958).
pub(crate) fn normal(rng: &mut ChaCha12Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// A fair coin: 1 or -1.
pub(crate) fn sign(rng: &mut ChaCha12Rng) -> f32 {
    if rng.random::<bool>() { 1.0 } else { -1.0 }
}
