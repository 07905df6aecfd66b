//! What a training leaves in evidence, and what its operator sees meanwhile.

use underpin_core::{About, Confidence, Interval, Measurement, Phase, Point, Quantity, Record, Series, System};
use underpin_privacy::Bounds;

use crate::sgd::{Sampler, Sgd};
use crate::{Error, Privacy};

/// Points of a series, and progress events of a training.
const POINTS: u64 = 20;

/// How well batches were told, before the steps that they made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    /// Sum of the losses, nats.
    pub(crate) loss: f64,
    pub(crate) right: usize,
    pub(crate) rows: usize,
}

impl Score {
    pub(crate) fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.right += other.right;
        self.rows += other.rows;
    }

    /// NaN without a row.
    pub(crate) fn mean_loss(&self) -> f64 {
        self.loss / self.rows as f64
    }
}

/// Follows one training.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) steps: u64,
    privacy: Option<Privacy>,
    rows: usize,
    record: Record,
    task: &'static str,
    /// Losses and right answers since the last point.
    recent: Score,
    loss: Vec<Point>,
    epsilon: Vec<Point>,
}

impl Log {
    pub(crate) fn new<A>(sgd: &Sgd<A>, rows: usize) -> Self {
        let mut record = Record::default();
        sgd.settings.record(&mut record, rows);
        record.set("training.private", sgd.privacy.is_some());
        record.set("training.adversarial", sgd.adversary.is_some());
        if sgd.adversary.is_some() {
            record.set("training.warm_up", sgd.settings.warm_up);
        }
        let task = match (&sgd.privacy, &sgd.adversary) {
            (None, None) => "train",
            (None, Some(_)) => "train (adversarial)",
            (Some(_), None) => "train (private)",
            (Some(_), Some(_)) => "train (private, adversarial)",
        };
        Self {
            steps: sgd.settings.steps(rows),
            privacy: sgd.privacy.clone(),
            rows,
            record,
            task,
            recent: Score::default(),
            loss: Vec::new(),
            epsilon: Vec::new(),
        }
    }

    /// Notes one step; every so often, tells of it.
    pub(crate) fn step(&mut self, step: u64, score: Score, sampler: &Sampler) -> Result<(), Error> {
        self.recent.add(score);
        if !step.is_multiple_of(self.steps.div_ceil(POINTS)) && step != self.steps {
            return Ok(());
        }
        let score = std::mem::take(&mut self.recent);
        let (loss, accuracy) = (score.mean_loss(), score.right as f64 / score.rows as f64);
        let epsilon = self.spent(sampler)?.map(|spent| spent.upper);
        match epsilon {
            Some(epsilon) => self.epsilon.push(Point(step as f64, epsilon)),
            None => self.loss.push(Point(step as f64, loss)),
        }
        tracing::info!(target: "progress", task = self.task, step, of = self.steps, loss, accuracy, epsilon);
        Ok(())
    }

    fn spent(&self, sampler: &Sampler) -> Result<Option<Bounds>, Error> {
        match (sampler, &self.privacy) {
            (Sampler::Poisson(run), Some(privacy)) => Ok(Some(run.steps.epsilon(privacy.delta)?)),
            _ => Ok(None),
        }
    }

    pub(crate) fn finish(mut self, sampler: &Sampler) -> Result<Record, Error> {
        let series = |name: &str, y: &str, points| Series {
            name: name.into(),
            label: self.task.into(),
            x: "step".into(),
            y: y.into(),
            points,
        };
        if let (Sampler::Poisson(run), Some(privacy), Some(spent)) = (sampler, &self.privacy, self.spent(sampler)?) {
            let mechanism = run.steps.mechanism();
            let set = [
                ("clipping_norm", privacy.clipping_norm),
                ("noise_multiplier", mechanism.noise_multiplier()),
                ("sampling_rate", mechanism.sampling_rate()),
                ("target_epsilon", privacy.target.value()),
                ("delta", privacy.delta.value()),
            ];
            for (name, value) in set {
                self.record.set(format!("training.{name}"), value);
            }
            self.record.set("training.adjacency", "zero_out");
            self.record.set("training.accountant", ACCOUNTANT);
            self.record.set("training.sampling", "poisson");
            self.record.measurements.push(measurement(spent, self.rows, privacy)?);
            self.record.series.push(series("epsilon", "epsilon at delta, nats", self.epsilon));
        } else {
            self.record.series.push(series("loss", "mean cross-entropy, nats", self.loss));
        }
        Ok(self.record)
    }
}

/// How ε is bounded: `SubsampledGaussian::epsilon` in `underpin-privacy`.
const ACCOUNTANT: &str = "privacy_loss_distribution";

/// The privacy spent. The bounds are proven, so the confidence stands for certainty as near 1 as one writes it.
fn measurement(spent: Bounds, rows: usize, privacy: &Privacy) -> Result<Measurement, Error> {
    let parameters = [("delta".to_owned(), privacy.delta.value().into())];
    Ok(Measurement {
        about: About::MembershipInference,
        quantity: Quantity::Epsilon,
        system: System::Defended,
        access: None,
        phase: Phase::Training,
        attack: "accountant".into(),
        value: spent.upper,
        interval: Interval { lower: spent.lower, upper: spent.upper, confidence: Confidence::new(0.999_999)? },
        n: rows as u64,
        chance: None,
        queries: None,
        radius: None,
        norm: None,
        parameters: parameters.into(),
        controls: Vec::new(),
    })
}
