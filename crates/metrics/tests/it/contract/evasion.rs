//! One table of all evasion attacks, with shared assertions; and what is particular to each.

use underpin_core::*;
use underpin_metrics::evasion::{
    Evaded, Pgd, RayS, RobustAccuracy, Square, Transfer, accuracy_curve, judge, worst_case,
};
use underpin_metrics::{Error, correct};

use crate::support::*;

/// An attack ready to run: name, norm, radius, and the run itself on a model and samples.
type Run = Box<dyn Fn(&Linear, &Examples, Seed) -> Perturbed>;

/// Every evasion attack, on tables and images alike.
fn table(norm: Norm, size: f64) -> Vec<(&'static str, Run)> {
    let pgd = Pgd::new(norm, radius(size), 20, 2);
    let square = Square::new(norm, radius(size), 60);
    let rays = RayS { radius: radius(size), queries: 60 };
    let mut attacks: Vec<(&'static str, Run)> = vec![
        ("pgd", Box::new(move |model, samples, seed| pgd.run(model, samples, seed).unwrap())),
        ("square", Box::new(move |model, samples, seed| square.run(model, samples, seed).unwrap())),
        (
            "square by labels",
            Box::new(move |model, samples, seed| square.run(&LabelOnly(model), samples, seed).unwrap()),
        ),
        (
            "transfer",
            Box::new(move |model, samples, seed| {
                let surrogate = fitted(&blobs(samples.inputs().shape().axes(), samples.classes(), 60, 0.1, 99));
                Transfer { surrogate: &surrogate, attack: pgd }.run(model, samples, seed).unwrap()
            }),
        ),
    ];
    if norm == Norm::Linf {
        attacks
            .push(("rays", Box::new(move |model, samples, seed| rays.run(&LabelOnly(model), samples, seed).unwrap())));
    }
    attacks
}

fn size_of(norm: Norm, a: &[f32], b: &[f32]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    match norm {
        Norm::Linf => differences.fold(0.0, f64::max),
        Norm::L2 => differences.map(|d| d * d).sum::<f64>().sqrt(),
    }
}

#[test]
fn every_attack_keeps_its_contract() {
    for axes in [vec![12], vec![1, 6, 6], vec![2, 3, 4], vec![1]] {
        let model = fitted(&blobs(&axes, 3, 90, 0.1, 2));
        let samples = blobs(&axes, 3, 30, 0.15, 3);
        let clean = correct(&model, &samples).unwrap();
        for (norm, size) in [(Norm::Linf, 0.0), (Norm::Linf, 0.1), (Norm::L2, 0.3), (Norm::Linf, 2.0)] {
            for (name, run) in table(norm, size) {
                let place = format!("{name} {norm} {size} {axes:?}");
                let perturbed = run(&model, &samples, Seed(7));
                assert_eq!(perturbed.inputs.shape(), samples.inputs().shape(), "{place}");
                assert_eq!((perturbed.norm, perturbed.radius.value()), (norm, size), "{place}");
                assert_eq!(perturbed.inputs.len(), samples.len(), "{place}");
                for (a, b) in samples.inputs().rows().zip(perturbed.inputs.rows()) {
                    assert!(size_of(norm, a, b) <= size, "{place}");
                    assert!(b.iter().all(|value| (0.0..=1.0).contains(value)), "{place}");
                }
                assert_eq!(perturbed, run(&model, &samples, Seed(7)), "{place}: repeats under a seed");
                let evaded = judge(&model, &samples, &perturbed).unwrap();
                assert_eq!(evaded.clean, clean, "{place}");
                for (before, after) in evaded.clean.iter().zip(&evaded.robust) {
                    assert!(before >= after, "{place}: an already misclassified sample counts as broken");
                }
                let misclassified = clean.iter().position(|right| !right);
                if let (Some(at), true) = (misclassified, name != "transfer") {
                    let after = correct(&model, &samples.with_inputs(perturbed.inputs.clone()).unwrap()).unwrap();
                    assert!(!after[at], "{place}: an already misclassified sample stays misclassified");
                }
            }
        }
    }
}

