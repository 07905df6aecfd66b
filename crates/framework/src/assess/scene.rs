//! The scene of an assessment: the rows, the plan and the confidence that every attack is given.

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Confidence, Examples, Seed};

use crate::collected::CollectedData;
use crate::config::Attacks;

/// What every attack is given.
pub(super) struct Scene<'a> {
    pub(super) collected: &'a CollectedData,
    pub(super) plan: &'a Attacks,
    pub(super) confidence: Confidence,
    /// Whether the undefended baseline was trained as recommended for the data: [`crate::config::Config::baseline_recipe`].
    pub(super) baseline_recipe: &'static str,
}

impl Scene<'_> {
    /// Held-out examples, at most `most`, drawn without replacement.
    pub(super) fn sample(&self, most: usize, seed: Seed) -> Examples {
        thin(self.collected.holdout.examples(), most, seed)
    }
}

/// At most `most` of `examples`, drawn without replacement, in their order.
pub(super) fn thin(examples: &Examples, most: usize, seed: Seed) -> Examples {
    if examples.len() <= most {
        return examples.clone();
    }
    let mut rng = ChaCha12Rng::seed_from_u64(seed.0);
    let mut indices = sample(&mut rng, examples.len(), most).into_vec();
    indices.sort_unstable();
    examples.select(&indices)
}
