//! RayS: search for the closest decision boundary, by labels alone.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use underpin_core::{
    Access, Attack, Confidence, Examples, Inputs, Norm, Perturbed, Predict, Radius, Seed, System, Threat,
};

use super::ball::Ball;
use crate::answers::{Oracle, check_samples, classified_correctly};
use crate::progress::{Progress, ended};
use crate::random::{sign, stream};
use crate::{Error, Setting};

/// RayS: looks for the direction of ±1 per feature along which the decision boundary is nearest, by labels alone;
/// black box, L∞.
///
/// Flips the signs of one block of features at a time, from the whole example down to single features, and keeps a
/// flip when the example is misclassified nearer by; how near, a binary search finds. A sample is done with once it is
/// misclassified within the radius. Needs no scores, so no rounding, noise on scores or label-only answer weakens it.
///
/// # Guarantees
///
/// 1. Every input stays within `radius` of its sample and in `[0, 1]`, exactly: `every_attack_keeps_its_contract`.
/// 2. No sample costs more than `queries` queries: `black_box_attacks_keep_their_query_budget`.
/// 3. When the target denies, the attack ends with what it has: `black_box_attacks_end_when_denied`.
///
/// # Limits
///
/// Answers that change from one query to the next mislead the binary search.
///
/// # Source
///
/// Chen and Gu, KDD 2020, algorithms 1 to 3. Deviations: the binary search ends within 1/32 of the radius; until a
/// first boundary is found, all blocks get random signs instead of one a flip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RayS {
    /// Largest change of any feature.
    pub radius: Radius,
    /// Queries allowed per sample, at least 2; the first classifies the sample itself.
    pub queries: usize,
}

impl RayS {
    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters = [("queries_per_sample", self.queries.into())];
        Setting::attack(system, Access::BlackBox, "rays", confidence, parameters)
    }
}

/// What the next query asks.
#[derive(Clone, Copy, Debug)]
enum Question {
    /// Is the sample itself misclassified?
    Sample,
    /// Is it misclassified along `candidate` no farther than the nearest boundary so far?
    Flip,
    /// Where between the distances `correct` and `misclassified` does the boundary lie along `candidate`?
    Between { correct: f64, misclassified: f64 },
}

struct Search {
    example: usize,
    /// Signs of the nearest direction so far, and of the one in question.
    best: Vec<f32>,
    candidate: Vec<f32>,
    /// Distance at which the example is known to be misclassified along `best`; infinite before that.
    nearest: f64,
    question: Question,
    /// Block `block` of `blocks`, to be flipped next.
    block: usize,
    blocks: usize,
    rng: ChaCha12Rng,
    done: bool,
}

impl Search {
    fn new(example: usize, size: usize, seed: Seed) -> Self {
        Self {
            example,
            best: vec![1.0; size],
            candidate: vec![1.0; size],
            nearest: f64::INFINITY,
            question: Question::Sample,
            block: 0,
            blocks: 1,
            rng: stream(seed.nth(example as u64)),
            done: false,
        }
    }

    /// How far along `candidate` the next query lies.
    fn distance(&self) -> f64 {
        match self.question {
            Question::Sample => 0.0,
            Question::Flip => self.nearest.min(1.0),
            Question::Between { correct, misclassified } => f64::midpoint(correct, misclassified),
        }
    }

    /// Takes an answer; `precision` ends the binary search, `radius` the whole search.
    fn learn(&mut self, misclassified: bool, radius: f64, precision: f64) {
        match (self.question, misclassified) {
            (Question::Sample, true) => {
                self.nearest = 0.0;
                self.done = true;
            }
            (Question::Sample, false) => self.question = Question::Flip,
            (Question::Flip, false) => self.flip(),
            (Question::Flip, true) => {
                self.keep(self.distance(), radius);
                self.question = Question::Between { correct: 0.0, misclassified: self.nearest };
            }
            (Question::Between { correct, misclassified: known }, misclassified) => {
                let middle = f64::midpoint(correct, known);
                let (correct, known) = if misclassified { (correct, middle) } else { (middle, known) };
                self.keep(known, radius);
                self.question = Question::Between { correct, misclassified: known };
                if known - correct <= precision {
                    self.flip();
                }
            }
        }
    }

