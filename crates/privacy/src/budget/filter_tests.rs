use proptest::prelude::*;
use underpin_core::{Delta, Epsilon};

use super::*;
use crate::{Adjacency, Cost};

fn terms(epsilon: f64, delta: f64, set_aside: Option<f64>) -> BudgetTerms {
    let set_aside = set_aside.map(|delta| Delta::new(delta).unwrap());
    BudgetTerms { set_aside, ..BudgetTerms::new(Epsilon::new(epsilon).unwrap(), Delta::new(delta).unwrap()) }
}

fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

/// One outcome of a step: its probability on either neighbour.
struct Outcome {
    p: f64,
    q: f64,
}

/// The worst there is for each kind of cost, or a function of it.
fn outcomes(cost: &Cost) -> Vec<Outcome> {
    let response = |epsilon: f64, fraction: f64| {
        let truth = fraction / (1.0 + (-epsilon).exp());
        [Outcome { p: truth, q: fraction - truth }, Outcome { p: fraction - truth, q: truth }]
    };
    match *cost {
        Cost::Pure(epsilon) => response(epsilon.value(), 1.0).into(),
        Cost::Approximate { epsilon, delta } => {
            let delta = delta.value();
            let mut outcomes = Vec::from(response(epsilon.value(), 1.0 - delta));
            outcomes.extend([Outcome { p: delta, q: 0.0 }, Outcome { p: 0.0, q: delta }]);
            outcomes
        }
        // A Gaussian of mean 0 or μ, released as one of four cells.
        Cost::Concentrated(rho) => {
            let mu = (2.0 * rho).sqrt();
            let below = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
            let cells = [f64::NEG_INFINITY, mu / 2.0 - 0.8, mu / 2.0, mu / 2.0 + 0.8, f64::INFINITY];
            let mass = |ends: &[f64], mean: f64| below(ends[1] - mean) - below(ends[0] - mean);
            cells.windows(2).map(|ends| Outcome { p: mass(ends, mu), q: mass(ends, 0.0) }).collect()
        }
        Cost::SubsampledGaussian { .. } => unreachable!("the analyst has none"),
    }
}

/// An analyst who looks at how much was learnt and chooses the next cost by it, from a table.
struct Analyst {
    filter: Filter,
    table: Vec<Cost>,
    whole: f64,
}