/// On a linear model of two classes the worst perturbation is known: margin less radius times the dual norm.
#[test]
fn pgd_finds_the_known_worst_case_of_a_linear_model() {
    let model = fitted(&blobs(&[20], 2, 60, 0.1, 2));
    let samples = blobs(&[20], 2, 100, 0.2, 3);
    let weights: Vec<f64> =
        (0..20).map(|at| f64::from(model.weights[0][at]) - f64::from(model.weights[1][at])).collect();
    let bias = f64::from(model.weights[0][20]) - f64::from(model.weights[1][20]);
    for norm in [Norm::Linf, Norm::L2] {
        let size = if norm == Norm::Linf { 0.1 } else { 0.5 };
        // The box binds for L∞ by features and is allowed for exactly; L2 is compared as a bound.
        let certified: Vec<bool> = samples
            .inputs()
            .rows()
            .zip(samples.labels())
            .map(|(row, label)| {
                let sign = if *label == 0 { 1.0 } else { -1.0 };
                let margin = sign * (row.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + bias);
                let reach: f64 = match norm {
                    Norm::Linf => row
                        .iter()
                        .zip(&weights)
                        .map(|(x, w)| {
                            let room = if sign * w > 0.0 { f64::from(*x) } else { 1.0 - f64::from(*x) };
                            w.abs() * room.min(size)
                        })
                        .sum(),
                    Norm::L2 => size * weights.iter().map(|w| w * w).sum::<f64>().sqrt(),
                };
                margin > reach
            })
            .collect();
        let perturbed = Pgd::new(norm, radius(size), 40, 1).run(&model, &samples, Seed(1)).unwrap();
        let robust = judge(&model, &samples, &perturbed).unwrap().robust;
        for (at, (certified, robust)) in certified.iter().zip(&robust).enumerate() {
            assert!(!certified || *robust, "{norm} {at}: broken though certified");
            assert!(norm == Norm::L2 || certified == robust, "{norm} {at}: held though breakable");
        }
        assert!(robust.iter().any(|robust| *robust) && robust.iter().any(|robust| !robust), "{norm}: a real test");
    }
}

/// A black-box attack by radius and budget.
type BlackBox = Box<dyn Fn(&dyn Predict, &Examples, f64, usize) -> Perturbed>;

fn black_box() -> Vec<(&'static str, BlackBox)> {
    vec![
        (
            "square",
            Box::new(|target, samples, size, queries| {
                Square::new(Norm::Linf, radius(size), queries).run(target, samples, Seed(1)).unwrap()
            }),
        ),
        (
            "rays",
            Box::new(|target, samples, size, queries| {
                RayS { radius: radius(size), queries }.run(target, samples, Seed(1)).unwrap()
            }),
        ),
    ]
}

#[test]
fn black_box_attacks_keep_their_query_budget() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let samples = blobs(&[1, 6, 6], 3, 30, 0.1, 3);
    for (name, run) in black_box() {
        for queries in [2, 3, 50] {
            let guard = Limited::new(&model, u64::MAX / 2);
            let perturbed = run(&guard, &samples, 0.01, queries);
            assert_eq!(perturbed.queries, guard.used(), "{name}: what it counts is what was asked");
            assert!(guard.used() <= (queries * samples.len()) as u64, "{name}");
        }
    }
}

#[test]
fn black_box_attacks_end_when_denied() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let samples = blobs(&[1, 6, 6], 3, 30, 0.1, 3);
    for (name, run) in black_box() {
        for limit in [0, 10, 37, 100] {
            let guard = Limited::new(&model, limit);
            let perturbed = run(&guard, &samples, 0.02, 50);
            assert_eq!(perturbed.queries, limit, "{name}: the quota is used to its end");
            if limit == 0 {
                assert_eq!(&perturbed.inputs, samples.inputs(), "{name}");
            }
        }
    }
}

/// RayS knows what it found: what it takes for broken within the radius is broken, and it breaks what a linear model
/// cannot hold, by labels alone.
#[test]
fn rays_finds_the_boundary_by_labels() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let samples = blobs(&[1, 6, 6], 3, 60, 0.1, 3);
    let robust = |perturbed: &Perturbed| {
        judge(&model, &samples, perturbed).unwrap().robust.iter().filter(|robust| **robust).count()
    };
    let pgd = robust(&Pgd::new(Norm::Linf, radius(0.2), 40, 2).run(&model, &samples, Seed(1)).unwrap());
    let rays = RayS { radius: radius(0.2), queries: 1000 }.run(&LabelOnly(&model), &samples, Seed(1)).unwrap();
    assert!(pgd < 40 && robust(&rays) <= pgd + 3, "{pgd} {}", robust(&rays));
    let square = Square::new(Norm::Linf, radius(0.2), 1000).run(&LabelOnly(&model), &samples, Seed(1)).unwrap();
    assert!(robust(&rays) < robust(&square));
}

