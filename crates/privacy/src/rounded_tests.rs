//! The table against known numbers, and the draws against the law.

use super::*;
use crate::SecretKey;

#[test]
fn weights_add_up_and_follow_the_density() {
    let weights = weights();
    assert_eq!(weights.iter().sum::<u128>(), 1 << 127);
    assert!(weights[AGAIN] < 1 << 119, "less than one draw in 256 is spent on the rest");
    // Each but the last is the density, cut to 2^-112, times one number.
    let factor = weights[0] / (u128::MAX >> 16);
    for (cell, weight) in weights.iter().enumerate().take(AGAIN) {
        assert_eq!(*weight, (density(cell as u64) >> 16) * factor, "{cell}");
    }
}

/// `exp(-a²/2)` at the left ends of cells, cut to 2^-128: by decimal arithmetic of 90 digits elsewhere.
#[test]
fn densities_are_known_to_their_last_bits() {
    for (cell, known) in [
        (1, 0xfff8_0021_ff9a_8b98_5385_5ca9_031b_2a69),
        (2, 0xffe0_0203_ea2b_3d5c_ba94_ba1d_fc96_2f96),
        (64, 0x9b45_9831_1f7c_41b2_2e97_2504_c155_f332),
        (200, 0x01f0_7ac9_e5fe_5abb_f5e3_78cf_a0c7_6a30),
        (500, 0xf_b280_3f9c_1881_0b44_679b),
        (640, 0xe9_2bef_31cb_e26f),
        (797, 0x1_18c2),
    ] {
        assert!(density(cell).abs_diff(known) <= 260, "{cell}");
    }
    for (z, known) in [
        (0x1ad_7f29_abca_f485_787a_6520_ec08_u128, 0x1ad_7f28_4381_3ce4_e296_211b_811a_u128),
        (1 << 125, 0x1e14_aed8_93ee_f3c3_c14e_d960_d0a2_b505),
        (1 << 127, 0x64ba_681c_834f_b00c_298a_5caa_cf32_2898),
        (15 << 124, 0x9bbf_bbd0_7e5a_27c7_d67a_305c_6cb8_7918),
    ] {
        assert!(one_minus_exp_neg(z).abs_diff(known) <= 80, "{z}");
    }
}

#[test]
fn alias_table_holds_the_weights() {
    let weights = weights();
    let table = RoundedGaussian::from_weights(&weights);
    let mut found = vec![0u128; CELLS];
    for (column, entry) in table.columns.iter().enumerate() {
        let (first, alias) = RoundedGaussian::column(*entry);
        let threshold = u128::from(first) << (THRESHOLD_BITS - FIRST_BITS) | table.rest[column];
        found[column] += threshold;
        found[alias as usize] += (1 << THRESHOLD_BITS) - threshold;
    }
    assert!(found == weights);
}

/// Every lane is what its word settles, or what the word and further bits do; the sign alone turns the integer.
#[test]
fn lanes_settle_as_one_word_does() {
    let key = SecretKey::new([6; 32]);
    let (table, mut draws) = (RoundedGaussian::shared(), Draws::of(&key, &[b"here"]));
    let (mut words, mut more) = (key.stream("noise", &[b"here"]), key.stream("more noise", &[b"here"]));
    let mut open = 0;
    for _ in 0..2_000 {
        let block = *words.0.block();
        for (lane, found) in draws.block().iter().enumerate() {
            let word = u64::from(block[lane]) << 32 | u64::from(block[lane + LANES]);
            let before = more.0.position();
            assert_eq!(*found, table.settled(word, &mut more));
            open += usize::from(more.0.position() != before);
        }
    }
    assert!((1_500..3_000).contains(&open), "{open} of 256,000 need further bits");
    assert!([0, 1, 7, (1 << 28) - 1].iter().all(|size| signed(*size, 1) == -signed(*size, 0)));
}

/// How often a point at the upper end of a cell is kept, 200,000 times: within six standard deviations of
/// `exp(-(x² - a²)/2)`, false alarms below 1e-8 each; at magnitude 0 half as often.
#[test]
fn points_are_kept_in_proportion_to_the_density() {
    let mut stream = SecretKey::new([4; 32]).stream("test", &[]);
    for (cell, offset, fraction) in [
        (200, (1 << CELL_BITS) - 1, (-(201.0f64.powi(2) - 200.0f64.powi(2)) / 8192.0).exp()),
        (700, 1 << 17, (-(700.5f64.powi(2) - 700.0f64.powi(2)) / 8192.0).exp()),
        (0, 0, 0.5),
        (AGAIN as u64, 0, 0.0),
    ] {
        let draws = 200_000;
        let kept = (0..draws).filter(|_| {
            let first = stream.0.next_u64() >> 45;
            accepted(cell, offset, first, &mut stream)
        });
        let kept = kept.count() as f64 / f64::from(draws);
        let deviation = (fraction * (1.0 - fraction) / f64::from(draws)).sqrt();
        assert!((kept - fraction).abs() <= 6.0 * deviation + 1e-6, "{cell} {offset}: {kept} {fraction}");
    }
}

