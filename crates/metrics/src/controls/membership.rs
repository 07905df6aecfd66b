//! Controls of membership attacks: models that remember their members by design, and ones that cannot.

use std::collections::HashSet;
use std::convert::Infallible;

use underpin_core::{
    Attack, Audited, Control, Denied, Disclosure, Examples, Inputs, Outputs, Predict, Record, Seed, Shape, Trainer,
};

use super::bounds::{at_least, at_most, deviations};
use super::targets::{hash, scores_of};
use crate::Error;
use crate::interval::{Proportion, mann_whitney};
use crate::membership::{LabelOnlyGap, Lira, MembershipScores, Variance};
use crate::random::{normal, stream};

/// Members, and as many others.
const MEMBERS: usize = 200;
/// Features of a sample.
const FEATURES: usize = 4;

/// Controls of [`Lira`] with as many shadow models: area under its ROC curve.
///
/// Weak: a model whose confidence in a sample is normal around a difficulty of the sample's own, two deviations higher
/// for members. The best attack reaches 0.92; one threshold for all samples reaches 0.67. Ideal: the same without the
/// two deviations.
///
/// # Errors
///
/// As [`Lira::shadows`].
pub fn lira(shadows: usize, variance: Variance, seed: Seed) -> Result<Vec<Control>, Error> {
    let pool = pool(seed)?;
    let area = |remembered: f64| -> Result<f64, Error> {
        let trainer = Memoriser { remembered, difficulty: seed.derive("difficulty") };
        let members: Vec<usize> = (0..MEMBERS).collect();
        let Ok(target) = trainer.train(&pool.select(&members), seed.derive("target"));
        let attack = Lira { trainer: &trainer, shadows, variance, members: MEMBERS };
        let MembershipScores { members, others, .. } = attack.run(&target.value, &pool, seed.derive("control"))?;
        Ok(mann_whitney(&members, &others))
    };
    // Variance of the Mann-Whitney statistic without an effect: (m + n + 1) / (12 m n).
    let n = MEMBERS as f64;
    let chance = 0.5 + deviations() * ((2.0 * n + 1.0) / (12.0 * n * n)).sqrt();
    Ok(vec![
        at_least("model two deviations more confident in its members", area(2.0)?, 0.75),
        at_most("model as confident in its members as in others", area(0.0)?, chance),
    ])
}

/// Controls of [`LabelOnlyGap`]: membership advantage on a model that classifies all members and 6 of 10 others
/// correctly, and on one that classifies 8 of 10 correctly, members or not.
///
/// # Errors
///
/// None in practice: the targets answer.
pub fn label_only_gap(seed: Seed) -> Result<Vec<Control>, Error> {
    let pool = pool(seed)?;
    let advantage = |members: f64, others: f64| -> Result<f64, Error> {
        let known = (0..MEMBERS).map(|member| bits(pool.inputs().row(member))).collect();
        let target = Overfitted { known, members, others, seed: seed.derive("reader") };
        let scores = LabelOnlyGap { members: MEMBERS }.run(&target, &pool, seed)?;
        let rate =
            |scores: &[f64]| Proportion::of(&scores.iter().map(|score| *score > 0.5).collect::<Vec<_>>()).value();
        Ok(rate(&scores.members) - rate(&scores.others))
    };
    let spread = (0.8 * 0.2 * 2.0 / MEMBERS as f64).sqrt();
    Ok(vec![
        at_least("model that classifies all members and 6 of 10 others correctly", advantage(1.0, 0.6)?, 0.2),
        at_most("model that classifies 8 of 10 correctly, members or not", advantage(0.8, 0.8)?, deviations() * spread),
    ])
}

/// Random samples, all of class 0 of two.
fn pool(seed: Seed) -> Result<Examples, Error> {
    use rand::RngExt;
    let mut rng = stream(seed.derive("pool"));
    let values = (0..2 * MEMBERS * FEATURES).map(|_| rng.random::<f32>()).collect();
    Ok(Examples::new(Inputs::new(Shape::new([FEATURES])?, values)?, vec![0; 2 * MEMBERS], 2)?)
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|value| value.to_bits()).collect()
}

/// Trains models that remember their rows by a higher confidence.
struct Memoriser {
    /// By how many deviations.
    remembered: f64,
    difficulty: Seed,
}

struct Memory {
    known: HashSet<Vec<u32>>,
    remembered: f64,
    difficulty: Seed,
    noise: Seed,
}

impl Trainer for Memoriser {
    type Model = Memory;
    type Error = Infallible;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Memory>, Infallible> {
        let known = data.inputs().rows().map(bits).collect();
        let value = Memory { known, remembered: self.remembered, difficulty: self.difficulty, noise: seed };
        Ok(Audited { value, record: Record::default() })
    }
}

impl Predict for Memory {
    #[allow(clippy::cast_possible_truncation, reason = "scores are 32 bits wide")]
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let score = |row: &[f32]| {
            let draw = |seed| normal(&mut stream(hash(row, seed)));
            let known = if self.known.contains(&bits(row)) { self.remembered } else { 0.0 };
            let logit = 3.0 * draw(self.difficulty) + draw(self.noise) + known;
            [(1.0 / (1.0 + (-logit).exp())) as f32, (1.0 / (1.0 + logit.exp())) as f32]
        };
        scores_of(2, inputs.rows().flat_map(score).collect(), Disclosure::Scores)
    }
}

/// Classifies members and others correctly with given probabilities.
struct Overfitted {
    known: HashSet<Vec<u32>>,
    members: f64,
    others: f64,
    seed: Seed,
}

impl Predict for Overfitted {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        use rand::RngExt;
        let score = |row: &[f32]| {
            let accuracy = if self.known.contains(&bits(row)) { self.members } else { self.others };
            if stream(hash(row, self.seed)).random::<f64>() < accuracy { [1.0, 0.0] } else { [0.0, 1.0] }
        };
        scores_of(2, inputs.rows().flat_map(score).collect(), Disclosure::Label)
    }
}
