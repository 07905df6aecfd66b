//! The numbered guarantees of [`Statistics`].

use std::collections::HashMap;

use underpin_core::Delta;

use super::*;
use crate::BudgetTerms;

const ALL: [Adjacency; 3] = [Adjacency::AddOrRemove, Adjacency::ZeroOut, Adjacency::Replace];

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

fn terms(adjacency: Adjacency) -> BudgetTerms {
    let delta = |value| Delta::new(value).unwrap();
    BudgetTerms { set_aside: Some(delta(0.4)), adjacency, ..BudgetTerms::new(epsilon(1000.0), delta(0.5)) }
}

fn asked(adjacency: Adjacency, key: u8) -> Statistics<'static> {
    let budget = Box::leak(Box::new(Budget::in_memory(&terms(adjacency)).unwrap()));
    Statistics::new(budget, SecretKey::new([key; 32]))
}

fn reals(values: &[f64]) -> Column<f64> {
    Column::new(values.to_vec()).unwrap()
}

fn words(values: &[&str]) -> Column<String> {
    Column::new(values.iter().map(ToString::to_string).collect()).unwrap()
}

fn categories(values: &[&str]) -> Categories<String> {
    Categories::new(values.iter().map(ToString::to_string).collect()).unwrap()
}

/// The noise's scale times ε is the sensitivity: against values worked out by hand.
#[test]
fn sensitivities_are_those_worked_out_by_hand() {
    let column = reals(&[1.0, 2.0, 3.0, 40.0]);
    let interval = Interval::new(-2.0, 8.0).unwrap();
    let e = epsilon(0.5);
    for (adjacency, sum, histogram) in [(ALL[0], 8.0, 1.0), (ALL[1], 8.0, 1.0), (ALL[2], 10.0, 2.0)] {
        let mut statistics = asked(adjacency, 1);
        assert_eq!(statistics.adjacency(), adjacency);
        let near = |scale: Option<f64>, sensitivity: f64| (scale.unwrap() * 0.5 / sensitivity - 1.0).abs() < 1e-5;
        assert!(near(statistics.sum(&column, interval, e).unwrap().scale, sum), "{adjacency:?}");
        let counts = statistics.histogram(&words(&["a", "b"]), &categories(&["a"]), e).unwrap();
        assert!(near(counts.scale, histogram), "{adjacency:?}");
        let delta = Delta::new(1e-6).unwrap();
        assert!(near(statistics.frequent(&words(&["a"]), e, delta).unwrap().scale, histogram), "{adjacency:?}");
        match statistics.count(&column, e) {
            Ok(count) => assert!(near(count.scale, 1.0)),
            Err(error) => assert_eq!((adjacency, error), (ALL[2], Error::Public { what: "the number of rows" })),
        }
    }
}