impl Analyst {
    /// `∫ (P - e^ε Q)₊` and `∫ (Q - e^ε P)₊` over the transcripts that start like this one.
    fn excess(&self, spent: &Spent, p: f64, q: f64, depth: usize) -> (f64, f64) {
        let learnt = ((p / q).ln() / self.whole * 3.0).clamp(-6.0, 6.0).round();
        let first = (depth * 7 + (learnt + 6.0) as usize * 5) % self.table.len();
        let choices = self.table.iter().cycle().skip(first).take(self.table.len());
        let fits = |cost: &Cost| {
            let charge = cost.charge(&self.filter, Adjacency::AddOrRemove).unwrap();
            self.filter.add(spent, &charge).ok().map(|sum| (sum, *cost))
        };
        // Who knows all stops, as does who has nothing left.
        let next = if depth < 7 && p > 0.0 && q > 0.0 { choices.into_iter().find_map(fits) } else { None };
        let Some((sum, cost)) = next else {
            let grown = self.whole.exp();
            return ((p - grown * q).max(0.0), (q - grown * p).max(0.0));
        };
        outcomes(&cost).into_iter().fold((0.0, 0.0), |(there, back), outcome| {
            let (more, less) = self.excess(&sum, p * outcome.p, q * outcome.q, depth + 1);
            (there + more, back + less)
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    /// Every transcript is enumerated: no sampling, no tolerance but rounding.
    #[test]
    fn an_adaptive_analyst_learns_no_more_than_promised(
        whole in 0.2..3.0_f64,
        delta in 0.005..0.3_f64,
        aside in 0.0..0.9_f64,
        kinds in prop::collection::vec((0..3_u8, 0.02..1.0_f64), 5..12),
    ) {
        let terms = terms(whole, delta, (aside > 0.3).then_some(aside * delta));
        let filter = Filter::new(&terms);
        let table = kinds
            .into_iter()
            .map(|(kind, fraction)| match kind {
                0 => Cost::Pure(epsilon(fraction * whole)),
                1 => Cost::Concentrated(fraction * filter.rho()),
                _ => {
                    let delta = Delta::new((fraction * terms.pool()).max(1e-30)).unwrap();
                    Cost::Approximate { epsilon: epsilon(fraction * whole), delta }
                }
            })
            .collect();
        let (there, back) = Analyst { filter, table, whole }.excess(&Spent::default(), 1.0, 1.0, 0);
        prop_assert!(there <= delta * (1.0 + 1e-9) && back <= delta * (1.0 + 1e-9), "{there} {back} of {delta}");
    }

    /// Whatever fits advanced composition (Whitehouse et al. 2023) fits here, in any order.
    #[test]
    fn what_fits_advanced_composition_fits(
        whole in 0.05..10.0_f64,
        exponent in 1.0..12.0_f64,
        fractions in prop::collection::vec(0.01..1.0_f64, 1..60),
    ) {
        let terms = terms(whole, 10_f64.powf(-exponent), None);
        let filter = Filter::new(&terms);
        // The root ρ of ρ + 2 √(ρ ln 1/δ₁) = ε, shared out.
        let tail = -composed(&terms).ln();
        let rho = ((tail + whole).sqrt() - tail.sqrt()).powi(2) * (1.0 - 1e-6);
        let sum: f64 = fractions.iter().map(|fraction| fraction * fraction).sum();
        let mut spent = Spent::default();
        for fraction in fractions {
            let cost = Cost::Pure(epsilon(fraction * (2.0 * rho / sum).sqrt()));
            let charge = cost.charge(&filter, Adjacency::AddOrRemove).unwrap();
            prop_assert!(charge.divergence > 0);
            spent = filter.add(&spent, &charge).unwrap();
        }
    }

    /// Sums never pass the limits, and giving back is exact.
    #[test]
    fn sums_stay_within_and_giving_back_is_exact(
        whole in 1e-3..1000.0_f64,
        exponent in 1.0..15.0_f64,
        costs in prop::collection::vec((0..4_u8, -8.0..1.0_f64, any::<bool>()), 1..200),
    ) {
        let delta = 10_f64.powf(-exponent);
        let filter = Filter::new(&terms(whole, delta, Some(delta / 2.0)));
        let (mut spent, mut paid) = (Spent::default(), Vec::new());
        for (kind, size, returned) in costs {
            let size = 10_f64.powf(size);
            let cost = match kind {
                0 => Cost::Pure(epsilon(size * whole)),
                1 => Cost::Concentrated(size * filter.rho()),
                2 => Cost::Approximate { epsilon: epsilon(size * whole), delta: Delta::new(size * delta / 11.0).unwrap() },
                _ => Cost::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.0, steps: 1 + size as u64, coordinates: 0 },
            };
            let charge = cost.charge(&filter, Adjacency::AddOrRemove).unwrap();
            let Ok(sum) = filter.add(&spent, &charge) else { continue };
            prop_assert_eq!(sum.minus(&charge), Some(spent));
            if !returned {
                spent = sum;
                paid.push(cost);
            }
        }
        // Added up again by floating-point numbers, from the definitions.
        let (mut bounded, mut total, mut rho) = (true, 0.0, 0.0);
        for cost in &paid {
            match cost {
                Cost::Pure(epsilon) | Cost::Approximate { epsilon, .. } => {
                    total += epsilon.value();
                    // Below the divergence of randomized response for small ε, and no other bound.
                    rho += (filter.order() * epsilon.value().powi(2) / 2.0).min(epsilon.value()) / filter.order() * 0.1;
                }
                Cost::Concentrated(more) => { bounded = false; rho += more; }
                Cost::SubsampledGaussian { .. } => bounded = false,
            }
        }
        prop_assert!((bounded && total <= whole * (1.0 + 1e-9)) || rho <= filter.rho() * (1.0 + 1e-9));
    }
}

#[test]
fn epsilons_add_up_to_the_whole_and_no_further() {
    let filter = Filter::new(&terms(1.0, 1e-6, None));
    let count = |each: f64| {
        let charge = Cost::Pure(epsilon(each)).charge(&filter, Adjacency::AddOrRemove).unwrap();
        let mut spent = Spent::default();
        (0..100).take_while(|_| filter.add(&spent, &charge).map(|sum| spent = sum).is_ok()).count()
    };
    assert_eq!(count(1.0), 1);
    assert_eq!(count(1.0_f64.next_up()), 0);
    assert_eq!(count(0.125), 8);
    // The number 0.1 is more than a tenth.
    assert_eq!(count(0.1), 9);
}

#[test]
fn the_divergence_is_that_of_randomized_response() {
    for order in [1.02, 1.5, 2.0, 9.7, 300.0] {
        for epsilon in [0.01, 0.3, 1.0, 4.0] {
            let (p, q) = (1.0 / (1.0 + f64::exp(-epsilon)), 1.0 / (1.0 + f64::exp(epsilon)));
            let log = |a: f64, b: f64| order * a.ln() + (1.0 - order) * b.ln();
            let (high, low) = (log(p, q).max(log(q, p)), log(p, q).min(log(q, p)));
            let exact = (high + (low - high).exp().ln_1p()) / (order - 1.0);
            let filter = Filter::new(&BudgetTerms { order: Some(order), ..terms(1.0, 1e-6, None) });
            let charge = Cost::Pure(Epsilon::new(epsilon).unwrap()).charge(&filter, Adjacency::AddOrRemove).unwrap();
            let found = charge.divergence as f64 / NATS;
            assert!(
                found >= exact * (1.0 - 1e-11) - 1e-15 && found <= exact * (1.0 + 1e-8) + 1e-15,
                "{order} {epsilon}: {found} {exact}"
            );
        }
    }
}

/// A budget spent by steps of training alone allows no more of them than their own accountant, and not many less.
#[test]
fn training_alone_takes_as_many_steps_as_its_accountant_allows() {
    let delta = Delta::new(1e-5).unwrap();
    let mechanism = crate::SubsampledGaussian::new(0.01, 1.1, 1.0).unwrap();
    for whole in [1.0, 3.0, 8.0] {
        let terms = BudgetTerms::new(epsilon(whole), delta).suited_to(&[mechanism.cost(1, 26_010)]).unwrap();
        let filter = Filter::new(&terms);
        let charge = mechanism.cost(1, 26_010).charge(&filter, Adjacency::AddOrRemove).unwrap();
        let (mut spent, mut steps) = (Spent::default(), 0_u64);
        while let Ok(sum) = filter.add(&spent, &charge) {
            spent = sum;
            steps += 1;
        }
        let own = mechanism.epsilon(steps, delta).unwrap();
        assert!(own.lower <= whole, "{whole}: {steps} steps cost {own:?}");
        assert!(mechanism.renyi_epsilon(steps, delta).unwrap() > 0.98 * whole, "{whole}: {steps} steps");
        assert!(mechanism.renyi_epsilon(steps, delta).unwrap() < 1.001 * whole, "{whole}: {steps} steps");
    }
}

/// Where orders are so high that sampling is not accounted, a step costs what it costs without.
#[test]
fn tiny_budgets_charge_whole_gaussians() {
    let filter = Filter::new(&terms(1e-3, 1e-9, None));
    assert!(filter.order() > 4096.0);
    let charge = |rate: f64| {
        crate::SubsampledGaussian::new(rate, 1000.0, 1.0).unwrap().cost(1, 0).charge(&filter, Adjacency::ZeroOut)
    };
    assert_eq!(charge(0.01).unwrap(), charge(1.0).unwrap());
}
