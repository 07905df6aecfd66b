//! Square attack: random search with localised updates.

use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{
    Access, Attack, Confidence, Disclosure, Examples, Inputs, Norm, Perturbed, Predict, Radius, Seed, Shape, System,
    Threat,
};

use super::ball::Ball;
use super::patch::{self, Area};
use crate::answers::{Oracle, check_samples};
use crate::progress::{Progress, ended};
use crate::random::stream;
use crate::{Error, Setting};

/// Scores below this are taken as this: an answer of 0 is not proof of impossibility.
const FLOOR: f32 = 1e-9;

/// Square attack: random search with localised updates, from answers alone; black box.
///
/// Starts from vertical stripes (L∞) or a grid of bumps (L2) of full size, then proposes changes confined to a random
/// square, whose area shrinks by schedule, and keeps what lowers the margin `ln s_y - max ln s_k` of the scores.
/// All samples that still hold out are asked for in one batch, one query each.
///
/// What the answers allow: of top-k answers, the missing scores count as 0. A label alone gives no margin, so the
/// search walks at random from one proposal to the next until the label changes; that is weak: attack a label-only
/// target with [`RayS`](super::RayS) and by transfer.
///
/// On a table there is no square: the proposal changes a random set of as many features, each by a sign of its own.
///
/// # Guarantees
///
/// 1. Every input stays within `radius` of its sample and in `[0, 1]`, exactly: `every_attack_keeps_its_contract`.
/// 2. No sample costs more than `queries` queries: `black_box_attacks_keep_their_query_budget`.
/// 3. When the target denies, the attack ends with what it has: `black_box_attacks_end_when_denied`.
///
/// # Source
///
/// Andriushchenko, Croce, Flammarion and Hein, ECCV 2020: algorithm 1, L∞ updates of algorithm 2, L2 updates of
/// algorithm 3, piecewise schedule of appendix B. Deviations: the table form above; a square is at most the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Square {
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Largest size of a perturbation.
    pub radius: Radius,
    /// Queries allowed per sample; the first classifies the sample itself.
    pub queries: usize,
    /// Fraction of the features that the first squares cover, in `(0, 1]`; the paper uses 0.8 for L∞, 0.1 for L2.
    pub initial_fraction: f64,
}

impl Square {
    /// The paper's initial fraction.
    pub fn new(norm: Norm, radius: Radius, queries: usize) -> Self {
        let initial_fraction = match norm {
            Norm::Linf => 0.8,
            Norm::L2 => 0.1,
        };
        Self { norm, radius, queries, initial_fraction }
    }

    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters =
            [("queries_per_sample", self.queries.into()), ("initial_fraction", self.initial_fraction.into())];
        Setting::attack(system, Access::BlackBox, "square", confidence, parameters)
    }

    /// Fraction of features to change at `iteration`: halved at the paper's iterations, rescaled to the budget.
    fn fraction(&self, iteration: usize) -> f64 {
        const HALVED_AT: [u64; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
        let scaled = (iteration as u64).saturating_mul(10_000) / (self.queries as u64).max(1);
        let halvings = HALVED_AT.iter().filter(|at| scaled > **at).count();
        self.initial_fraction / f64::from(1_u32 << halvings)
    }

    fn check(&self) -> Result<(), Error> {
        if self.queries < 2 {
            let value = self.queries as f64;
            return Err(Error::out_of_range("queries", value, "[2, inf): one reads the sample"));
        }
        if !(self.initial_fraction > 0.0 && self.initial_fraction <= 1.0) {
            return Err(Error::out_of_range("initial_fraction", self.initial_fraction, "(0, 1]"));
        }
        Ok(())
    }
}

/// One sample under attack.
struct Search {
    example: usize,
    best: Vec<f32>,
    margin: f32,
    proposal: Vec<f32>,
    rng: ChaCha12Rng,
}

impl Search {
    fn holds_out(&self) -> bool {
        self.margin > 0.0
    }
}

impl<T: Predict + ?Sized> Attack<T> for Square {
    type Outcome = Perturbed;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<Perturbed, Error> {
        check_samples(samples)?;
        self.check()?;
        let (shape, ball) = (samples.inputs().shape(), Ball::new(self.norm, self.radius));
        let area = Area::of(shape);
        let mut oracle = Oracle::new(target, samples.classes());
        let progress = Progress::new("square attack", self.queries);
        let mut searches: Vec<Search> = (0..samples.len())
            .map(|example| Search {
                example,
                best: samples.inputs().row(example).to_vec(),
                margin: f32::INFINITY,
                proposal: samples.inputs().row(example).to_vec(),
                rng: stream(seed.nth(example as u64)),
            })
            .collect();
        for query in 0..self.queries {
            if query > 0 {
                let fraction = self.fraction(query - 1);
                searches.par_iter_mut().filter(|search| search.holds_out()).for_each(|search| {
                    let origin = samples.inputs().row(search.example);
                    search.proposal = if query == 1 {
                        patch::start(ball, area, origin, &mut search.rng)
                    } else {
                        patch::propose(ball, area, origin, &search.best, fraction, &mut search.rng)
                    };
                });
            }
            if !ask(&mut oracle, &mut searches, samples, shape, query)? {
                break;
            }
            progress.step();
        }
        let inputs = searches.into_iter().flat_map(|search| search.best).collect();
        ended(Threat::Evasion, Access::BlackBox, "square", oracle.answered);
        let inputs = Inputs::new(shape.clone(), inputs)?;
        Ok(Perturbed { inputs, norm: self.norm, radius: self.radius, queries: oracle.answered })
    }
}

/// Asks one query for each sample that holds out and keeps what helps; whether the search goes on.
fn ask<T: Predict + ?Sized>(
    oracle: &mut Oracle<'_, T>,
    searches: &mut [Search],
    samples: &Examples,
    shape: &Shape,
    query: usize,
) -> Result<bool, Error> {
    let mut active: Vec<&mut Search> = searches.iter_mut().filter(|search| search.holds_out()).collect();
    if active.is_empty() {
        return Ok(false);
    }
    let proposals: Vec<f32> = active.iter().flat_map(|search| search.proposal.iter().copied()).collect();
    let outputs = oracle.ask(&Inputs::new(shape.clone(), proposals)?)?;
    for (search, row) in active.iter_mut().zip(outputs.rows()) {
        let margin = margin(row, samples.labels()[search.example]);
        let walks = outputs.disclosure() == Disclosure::Label;
        // The second query starts the search: the paper compares later proposals with the start, not with the sample.
        if margin < search.margin || (walks && query > 0) || query == 1 {
            search.margin = margin;
            search.best.clone_from(&search.proposal);
        }
    }
    Ok(oracle.denied.is_none())
}

/// Log-margin of the label over the best other class: not above 0 when misclassified.
fn margin(row: &[f32], label: usize) -> f32 {
    if row.iter().any(|score| score.is_nan()) {
        return -1.0;
    }
    let other = row.iter().enumerate().filter(|(class, _)| *class != label).map(|(_, score)| *score);
    let best = other.fold(0.0, f32::max);
    let log = |score: f32| score.max(FLOOR).ln();
    let first_wins = row[..label].iter().all(|score| *score < row[label]) && row[label] >= best;
    let margin = log(row[label]) - log(best);
    if first_wins { margin.max(f32::MIN_POSITIVE) } else { margin.min(0.0) }
}
