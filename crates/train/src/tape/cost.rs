//! How a layer's per-example norms are formed, and which way is cheaper.

use super::sizes::Sizes;

/// How a layer forms the norms of its per-example gradients. Both give the same norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormMethod {
    /// From the inner products of all positions' inputs and output gradients: no per-example gradient is formed.
    ///
    /// Source: Bu, Wang, Zha and Karypis 2022, equation 2.
    Ghost,
    /// From the per-example gradients, which are kept for the clipped sum.
    Instantiated,
}

/// Most bytes of per-example gradients that one layer keeps.
const MEMORY: f64 = 512.0 * 1024.0 * 1024.0;

/// How much longer a product takes in double than in single precision.
const DOUBLE: f64 = 2.0;

/// Multiplications and additions that take as long as one weight's way to memory and back: while everything fits the
/// caches (`NEAR`), for kept per-example gradients that do not (`KEPT`), for one sum that does not (`SUMMED`).
const NEAR: f64 = 60.0;
const KEPT: f64 = 350.0;
const SUMMED: f64 = 300.0;

/// Bytes that stay in a cache: of one core, and of all.
const OWN_CACHE: f64 = 1024.0 * 1024.0;
const CACHE: f64 = 8.0 * OWN_CACHE;

/// The way that takes less time, and never more than [`MEMORY`] for one layer.
///
/// Ghost norms take two matrices of inner products, `2 T² (p + d)`, and the clipped sum a product, `2 T p d`, all in
/// double precision. Instantiated gradients take one such product in single precision, and are written and read again.
/// (`T` positions, `p` values on one side, `d` on the other.) The bench `layers` measures both. `kept` is the number of
/// examples whose gradients are kept at once: all, or one where each is clipped while it is in cache.
pub(crate) fn cheaper(sizes: Sizes, kept: usize) -> NormMethod {
    let [positions, left, right] = [sizes.positions, sizes.left, sizes.right].map(|size| size as f64);
    let (weights, product) = (left * right, 2.0 * positions * left * right);
    let way = |bytes: f64, cache: f64, far: f64| weights * if bytes <= cache { NEAR } else { far };
    let kept = 4.0 * weights * sizes.groups as f64 * kept as f64;
    let products = 2.0 * positions * positions * (left + right) + product;
    let ghost = DOUBLE * products + way(8.0 * weights, OWN_CACHE, SUMMED);
    let instantiated = product + way(kept, CACHE, KEPT);
    if ghost < instantiated || kept > MEMORY { NormMethod::Ghost } else { NormMethod::Instantiated }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::sizes::Order;

    #[test]
    fn few_positions_of_many_weights_are_cheaper_by_inner_products() {
        let method = |positions, left, right, examples| {
            let sizes = Sizes { groups: 1, positions, left, right, bias: 0, order: Order::PositionsFirst };
            cheaper(sizes, examples)
        };
        assert_eq!(method(4, 256, 2304, 16), NormMethod::Ghost);
        assert_eq!(method(64, 64, 576, 16), NormMethod::Instantiated);
        assert_eq!(method(256, 64, 64, 16), NormMethod::Instantiated);
        // 16 examples' gradients of a million weights fit; 200 do not.
        assert_eq!(method(64, 1024, 1024, 16), NormMethod::Instantiated);
        assert_eq!(method(64, 1024, 1024, 200), NormMethod::Ghost);
    }
}