/// Events' frequencies over neighbouring columns, 10,000 answers each, against `e^ε` and δ. Each frequency is within 6
/// standard deviations of its probability but for 2e-9; some 200 events.
#[test]
fn neighbours_are_hard_to_tell_apart() {
    const ANSWERS: usize = 10_000;
    let e = epsilon(1.0);
    let delta = Delta::new(0.02).unwrap();
    let interval = Interval::new(0.0, 4.0).unwrap();
    let candidates = Candidates::new(vec![0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
    let known = categories(&["a", "b", "c"]);
    let ask = |column: &Column<f64>, labels: &Column<String>, adjacency, question: usize, key: u8| {
        let mut statistics = asked(adjacency, key);
        let mut events: HashMap<String, usize> = HashMap::new();
        for answer in 0..ANSWERS {
            if answer % if question == 5 { 15 } else { 500 } == 0 {
                // The budget is not what is tested here.
                statistics.budget = asked(adjacency, key).budget;
            }
            let event = match question {
                0 => (statistics.sum(column, interval, e).unwrap().value.clamp(-8.0, 16.0) / 2.0).round().to_string(),
                1 => (statistics.mean(column, interval, e).unwrap().value * 4.0).round().to_string(),
                2 => statistics.quantile(column, 0.3, &candidates, e).unwrap().value.to_string(),
                3 => {
                    let counts = statistics.histogram(labels, &known, e).unwrap().value;
                    format!("{} {}", counts[1] >= 1, counts[2] >= 1)
                }
                4 => statistics.top_k(labels, &known, 2, e).unwrap().value.join(" "),
                _ => format!(
                    "{:?}",
                    statistics.frequent(labels, e, delta).unwrap().value.iter().map(|(key, _)| key).collect::<Vec<_>>()
                ),
            };
            *events.entry(event).or_default() += 1;
        }
        events
    };
    let (column, labels) = (reals(&[0.0, 1.0, 4.0]), words(&["a", "a", "b"]));
    for (adjacency, other, other_labels) in
        [(ALL[0], reals(&[0.0, 1.0]), words(&["a", "a"])), (ALL[2], reals(&[0.0, 1.0, 0.0]), words(&["a", "a", "c"]))]
    {
        for question in 0..6 {
            let one = ask(&column, &labels, adjacency, question, 1);
            let two = ask(&other, &other_labels, adjacency, question, 2);
            let allowed = if question == 5 { delta.value() } else { 0.0 };
            let at_most = |from: usize| {
                let p = from as f64 / ANSWERS as f64;
                let deviation = (p.max(1e-3) / ANSWERS as f64).sqrt();
                1f64.exp() * (p + 6.0 * deviation) + 6.0 * (1f64.exp() * deviation) + allowed
            };
            let mut worst = 0.0f64;
            for event in one.keys().chain(two.keys()) {
                let (a, b) = (*one.get(event).unwrap_or(&0), *two.get(event).unwrap_or(&0));
                for (a, b) in [(a, b), (b, a)] {
                    assert!(a as f64 / ANSWERS as f64 <= at_most(b), "{adjacency:?} {question} {event}: {a} {b}");
                    if b > 300 {
                        worst = worst.max((a as f64 / b as f64).ln());
                    }
                }
            }
            // Of a rare key, hardly anything shows.
            assert!(question == 5 || worst > 0.2, "{adjacency:?} {question}: the two do differ");
        }
    }
}

#[test]
fn no_release_costs_more_than_asked() {
    let column = reals(&[1.0, 2.0, 3.0]);
    let labels = words(&["a", "b", "a"]);
    let candidates = Candidates::spread(Interval::new(0.0, 4.0).unwrap(), 9).unwrap();
    let delta = Delta::new(1e-7).unwrap();
    for adjacency in ALL {
        for allowed in [2f64.powi(-13), 0.1, 1.0 / 3.0, 1.0, 7.77] {
            let e = epsilon(allowed);
            let mut statistics = asked(adjacency, 3);
            let mut costs = vec![
                statistics.quantile(&column, 0.5, &candidates, e).unwrap().cost,
                statistics.histogram(&labels, &categories(&["a", "z"]), e).unwrap().cost,
                statistics.top_k(&labels, &categories(&["a", "b", "z"]), 3, e).unwrap().cost,
            ];
            for (lower, upper) in [(0.0, 1.0), (-1e100, 1e100), (1.0, 1.0 + 1e-12), (-3.3, -1e-3), (-1e-100, 1e-100)] {
                let interval = Interval::new(lower, upper).unwrap();
                costs.push(statistics.sum(&column, interval, e).unwrap().cost);
                costs.push(statistics.mean(&column, interval, e).unwrap().cost);
            }
            if adjacency != Adjacency::Replace {
                costs.push(statistics.count(&column, e).unwrap().cost);
            }
            for cost in costs {
                let Cost::Pure(spent) = cost else { unreachable!("{cost:?}") };
                assert!(spent.value() <= allowed && spent.value() > allowed * 0.99, "{adjacency:?} {allowed} {spent}");
            }
            match statistics.frequent(&labels, e, delta).unwrap().cost {
                Cost::Approximate { epsilon, delta: passed } => {
                    assert!(epsilon.value() <= allowed && passed <= delta, "{epsilon} {passed}");
                    // The next lower count passes about e^ε as often.
                    assert!(passed.value() > delta.value() / 100.0 * (-allowed).exp(), "{epsilon} {passed}");
                }
                cost => unreachable!("{cost:?}"),
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_not_computed() {
    let budget = Budget::new(epsilon(1.0), Delta::new(1e-6).unwrap()).unwrap();
    let mut statistics = Statistics::new(&budget, SecretKey::new([4; 32]));
    let column = reals(&[1.0]);
    let left = budget.left();
    assert!(matches!(statistics.count(&column, epsilon(50.0)), Err(Error::OverBudget { .. })));
    let untouched = statistics.release("test", Cost::Pure(epsilon(50.0)), None, |_| -> Result<(), Error> {
        unreachable!("computed without having been paid for")
    });
    assert!(untouched.is_err());
    assert_eq!((budget.left(), statistics.releases), (left, 0));
    statistics.count(&column, epsilon(0.1)).unwrap();
    assert!(budget.left() < left);
    // Paid for ahead: a failure on the way stays spent.
    let left = budget.left();
    let failed: Result<Release<()>, Error> =
        statistics.release("test", Cost::Pure(epsilon(0.1)), None, |_| Err(Error::Nothing { what: "row" }));
    assert!(failed.is_err() && budget.left() < left);
}

/// Sums without noise against sums worked out by hand, and noisy ones on the same grid.
#[test]
fn sums_are_exact_on_the_grid() {
    let exact = |column: &Column<f64>, lower: f64, upper: f64, rows| {
        let exact = sums::GridSum::new(Interval::new(lower, upper).unwrap(), rows).unwrap();
        exact.sum.invoke(column.values()).unwrap() as f64 * exact.step
    };
    let column = reals(&[-1e300, 0.25, 3.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(-30)]);
    for rows in [None, Some(7)] {
        assert_eq!(exact(&column, -1.5, 8.0, rows), -1.5 + 0.25 + 3.0 + 8.0 + 8.0 - 1.5);
        assert_eq!(exact(&column, -8.0, -1.0, rows), -8.0 - 1.0 - 1.0 - 1.0 - 1.0 - 8.0 - 1.0);
        // The end is rounded to the grid, and small values are below it.
        assert!((exact(&column, 0.0, 1e100, rows) / 2e100 - 1.0).abs() < 2f64.powi(-22));
    }
    assert_eq!(exact(&reals(&[]), 0.0, 1.0, None), 0.0);
    // Added up in double precision, these give another sum in another order; on the grid they do not.
    let wild: Vec<f64> = (0..1000).map(|at| if at % 2 == 0 { 0.1 } else { 1e-9 * f64::from(at) }).collect();
    let mut turned = wild.clone();
    turned.sort_by(f64::total_cmp);
    assert_ne!(wild.iter().sum::<f64>(), turned.iter().sum::<f64>());
    assert_eq!(exact(&reals(&wild), 0.0, 1.0, None), exact(&reals(&turned), 0.0, 1.0, None));

    for adjacency in ALL {
        let mut statistics = asked(adjacency, 5);
        let interval = Interval::new(-1.5, 8.0).unwrap();
        let sum = statistics.sum(&column, interval, epsilon(10.0)).unwrap();
        assert!((sum.value - 16.25).abs() < 20.0 * sum.scale.unwrap(), "{sum:?}");
        let step = sums::GridSum::new(interval, None).unwrap().step;
        assert_eq!((sum.value / step).fract(), 0.0, "on the grid");
        let mean = statistics.mean(&column, interval, epsilon(10.0)).unwrap().value;
        assert!((mean - 16.25 / 7.0).abs() < 6.0 && (-1.5..=8.0).contains(&mean), "{mean}");
    }
}

#[test]
fn the_same_key_gives_the_same_answers() {
    let answers = |key: u8| {
        let mut statistics = asked(ALL[0], key);
        let labels = words(&["a", "c", "b", "b", "a", "d", "e"]);
        let delta = Delta::new(0.01).unwrap();
        let first = statistics.frequent(&labels, epsilon(2.0), delta).unwrap().value;
        let counts: Vec<_> = (0..20).map(|_| statistics.count(&labels, epsilon(0.01)).unwrap().value).collect();
        (first, counts)
    };
    assert_eq!(answers(6), answers(6));
    assert_ne!(answers(6).1, answers(7).1);
    let (_, counts) = answers(6);
    assert!(counts.iter().any(|count| *count != counts[0]), "each answer has noise of its own");
}

/// Of loud answers to easy questions, the right ones.
#[test]
fn answers_are_near_the_truth() {
    let values: Vec<f64> = (0..1001).map(f64::from).collect();
    let labels: Vec<&str> = (0..1000).map(|row| ["a", "b", "c", "b"][row % 4]).collect();
    let candidates = Candidates::spread(Interval::new(0.0, 1000.0).unwrap(), 101).unwrap();
    let e = epsilon(5.0);
    for adjacency in ALL {
        let mut statistics = asked(adjacency, 8);
        for alpha in [0.0, 0.25, 0.5, 0.9, 1.0] {
            let found = statistics.quantile(&reals(&values), alpha, &candidates, e).unwrap().value;
            assert!((found - alpha * 1000.0).abs() <= 30.0, "{adjacency:?} {alpha}: {found}");
        }
        let top = statistics.top_k(&words(&labels), &categories(&["c", "a", "b", "z"]), 1, e).unwrap().value;
        assert_eq!(top, ["b"]);
        let counts = statistics.histogram(&words(&labels), &categories(&["a", "z", "b"]), e).unwrap().value;
        assert!(counts.iter().zip([250, 0, 500]).all(|(count, truth)| (count - truth).abs() < 20), "{counts:?}");
        let frequent = statistics.frequent(&words(&labels), e, Delta::new(1e-9).unwrap()).unwrap().value;
        assert_eq!(frequent[0].0, "b");
        assert_eq!(frequent.len(), 3);
        let rare = statistics.frequent(&words(&["x"]), e, Delta::new(1e-9).unwrap()).unwrap().value;
        assert!(rare.is_empty(), "one row's own category stays unknown: {rare:?}");
    }
}

#[test]
fn bad_domains_do_not_construct() {
    assert_eq!(Column::new(vec![0.0, f64::NAN]), Err(Error::NotANumber { row: 1 }));
    assert!(Categories::<i64>::new(vec![]).is_err());
    assert!(matches!(Categories::new(vec![1i64, 2, 1]), Err(Error::Disorder { position: 2, .. })));
    for bad in [vec![], vec![f64::NAN], vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::INFINITY]] {
        assert!(Candidates::new(bad.clone()).is_err(), "{bad:?}");
    }
    let narrow = Interval::new(1.0, 1.0 + 1e-12).unwrap();
    assert!(Candidates::spread(narrow, 1 << 20).is_err());
    assert!(Candidates::spread(narrow, 1).is_err());
    let mut statistics = asked(ALL[2], 9);
    let empty = reals(&[]);
    assert!(matches!(statistics.mean(&empty, narrow, epsilon(1.0)), Err(Error::Nothing { .. })));
    let one = Candidates::new(vec![1.0]).unwrap();
    assert!(matches!(statistics.quantile(&empty, 0.5, &one, epsilon(1.0)), Err(Error::Nothing { .. })));
    let mut unknown = asked(ALL[0], 9);
    assert_eq!(unknown.quantile(&empty, 0.5, &one, epsilon(1.0)).unwrap().value, 1.0);
    let mean = unknown.mean(&empty, narrow, epsilon(1.0)).unwrap().value;
    assert!((narrow.lower()..=narrow.upper()).contains(&mean));
    for alpha in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        assert!(unknown.quantile(&empty, alpha, &one, epsilon(1.0)).is_err(), "{alpha}");
    }
    let labels = words(&["a"]);
    for k in [0, 2] {
        assert!(statistics.top_k(&labels, &categories(&["a"]), k, epsilon(1.0)).is_err(), "{k}");
    }
}
