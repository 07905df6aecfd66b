//! The dry run: what a run would read, reject, train, guard and attack, without training or writing anything.

use std::collections::BTreeMap;

use serde::Serialize;
use underpin_core::{Digest, Seed, Shortfall};
use underpin_data::{Column, Floor, Reason, Split};
use underpin_train::{DeviceKind, Settings};

use crate::Error;
use crate::config::{Adversary, Attacks, Collection, Config, Privacy, Serving};
use crate::job::{Job, Protection};
use crate::prepare::{Prepared, prepare};
use crate::seal;
use crate::stages::Declared;

/// No limit on rejections: a dry run shows them all.
const ALL: f64 = 1.0;

/// What a run of a job would do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DryRun {
    /// Name of the data set.
    pub source: String,
    /// What was found in the file rather than asked for, a line each: its dialect, the label, each column left out and why.
    pub found: Vec<String>,
    /// The column that holds the class.
    pub label: String,
    /// The classes, in the order of their numbers.
    pub classes: Vec<String>,
    /// Rows read, training and held out together.
    pub rows: u64,
    /// Shape of an encoded row.
    pub shape: Vec<usize>,
    /// Every column but the label: name, kind, and what is allowed in it.
    pub columns: Vec<Column>,
    /// How rows are set aside.
    pub split: SplitPlan,
    /// Rows that would be rejected, training and held out together, by reason.
    pub rejected: BTreeMap<Reason, usize>,
    /// Why the run would stop at collection: more rows are rejected, on one side, than the policy allows. None if it would
    /// go on.
    pub stops: Option<String>,
    /// Where the attacks are weaker than the policy asks: their results would meet no bar.
    pub weaker: Vec<Shortfall>,
    /// Policy, model, settings and attacks.
    pub plan: RunPlan,
}

/// How rows would be set aside.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SplitPlan {
    /// How one file would be split; none when the test rows come in a file of their own.
    pub method: Option<Split>,
    /// Rows kept for training.
    pub training: usize,
    /// Of each class, in the order of the classes.
    pub training_by_class: Vec<usize>,
    /// Rows kept to measure on.
    pub measured_on: usize,
    /// Rows kept for the adversary to own.
    pub adversary: usize,
}

/// Policy, model, settings and attacks of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunPlan {
    /// Name of the policy.
    pub policy: String,
    /// SHA-256 of its bytes.
    pub policy_digest: Digest,
    /// Number of its bars.
    pub bars: usize,
    /// Whether the run is defended.
    pub protection: Protection,
    /// Where public randomness starts.
    pub seed: Seed,
    /// Where tensors are computed.
    pub device: DeviceKind,
    /// How rows are cleaned.
    pub collection: Collection,
    /// How the model is trained; its architecture is among the settings.
    pub training: Settings,
    /// How the undefended baseline is trained.
    pub undefended: Settings,
    /// Differential privacy, if any.
    pub privacy: Option<Privacy>,
    /// Adversarial training, if any.
    pub adversary: Option<Adversary>,
    /// What stands around the model in deployment.
    pub serving: Serving,
    /// The attacks and their strength.
    pub attacks: Attacks,
}

/// Reads and judges the rows of `job` and chooses settings, as [`run`](fn@crate::run) would, and stops there: nothing
/// is trained but the small model that detectors look through, nothing is attacked, nothing is written.
///
/// Rows beyond the policy's limit on rejections are shown and not refused: [`DryRun::stops`] says so.
///
/// # Errors
///
/// As for the collection of a run otherwise: see [`Declared::collect`]; [`Error::Seal`] when the job's folder is
/// occupied; [`Error::NotPrivate`] for a budget without private training.
///
/// # Examples
///
/// ```
/// use underpin::{Input, Job, dry_run, seal::policy};
///
/// let job = Job::new(Input::Digits, policy::BASELINE.as_bytes().to_vec(), "never made");
/// let plan = dry_run(&job)?;
/// assert_eq!((plan.rows, plan.classes.len()), (1797, 10));
/// # Ok::<(), underpin::Error>(())
/// ```
pub fn dry_run(job: &Job) -> Result<DryRun, Error> {
    let declared = Declared::read(&job.policy)?;
    seal::check_free(&job.out)?;
    let allowed = declared.policy().max_rejected();
    let prepared = prepare(job, declared.policy(), ALL)?;
    if let (Some(budget), None) = (&job.budget, &prepared.config.privacy) {
        return Err(Error::NotPrivate { path: budget.path.clone() });
    }
    let collection = prepared.sanitize(&prepared.judge(job))?.value;
    let stops = [&collection, &prepared.set_aside].into_iter().find_map(|side| {
        let floor = Floor { max_rejected: allowed, min_rows: 0 };
        side.check(&floor).err().map(|error| error.to_string())
    });
    let Prepared { split, contract, set_aside, holdout, auxiliary, config, recommended, .. } = &prepared;
    let (ledger, aside) = (collection.ledger(), set_aside.ledger());
    let mut rejected = ledger.dropped();
    for (reason, rows) in aside.dropped() {
        *rejected.entry(reason).or_default() += rows;
    }
    Ok(DryRun {
        source: collection.raw_table().name().to_owned(),
        found: collection.raw_table().notes(),
        label: contract.label().to_owned(),
        classes: contract.classes().to_vec(),
        rows: (ledger.read() + aside.read()) as u64,
        shape: contract.shape().axes().to_vec(),
        columns: contract.columns().to_vec(),
        split: SplitPlan {
            method: split.as_ref().map(|(split, _)| split.clone()),
            training: collection.rows().len(),
            training_by_class: collection.rows().examples().counts(),
            measured_on: holdout.len(),
            adversary: auxiliary.len(),
        },
        rejected,
        stops,
        weaker: config.shortfalls(recommended),
        plan: plan(job, &declared, config),
    })
}

fn plan(job: &Job, declared: &Declared, config: &Config) -> RunPlan {
    let undefended = config.training_undefended().clone();
    // Every part of the configuration is part of the plan: a new one has to be put here, too.
    let Config { collection, training, undefended: _, privacy, adversary, serving, attacks } = config.clone();
    let policy = declared.policy();
    RunPlan {
        policy: policy.name().to_owned(),
        policy_digest: declared.digest(),
        bars: policy.bars().len(),
        protection: job.protection,
        seed: job.seed,
        device: job.device,
        collection,
        training,
        undefended,
        privacy,
        adversary,
        serving,
        attacks,
    }
}
