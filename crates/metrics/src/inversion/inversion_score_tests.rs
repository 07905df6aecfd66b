use underpin_core::{Confidence, Inputs, Phase, Seed, Shape, System};

use super::*;

fn metric() -> InversionScore {
    let confidence = Confidence::new(0.95).unwrap();
    let setting = Setting::test(System::Defended, Phase::Deployment, "t", confidence);
    InversionScore { setting, bootstrap: Bootstrap { resamples: 500, seed: Seed(1) } }
}

fn inputs(size: usize, values: Vec<f32>) -> Inputs {
    Inputs::new(Shape::new([size]).unwrap(), values).unwrap()
}

fn shown(inputs: Inputs) -> Reconstructions {
    Reconstructions { inputs, queries: 3 }
}

/// Two classes at (0.5 +- 0.2, 0.5), members off by +-0.1 in the second feature.
fn cross() -> Examples {
    let values = vec![0.7, 0.6, 0.7, 0.4, 0.3, 0.6, 0.3, 0.4];
    Examples::new(inputs(2, values), vec![0, 0, 1, 1], 2).unwrap()
}

#[test]
fn contrasts_by_hand() {
    // g = (0.5, 0.5); members at (+-0.2, +-0.1): cosine with the x-axis is 2 / sqrt 5. The class mean without the
    // member is the other member: cosine (0.04 - 0.01) / 0.05 = 0.6. The other class's mean has -2 / sqrt 5.
    let axis = 2.0 / 5.0_f64.sqrt();
    let score = likeness(&shown(inputs(2, vec![0.9, 0.5, 0.1, 0.5])), &cross()).unwrap();
    assert!((score - 2.0 * axis / (0.6 + axis)).abs() < 1e-6, "{score}");
    // The wrong way round is the same with the sign turned.
    let turned = likeness(&shown(inputs(2, vec![0.1, 0.5, 0.9, 0.5])), &cross()).unwrap();
    assert!((turned + score).abs() < 1e-6);
}

#[test]
fn what_does_not_depend_on_the_class_scores_0() {
    for row in [[0.5, 0.5], [0.9, 0.1], [1.0, 1.0]] {
        let score = likeness(&shown(inputs(2, [row, row].concat())), &cross()).unwrap();
        assert!(score.abs() < 1e-12, "{row:?} {score}");
    }
}

fn members(seed: u64) -> Examples {
    let mut rng = crate::random::stream(Seed(seed));
    let values = (0..60 * 16).map(|at| {
        let template = if (at / 16 + at % 16) % 3 == 0 { 0.8 } else { 0.4 };
        (template + 0.1 * (rng.random::<f32>() - 0.5)).clamp(0.0, 1.0)
    });
    let values = values.collect();
    Examples::new(inputs(16, values), (0..60).map(|at| at % 3).collect(), 3).unwrap()
}

#[test]
fn the_class_mean_of_other_members_scores_1() {
    let (trained, held_out) = (members(1), members(2));
    let means = class_means(&trained, &trained.counts());
    #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
    let means = means.concat().into_iter().map(|value| value as f32).collect();
    let found = metric().measure(&shown(inputs(16, means)), &held_out).unwrap();
    assert!((found.value - 1.0).abs() < 0.02, "{found}");
    assert!(found.interval.lower <= found.value && found.value <= found.interval.upper);
    assert_eq!((found.n, found.chance, found.queries), (60, Some(0.0), Some(3)));
    assert_eq!(found.quantity, Quantity::InversionScore);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let good = shown(inputs(2, vec![0.9, 0.5, 0.1, 0.5]));
    let one = cross().select(&[0, 2, 3]);
    assert!(matches!(metric().measure(&good, &one), Err(Error::TooFewOfClass { class: 0, needed: 2, found: 1 })));
    let wide = shown(inputs(3, vec![0.0; 6]));
    assert!(matches!(metric().measure(&wide, &cross()), Err(Error::Length { .. })));
    let nan = shown(inputs(2, vec![0.0, 0.0, f32::NAN, 0.0]));
    assert!(matches!(metric().measure(&nan, &cross()), Err(Error::NotANumber { position: 1, .. })));
    let single = Examples::new(inputs(2, vec![0.1, 0.2, 0.3, 0.4]), vec![0, 0], 1).unwrap();
    assert!(matches!(metric().measure(&shown(inputs(2, vec![0.1, 0.2])), &single), Err(Error::OutOfRange(_))));
    let alike = Examples::new(inputs(2, vec![0.5; 8]), vec![0, 0, 1, 1], 2).unwrap();
    assert!(matches!(metric().measure(&good, &alike), Err(Error::NotANumber { .. })), "the classes have one mean");
}
