//! Fixed-point arithmetic on `[0, 1)` with 128 fractional bits: a `u128` stands for itself times `2^-128`.
//!
//! Every operation rounds down and is off by less than the stated number of units of `2^-128`.

/// Product, rounded down; off by less than 1 unit.
pub(crate) const fn mul(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let middle = a1 * b0 + ((a0 * b0) >> 64);
    let carried = a0 * b1 + (middle & LOW);
    a1 * b1 + (middle >> 64) + (carried >> 64)
}

/// `1 - exp(-z)` by its alternating series; off by less than 80 units, `z`'s own error apart.
///
/// Term `k` is `z^k / k!`: fewer than 35 terms are above one unit, each off by less than 2 units
/// (one from the product, one from the division; the error carried over shrinks by `z / k`).
pub(crate) const fn one_minus_exp_neg(z: u128) -> u128 {
    let (mut plus, mut minus, mut term, mut k) = (0u128, 0u128, z, 1);
    while term > 0 {
        if k % 2 == 1 {
            // May pass 1 and wrap; the difference below lies in [0, 1), so it comes out right.
            plus = plus.wrapping_add(term);
        } else {
            minus = minus.wrapping_add(term);
        }
        k += 1;
        term = mul(term, z) / k;
    }
    plus.wrapping_sub(minus)
}

/// `exp(-y)` for `y = whole + fraction`; off by less than `100 + 2 * whole` units.
pub(crate) const fn exp_neg(whole: u32, fraction: u128) -> u128 {
    // 1 - (1 - exp(-x)), with 1 standing as 2^128 - 1: one unit more.
    let mut value = u128::MAX - one_minus_exp_neg(fraction);
    // The largest fraction below 1 is off by one unit, and the slope of exp is below 1 there.
    let per_whole = u128::MAX - one_minus_exp_neg(u128::MAX);
    let mut n = 0;
    while n < whole {
        value = mul(value, per_whole);
        n += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_exact_to_a_unit() {
        assert_eq!(mul(1 << 127, 1 << 127), 1 << 126);
        assert_eq!(mul(u128::MAX, u128::MAX), u128::MAX - 1);
        assert_eq!(mul(u128::MAX, 1), 0);
        assert_eq!(mul(3 << 64, 5 << 64), 15);
    }

    /// Decimals of `exp(-1)`, `exp(-1/2)` and `exp(-20)` from their published expansions, cut to 2^-128.
    #[test]
    fn exponentials_are_known_to_their_last_bits() {
        let close = |found: u128, known: u128, units: u128| assert!(found.abs_diff(known) <= units, "{found} {known}");
        // 0.36787944117144232159552377016146086744581113103176783...
        close(exp_neg(1, 0), parse("36787944117144232159552377016146086744581113103177"), 102);
        // 0.60653065971263342360379953499118045344191813548718695...
        close(exp_neg(0, 1 << 127), parse("60653065971263342360379953499118045344191813548719"), 100);
        // 0.00000000206115362243855782796594038015582097637580727...
        close(exp_neg(20, 0), parse("00000000206115362243855782796594038015582097637581"), 140);
        assert_eq!(exp_neg(90, 0), 0);
    }

    /// The fixed-point number nearest below `0.DIGITS`.
    fn parse(digits: &str) -> u128 {
        let mut digits: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
        let mut value = 0;
        for _ in 0..128 {
            let mut carry = 0;
            for digit in digits.iter_mut().rev() {
                let doubled = *digit * 2 + carry;
                (*digit, carry) = (doubled % 10, doubled / 10);
            }
            value = value << 1 | u128::from(carry);
        }
        value
    }
}
