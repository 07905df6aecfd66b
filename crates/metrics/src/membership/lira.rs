//! LiRA: the likelihood-ratio membership inference attack, with shadow models.

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use underpin_core::{
    Access, Attack, Confidence, Denied, Examples, Inputs, Outputs, Predict, Seed, System, Threat, Trainer,
};

use super::gaussian::{Gaussians, Variance};
use super::scores::{MembershipScores, check_members, logit_confidence};
use crate::answers::{answers, check_samples};
use crate::progress::{Progress, ended};
use crate::random::stream;
use crate::{Error, Setting};

/// LiRA, likelihood-ratio attack (online): compares the target's confidence in a sample with that of models trained with
/// it and of models trained without it; gray box.
///
/// The adversary knows the recipe and draws from the same pool. It trains `shadows` models, each on half of the pool,
/// fits for each sample one Gaussian to the logit-scaled confidences of the models that saw it and one to those that
/// did not, and scores by the log-likelihood ratio of what the target answers. One query per sample.
///
/// The halves come in complementary pairs, drawn within each class: every sample is in exactly half of the models.
///
/// # Guarantees
///
/// 1. Every sample is in exactly half of the shadow models: `every_sample_is_in_half_of_the_shadow_models`.
/// 2. The truth about membership is not used by the scores: `scores_do_not_depend_on_the_split`.
///
/// # Source
///
/// Carlini, Chien, Nasr, Song, Terzis and Tramèr, IEEE S&P 2022, algorithm 1. Deviation: one query per sample, no
/// augmented ones.
#[derive(Clone, Copy, Debug)]
pub struct Lira<'a, R: ?Sized> {
    /// The recipe.
    pub trainer: &'a R,
    /// Number of shadow models: even, at least 2.
    pub shadows: usize,
    /// How their spread is estimated.
    pub variance: Variance,
    /// The first so many samples were trained on, the others not. Splits the scores; the adversary does not use it.
    pub members: usize,
}

/// A model of the adversary's own, and which samples of the pool it was trained on.
#[derive(Clone, Debug)]
pub struct Shadow<M> {
    /// The model.
    pub model: M,
    /// For each sample of the pool, whether it was trained on.
    pub included: Vec<bool>,
}

/// Shadow models over one pool: train once, score any number of targets.
#[derive(Clone, Debug)]
pub struct Shadows<M> {
    models: Vec<Shadow<M>>,
    pool: Examples,
}

/// What the shadow models answer on the pool, as two Gaussians per sample.
#[derive(Clone, Debug)]
pub struct Reference {
    inside: Gaussians,
    outside: Gaussians,
    pool: Examples,
}

impl<R: Trainer + ?Sized> Lira<'_, R> {
    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters = [
            ("shadows", self.shadows.into()),
            ("variance", self.variance.word().into()),
            ("members", self.members.into()),
        ];
        Setting::attack(system, Access::GrayBox, "lira", confidence, parameters)
    }

    /// Trains the shadow models on halves of `pool`, in parallel.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when their number is odd or 0, [`Error::NoObservations`] or [`Error::Feature`] when the
    /// pool is unfit, [`Error::Training`] when the trainer fails.
    pub fn shadows(&self, pool: &Examples, seed: Seed) -> Result<Shadows<R::Model>, Error>
    where
        R: Sync,
        R::Model: Send,
    {
        check_samples(pool)?;
        if self.shadows == 0 || !self.shadows.is_multiple_of(2) {
            let value = self.shadows as f64;
            return Err(Error::out_of_range("shadows", value, "the even numbers from 2"));
        }
        let progress = Progress::new("shadow models", self.shadows);
        let train = |index: u64| {
            let included = half(pool, seed.derive("halves").nth(index / 2), index.is_multiple_of(2));
            let rows: Vec<usize> = (0..pool.len()).filter(|row| included[*row]).collect();
            let model = (self.trainer.train(&pool.select(&rows), seed.derive("shadow").nth(index)))
                .map_err(|source| Error::Training { model: "shadow model", source: Box::new(source) })?
                .value;
            progress.step();
            Ok(Shadow { model, included })
        };
        let models = (0..self.shadows as u64).into_par_iter().map(train).collect::<Result<_, Error>>()?;
        Ok(Shadows { models, pool: pool.clone() })
    }
}