#[test]
fn pgd_counts_every_pass() {
    let model = fitted(&blobs(&[12], 3, 90, 0.1, 2));
    let samples = blobs(&[12], 3, 30, 0.05, 3);
    let active = correct(&model, &samples).unwrap().iter().filter(|right| **right).count() as u64;
    let perturbed = Pgd::new(Norm::Linf, radius(1e-6), 7, 2).run(&model, &samples, Seed(1)).unwrap();
    // One pass to classify each sample, then twice 7 gradients and an answer for each that is classified correctly.
    assert_eq!(perturbed.queries, 30 + 2 * 8 * active);
}

#[test]
fn the_worst_case_is_taken_sample_by_sample() {
    let evaded = |robust: [bool; 3], queries| Evaded {
        clean: vec![true; 3],
        robust: robust.to_vec(),
        norm: Norm::Linf,
        radius: radius(0.1),
        queries,
    };
    let worst = worst_case(&[evaded([true, false, true], 5), evaded([false, true, true], 6)]).unwrap();
    assert_eq!((worst.robust, worst.queries), (vec![false, false, true], 11));
    assert!(matches!(worst_case(&[]), Err(Error::NoObservations { .. })));
    let other = Evaded { radius: radius(0.2), ..evaded([true; 3], 1) };
    assert!(matches!(worst_case(&[evaded([true; 3], 1), other]), Err(Error::OutOfRange(_))));
}

#[test]
fn a_perturbation_that_repairs_does_not_count() {
    let model = fitted(&blobs(&[12], 3, 90, 0.1, 2));
    let samples = blobs(&[12], 3, 30, 0.05, 3);
    let wrong = samples.with_labels(samples.labels().iter().map(|label| (label + 1) % 3).collect()).unwrap();
    // Each sample is replaced by one of its own label: classified correctly after, and wrong before.
    let next: Vec<usize> = (0..30).map(|at| (at + 1) % 30).collect();
    let inputs = samples.inputs().select(&next);
    let repaired = Perturbed { inputs, norm: Norm::Linf, radius: radius(1.0), queries: 0 };
    assert!(correct(&model, &wrong.with_inputs(repaired.inputs.clone()).unwrap()).unwrap().contains(&true));
    let evaded = judge(&model, &wrong, &repaired).unwrap();
    assert!(evaded.robust.iter().all(|robust| !robust));
    let few = Perturbed { inputs: samples.inputs().select(&[0]), ..repaired };
    assert!(matches!(judge(&model, &samples, &few), Err(Error::Length { .. })));
    assert!(matches!(judge(&model, &samples.select(&[]), &few), Err(Error::NoObservations { .. })));
}

#[test]
fn robust_accuracy_is_complete() {
    let pgd = Pgd::new(Norm::Linf, radius(0.1), 5, 1);
    let evaded = Evaded {
        clean: vec![true, true, true, false],
        robust: vec![true, false, false, false],
        norm: Norm::Linf,
        radius: radius(0.1),
        queries: 44,
    };
    let metric = RobustAccuracy { setting: pgd.setting(System::Defended, confidence()) };
    let measured = metric.measure(&evaded).unwrap();
    assert_eq!((measured.value, measured.chance, measured.n, measured.queries), (0.25, Some(0.75), 4, Some(44)));
    assert_eq!((measured.about, measured.quantity), (About::Evasion, Quantity::RobustAccuracy));
    assert_eq!((measured.access, measured.phase), (Some(Access::WhiteBox), Phase::Deployment));
    assert_eq!(
        (measured.attack.as_str(), measured.norm, measured.radius),
        ("pgd", Some(Norm::Linf), Some(radius(0.1)))
    );
    assert_eq!(measured.parameters["steps"], Value::from(5_u64));
    // 1 of 4 at 95 %: Clopper-Pearson 0.0063, 0.8059.
    assert!((measured.interval.lower - 0.0063).abs() < 1e-4 && (measured.interval.upper - 0.8059).abs() < 1e-4);
}

