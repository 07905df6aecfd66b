//! How a layer's per-example norms are formed, and which way is cheaper.

use super::factors::Sizes;

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

/// Multiplications and additions that take as long as one byte written and read back later, on one core.
const WORK_PER_BYTE: f64 = 6.0;

/// How much longer a product takes in double than in single precision.
const DOUBLE: f64 = 2.0;

/// The way that takes less time, and never more than [`MEMORY`] for one layer.
///
/// Ghost norms take two matrices of inner products, `2 T² (p + d)`, and the clipped sum another product, `2 T p d`, in
/// double precision. Instantiated gradients take one product, `2 T p d`, in single precision, and write and read `p d`
/// values twice. (`T` positions, `p` values on one side, `d` on the other.) The bench `layers` measures both.
pub(crate) fn cheaper(sizes: Sizes, examples: usize) -> NormMethod {
    let [positions, left, right] = [sizes.positions, sizes.left, sizes.right].map(|size| size as f64);
    let product = 2.0 * positions * left * right;
    let ghost = DOUBLE * (2.0 * positions * positions * (left + right) + product);
    let bytes = 4.0 * left * right;
    let instantiated = product + 2.0 * bytes * WORK_PER_BYTE;
    let kept = bytes * sizes.groups as f64 * examples as f64;
    if ghost < instantiated || kept > MEMORY { NormMethod::Ghost } else { NormMethod::Instantiated }
}