impl<M> Shadows<M> {
    /// The shadow models.
    pub fn models(&self) -> &[Shadow<M>] {
        &self.models
    }

    /// What the shadow models answer through `answer`, which must treat them as the target's guard treats the target:
    /// an adversary who faces labels compares them with labels. Without a guard it is `|model, inputs|
    /// model.predict(inputs)`.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] when an answer is denied, [`Error::Classes`] when it has another number of classes,
    /// [`Error::NotANumber`] when a score is NaN.
    pub fn reference(
        &self,
        variance: Variance,
        answer: impl Fn(&M, &Inputs) -> Result<Outputs, Denied>,
    ) -> Result<Reference, Error> {
        let half = self.models.len() / 2;
        let mut inside = vec![Vec::with_capacity(half); self.pool.len()];
        let mut outside = inside.clone();
        for shadow in &self.models {
            let view = View { model: &shadow.model, answer: &answer };
            let outputs = answers(&view, self.pool.inputs(), self.pool.classes())?;
            let confidences = logit_confidence(&outputs, self.pool.labels())?;
            for (sample, (confidence, included)) in confidences.into_iter().zip(&shadow.included).enumerate() {
                if *included { inside[sample].push(confidence) } else { outside[sample].push(confidence) }
            }
        }
        let inside = Gaussians::fit(&inside, variance);
        let outside = Gaussians::fit(&outside, variance);
        Ok(Reference { inside, outside, pool: self.pool.clone() })
    }
}

impl Reference {
    /// Scores each sample of the pool by what `target` answers; the first `members` were trained on.
    ///
    /// # Errors
    ///
    /// [`Error::NoObservations`] when there are no members or only members; otherwise as [`Shadows::reference`].
    pub fn score<T: Predict + ?Sized>(&self, target: &T, members: usize) -> Result<MembershipScores, Error> {
        check_members(&self.pool, members)?;
        let outputs = answers(target, self.pool.inputs(), self.pool.classes())?;
        let confidences = logit_confidence(&outputs, self.pool.labels())?;
        let ratio = |(sample, confidence): (usize, f64)| {
            self.inside.log_density(sample, confidence) - self.outside.log_density(sample, confidence)
        };
        let scores = confidences.into_iter().enumerate().map(ratio).collect();
        ended(Threat::MembershipInference, Access::GrayBox, "lira", self.pool.len() as u64);
        Ok(MembershipScores::split(scores, members, self.pool.len() as u64))
    }
}

impl<T, R> Attack<T> for Lira<'_, R>
where
    T: Predict + ?Sized,
    R: Trainer + Sync + ?Sized,
    R::Model: Predict + Send,
{
    type Outcome = MembershipScores;
    type Error = Error;

    /// Trains shadow models on `samples` and scores `target`; the target must answer as openly as they do.
    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<MembershipScores, Error> {
        check_members(samples, self.members)?;
        let reference = self.shadows(samples, seed)?.reference(self.variance, Predict::predict)?;
        reference.score(target, self.members)
    }
}

/// A shadow model behind the adversary's own instance of the guard.
struct View<'a, M, F> {
    model: &'a M,
    answer: &'a F,
}

impl<M, F: Fn(&M, &Inputs) -> Result<Outputs, Denied>> Predict for View<'_, M, F> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        (self.answer)(self.model, inputs)
    }
}

/// A random half of the pool within each class, or with `complement` the other half: of each two neighbours in a
/// random order by class, one is in.
fn half(pool: &Examples, seed: Seed, complement: bool) -> Vec<bool> {
    let mut rng = stream(seed);
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.shuffle(&mut rng);
    order.sort_by_key(|sample| pool.labels()[*sample]);
    let mut included = vec![false; pool.len()];
    for pair in order.chunks(2) {
        let first = rng.random::<bool>();
        included[pair[0]] = first;
        if let Some(second) = pair.get(1) {
            included[*second] = !first;
        }
    }
    for included in &mut included {
        *included ^= complement;
    }
    included
}
