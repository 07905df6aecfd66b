//! Membership inference: LiRA with shadow models, and the label-only gap.

use underpin_core::{Attack, Examples, Predict, Record, Seed, Trainer};
use underpin_metrics::membership::{
    LabelOnlyGap, Lira, MembershipAdvantage, MembershipAuc, Threshold, TprAtFpr, Variance,
};
use underpin_metrics::{controls, measure_all, roc_series};

use super::scene::{Scene, thin};
use super::side::{Endpoint, Side};
use crate::Error;
use crate::model::{Model, WithoutProgress, without_progress};

/// From this many shadow models on, each sample's spread is estimated by itself (Carlini et al. 2022, section VI-B).
const PER_EXAMPLE: usize = 64;

pub(super) fn measure<M, R>(scene: &Scene<'_>, side: &Side<'_, M, R>, seed: Seed) -> Result<Record, Error>
where
    M: Model,
    R: Trainer<Model = M> + Sync,
{
    let plan = &scene.plan.membership;
    let (pool, members) = pool(scene, plan.candidates, seed.derive("pool"))?;
    let variance = if plan.shadows < PER_EXAMPLE { Variance::Global } else { Variance::PerExample };
    let trainer = WithoutProgress(side.trainer);
    let lira = Lira { trainer: &trainer, shadows: plan.shadows, variance, members };
    let shadows = lira.shadows(&pool, seed.derive("shadows"))?;
    // The adversary knows the guard and looks at its own shadow models through the like of it.
    let reference = shadows.reference(variance, |model, inputs| match &side.guard {
        Some(guard) => guard.around(model).predict(inputs),
        None => Endpoint::Bare(model).predict(inputs),
    })?;
    let scores = reference.score(&side.endpoint, members)?;
    let mut record = Record::default();
    let setting = lira.setting(side.system, scene.confidence);
    let checked = without_progress(|| controls::lira(plan.shadows, variance, seed.derive("controls")))?;
    let advantage = MembershipAdvantage { setting: setting.clone(), threshold: Threshold::CrossFitted };
    let tpr = TprAtFpr { setting: setting.clone(), fpr: plan.false_positive_rate };
    record.measurements.extend(measure_all(&[&advantage, &tpr, &MembershipAuc { setting }], &scores, &checked)?);

    let gap = LabelOnlyGap { members };
    let labels = gap.run(&side.endpoint, &pool, seed)?;
    let setting = gap.setting(side.system, scene.confidence);
    let checked = without_progress(|| controls::label_only_gap(seed.derive("gap controls")))?;
    let advantage = MembershipAdvantage { setting, threshold: Threshold::Fixed(0.5) };
    record.measurements.extend(measure_all(&[&advantage], &labels, &checked)?);
    record.series.push(roc_series(&scores.members, &scores.others, side.system.to_string())?);
    Ok(record)
}

/// As many rows that trained as rows that did not, the former first; at most `candidates`.
fn pool(scene: &Scene<'_>, candidates: usize, seed: Seed) -> Result<(Examples, usize), Error> {
    let (train, others) = (scene.collected.train.examples(), scene.collected.held_out());
    let half = train.len().min(others.len()).min(candidates / 2);
    let members = thin(train, half, seed.derive("members"));
    let others = thin(&others, half, seed.derive("others"));
    Ok((crate::collected::joined(&members, &others)?, half))
}