    fn keep(&mut self, distance: f64, radius: f64) {
        self.nearest = distance;
        self.best.clone_from(&self.candidate);
        self.done = distance <= radius;
    }

    /// Puts the next block in question, or a random direction while none is known to be misclassified at all: twice as
    /// many blocks once all have been tried, one again after the smallest.
    fn flip(&mut self) {
        let size = self.best.len();
        let length = size.div_ceil(self.blocks);
        self.candidate.clone_from(&self.best);
        self.question = Question::Flip;
        self.block += 1;
        if self.nearest.is_finite() {
            let from = ((self.block - 1) * length).min(size);
            for sign in &mut self.candidate[from..(from + length).min(size)] {
                *sign = -*sign;
            }
        } else {
            for block in self.candidate.chunks_mut(length) {
                block.fill(sign(&mut self.rng));
            }
        }
        if self.block * length >= size || !self.nearest.is_finite() {
            self.block = 0;
            self.blocks = if length == 1 { 1 } else { 2 * self.blocks };
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
    fn point(signs: &[f32], origin: &[f32], distance: f64) -> Vec<f32> {
        let moved = |(value, sign): (&f32, &f32)| f64::from(*value) + distance * f64::from(*sign);
        origin.iter().zip(signs).map(moved).map(|value| value.clamp(0.0, 1.0) as f32).collect()
    }
}

impl<T: Predict + ?Sized> Attack<T> for RayS {
    type Outcome = Perturbed;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<Perturbed, Error> {
        check_samples(samples)?;
        if self.queries < 2 {
            let value = self.queries as f64;
            return Err(Error::out_of_range("queries", value, "[2, inf): one reads the sample"));
        }
        let (shape, radius) = (samples.inputs().shape(), self.radius.value());
        let ball = Ball::new(Norm::Linf, self.radius);
        let mut oracle = Oracle::new(target, samples.classes());
        let progress = Progress::new("RayS", self.queries);
        let mut searches: Vec<Search> =
            (0..samples.len()).map(|example| Search::new(example, shape.size(), seed)).collect();
        for _ in 0..self.queries {
            let mut active: Vec<&mut Search> = searches.iter_mut().filter(|search| !search.done).collect();
            if active.is_empty() || oracle.denied.is_some() {
                break;
            }
            let query = |search: &&mut Search| {
                let mut point =
                    Search::point(&search.candidate, samples.inputs().row(search.example), search.distance());
                // What is misclassified within the radius must be so at the very point that is handed over.
                if search.distance() <= radius {
                    ball.project(samples.inputs().row(search.example), &mut point);
                }
                point
            };
            let points = active.iter().flat_map(query).collect();
            let labels: Vec<usize> = active.iter().map(|search| samples.labels()[search.example]).collect();
            let outputs = oracle.ask(&Inputs::new(shape.clone(), points)?)?;
            for (search, correct) in active.iter_mut().zip(classified_correctly(&outputs, &labels)) {
                search.learn(!correct, radius, radius / 32.0);
            }
            progress.step();
        }
        let mut rows = Vec::with_capacity(samples.inputs().values().len());
        for search in &searches {
            let origin = samples.inputs().row(search.example);
            let mut row = Search::point(&search.best, origin, search.nearest.min(radius));
            ball.project(origin, &mut row);
            rows.extend(if matches!(search.question, Question::Sample) { origin.to_vec() } else { row });
        }
        ended(Threat::Evasion, Access::BlackBox, "rays", oracle.answered);
        let inputs = Inputs::new(shape.clone(), rows)?;
        Ok(Perturbed { inputs, norm: Norm::Linf, radius: self.radius, queries: oracle.answered })
    }
}
