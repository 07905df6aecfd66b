//! Seeds: where public randomness starts.

use serde::{Deserialize, Serialize};

/// Where public randomness starts; the same seed gives the same run.
///
/// For reproducibility only. Noise that protects privacy must not come from a seed that is published:
/// whoever knows it can subtract the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed for one purpose, so that no two purposes share a random stream.
    ///
    /// FNV-1a over the purpose, finished by the mixer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Seed;
    ///
    /// let seed = Seed(7);
    /// assert_eq!(seed.derive("split"), seed.derive("split"));
    /// assert_ne!(seed.derive("split"), seed.derive("shadow"));
    /// ```
    #[must_use]
    pub fn derive(self, purpose: &str) -> Self {
        let hash = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.mix(hash)
    }

    /// The `index`-th of a family of seeds.
    #[must_use]
    pub fn nth(self, index: u64) -> Self {
        self.mix(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn mix(self, with: u64) -> Self {
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ with.rotate_left(17);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_seeds_differ() {
        let mut seen = std::collections::HashSet::new();
        for base in 0..64 {
            for index in 0..64 {
                assert!(seen.insert(Seed(base).nth(index)));
            }
        }
        assert_ne!(Seed(0).derive("a"), Seed(1).derive("a"));
    }
}