#[test]
fn the_curve_starts_clean_and_never_rises() {
    let model = fitted(&blobs(&[1, 6, 6], 3, 90, 0.1, 2));
    let samples = blobs(&[1, 6, 6], 3, 60, 0.1, 3);
    let radii: Vec<Radius> = [0.01, 0.05, 0.1, 0.3].map(radius).to_vec();
    let attack = |radius| Pgd::new(Norm::Linf, radius, 10, 1);
    let curve = accuracy_curve(&model, &model, &samples, &radii, attack, "pgd", Seed(1)).unwrap();
    assert_eq!((curve.name.as_str(), curve.points.len()), ("robust_accuracy", 5));
    assert!(curve.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1));
    assert!(curve.points[0].1 > 0.9 && curve.points[4].1 < 0.1, "{:?}", curve.points);
    assert!(accuracy_curve(&model, &model, &samples, &[radius(0.0)], attack, "pgd", Seed(1)).is_err());
}

#[test]
fn bad_samples_are_refused_by_place() {
    let model = fitted(&blobs(&[2], 2, 20, 0.1, 2));
    let pgd = Pgd::new(Norm::Linf, radius(0.1), 5, 1);
    let shape = Shape::new([2]).unwrap();
    for bad in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
        let inputs = Inputs::new(shape.clone(), vec![0.0, 0.5, 0.5, bad]).unwrap();
        let samples = Examples::new(inputs, vec![0, 1], 2).unwrap();
        assert!(matches!(pgd.run(&model, &samples, Seed(1)), Err(Error::Feature { example: 1, position: 1, .. })));
        let square = Square::new(Norm::Linf, radius(0.1), 5);
        let rays = RayS { radius: radius(0.1), queries: 5 };
        assert!(matches!(rays.run(&model, &samples, Seed(1)), Err(Error::Feature { example: 1, position: 1, .. })));
        assert!(matches!(square.run(&model, &samples, Seed(1)), Err(Error::Feature { example: 1, position: 1, .. })));
    }
    let empty = blobs(&[2], 2, 20, 0.1, 2).select(&[]);
    assert!(matches!(pgd.run(&model, &empty, Seed(1)), Err(Error::NoObservations { .. })));
    let samples = blobs(&[2], 2, 4, 0.1, 2);
    assert!(matches!(Pgd { restarts: 0, ..pgd }.run(&model, &samples, Seed(1)), Err(Error::OutOfRange(_))));
    assert!(matches!(pgd.run(&NotANumber(3), &samples, Seed(1)), Err(Error::Classes { expected: 2, found: 3 })));
    let wide = blobs(&[3], 2, 4, 0.1, 2);
    assert!(matches!(pgd.run(&model, &wide, Seed(1)), Err(Error::Denied(Denied::Shape { .. }))));
}

/// Answers one row, whatever is asked.
struct Short;

impl Predict for Short {
    fn predict(&self, _: &Inputs) -> Result<Outputs, Denied> {
        Ok(Outputs::new(2, vec![1.0, 0.0], Disclosure::Scores).unwrap())
    }
}

#[test]
fn answers_that_are_missing_are_no_answers() {
    let samples = blobs(&[2], 2, 4, 0.1, 2);
    assert!(matches!(correct(&Short, &samples), Err(Error::Length { expected: 4, found: 1, .. })));
    let guard = Limited::new(fitted(&samples), 3);
    assert!(matches!(correct(&guard, &samples), Err(Error::Denied(Denied::QuotaExhausted { .. }))));
}

#[test]
fn a_model_that_answers_nan_has_no_accuracy() {
    let samples = blobs(&[2], 2, 10, 0.1, 2);
    assert!(correct(&NotANumber(2), &samples).unwrap().iter().all(|right| !right));
    let perturbed = Pgd::new(Norm::L2, radius(0.1), 3, 1).run(&NotANumber(2), &samples, Seed(1)).unwrap();
    let evaded = judge(&NotANumber(2), &samples, &perturbed).unwrap();
    assert!(evaded.robust.iter().all(|robust| !robust));
}