/// A decision without the exponential is the same as one with it: its bounds lie on either side of it, by less than is asked for.
#[test]
fn the_exponential_lies_between_its_bounds() {
    for shift in [3u32, 4, 8, 20, 40, 64, 100, 127] {
        for z in [u128::MAX >> shift, (u128::MAX >> shift) / 3, 1 << (127 - shift)] {
            let exact = one_minus_exp_neg(z);
            assert!(exact < z + NEAR && z - mul(z, z) / 2 < exact + NEAR, "{z}");
        }
    }
}

/// `Φ(x / σ)` for a distance in grid units.
fn below(distance: f64) -> f64 {
    0.5 * libm::erfc(-distance / exp2(SIGMA_BITS) / std::f64::consts::SQRT_2)
}

fn exp2(exponent: u32) -> f64 {
    2f64.powi(exponent.cast_signed())
}

/// Chi-square of counts, at a false-alarm rate below `exp(-16)` = 2e-7 by the tail of Laurent and Massart (2000, Lemma
/// 1); cells of fewer than ten expected draws are one.
fn assert_counts(name: &str, counts: &[(u64, f64)]) {
    let (mut sum, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
    let mut add = |count: f64, expected: f64| {
        sum += (count - expected).powi(2) / expected;
        cells += 1.0;
    };
    for (count, expected) in counts {
        if *expected < 10.0 {
            rest = (rest.0 + *count as f64, rest.1 + expected);
        } else {
            add(*count as f64, *expected);
        }
    }
    // Of less than one expected draw, any is tested by the tails of the KS test alone.
    if rest.1 >= 1.0 {
        add(rest.0, rest.1);
    }
    let freedom: f64 = cells - 1.0;
    assert!(sum < freedom + 2.0 * (freedom * 16.0).sqrt() + 32.0, "{name}: {sum} at {freedom} degrees of freedom");
}

/// Chi-square at standard deviations of 1, 16, 256 and 4,096 coarser units, over 200 cells of equal probability, and over
/// 64 slices of the finest bits; Kolmogorov and Smirnov over all. 2 million draws.
///
/// A coarser unit is so many grid units that are rounded together: their probability is known as exactly as Φ. False-alarm
/// rate below 2e-7 each.
#[test]
fn draws_follow_the_rounded_gaussian() {
    const DRAWS: u32 = 2_000_000;
    let mut stream = Draws::of(&SecretKey::new([3; 32]), &[]);
    let mut draws: Vec<i64> = (0..DRAWS).map(|_| i64::from(stream.next())).collect();
    draws.sort_unstable();

    for shift in [24u32, 20, 16, 12] {
        let (unit, reach) = (1i64 << shift, 6i64 << (SIGMA_BITS - shift));
        let mut counts = vec![0u64; 2 * reach as usize + 1];
        for draw in &draws {
            counts[((draw + unit / 2).div_euclid(unit).clamp(-reach, reach) + reach) as usize] += 1;
        }
        let expected = |at: usize| {
            // Rounded draws from `start` to `start + unit - 1`; the ends take what lies beyond them.
            let start = (at as i64 - reach) * unit - unit / 2;
            let low = if at == 0 { 0.0 } else { below(start as f64 - 0.5) };
            let high = if at == 2 * reach as usize { 1.0 } else { below((start + unit) as f64 - 0.5) };
            (high - low) * f64::from(DRAWS)
        };
        let cells: Vec<_> = counts.iter().enumerate().map(|(at, count)| (*count, expected(at))).collect();
        assert_counts(&format!("sigma of {} units", 1 << (SIGMA_BITS - shift)), &cells);
    }

    let (mut even, mut fine) = (vec![0u64; 200], vec![0u64; 64]);
    for draw in &draws {
        even[((below(*draw as f64) * 200.0) as usize).min(199)] += 1;
        fine[draw.rem_euclid(64) as usize] += 1;
    }
    for (name, counts) in [("even cells", even), ("finest bits", fine)] {
        let expected = f64::from(DRAWS) / counts.len() as f64;
        assert_counts(name, &counts.into_iter().map(|count| (count, expected)).collect::<Vec<_>>());
    }

    let (n, mut furthest) = (f64::from(DRAWS), 0.0f64);
    for (at, draw) in draws.iter().enumerate() {
        furthest = furthest.max((below(*draw as f64 + 0.5) - (at + 1) as f64 / n).abs());
        furthest = furthest.max((below(*draw as f64 - 0.5) - at as f64 / n).abs());
    }
    // P(D > t) <= 2 exp(-2 n t²) (Massart 1990); ties make both sides at most one unit's mass, 2.4e-8, larger.
    assert!(furthest < (1e7f64.ln() / (2.0 * n)).sqrt() + 1e-7, "{furthest}");
}
