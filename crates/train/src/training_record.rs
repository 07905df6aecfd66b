//! The record of a training run for evidence, and its progress events.

use underpin_core::{
    About, Confidence, Denied, Examples, Interval, Measurement, Phase, Point, Quantity, Record, Series, System,
};
use underpin_privacy::Bounds;

use crate::{CheckpointFault, Checkpoints, Classifier, Clipper, Clipping, Engine, Error, Privacy, Settings, Steps};

/// Points of a series, and progress events of a training.
const POINTS: u64 = 20;

/// Rows trained on for each held-out row looked at. A look takes one pass forward, a third of a plain training step.
const PER_LOOK: u128 = 20;

/// The held-out rows that a training is watched on.
#[derive(Debug)]
pub(crate) struct Watched(Examples);

impl Watched {
    /// As many of the first held-out rows as all looks at them may cost a training on `rows` rows.
    pub(crate) fn new(held_out: &Examples, rows: u128) -> Result<Self, Error> {
        if held_out.is_empty() {
            return Err(Error::out_of_range("number of held-out rows", 0.0, "[1, inf)"));
        }
        let most = usize::try_from(rows / PER_LOOK / u128::from(POINTS)).unwrap_or(usize::MAX).max(1);
        Ok(Self(held_out.select(&(0..held_out.len().min(most)).collect::<Vec<_>>())))
    }

    pub(crate) fn accuracy(&self, model: &Classifier) -> Result<f64, Denied> {
        model.accuracy(&self.0)
    }
}

/// Follows one training run.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) steps: u64,
    privacy: Option<Privacy>,
    rows: usize,
    record: Record,
    task: &'static str,
    /// Sum and number of the losses since the last point.
    recent: (f64, u64),
    loss: Vec<Point>,
    epsilon: Vec<Point>,
}

impl Log {
    /// Follows a training of `rows` rows; `adversarial` where each batch is perturbed.
    pub(crate) fn new(settings: &Settings, privacy: Option<&Privacy>, adversarial: bool, rows: usize) -> Self {
        let mut record = Record::default();
        settings.record(&mut record, rows);
        record.set("training.private", privacy.is_some());
        record.set("training.adversarial", adversarial);
        if adversarial {
            record.set("training.warm_up", settings.warm_up);
        }
        let task = match (privacy.is_some(), adversarial) {
            (false, false) => "train",
            (false, true) => "train (adversarial)",
            (true, false) => "train (private)",
            (true, true) => "train (private, adversarial)",
        };
        Self {
            steps: settings.steps(rows),
            privacy: privacy.cloned(),
            rows,
            record,
            task,
            recent: (0.0, 0),
            loss: Vec::new(),
            epsilon: Vec::new(),
        }
    }

    /// Whether this step is reported.
    pub(crate) const fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.steps.div_ceil(POINTS)) || step == self.steps
    }

    /// Notes one step; every so often, reports progress.
    pub(crate) fn step(
        &mut self,
        step: u64,
        loss: Option<f64>,
        accuracy: Option<f64>,
        engine: &Engine,
    ) -> Result<(), Error> {
        if let Some(loss) = loss {
            self.recent = (self.recent.0 + loss, self.recent.1 + 1);
        }
        if !self.is_due(step) {
            return Ok(());
        }
        let loss = self.recent.0 / self.recent.1 as f64;
        self.recent = (0.0, 0);
        // Of this step, also when it is worked out again.
        let epsilon = match &self.privacy {
            Some(privacy) => engine.steps().epsilon(0, privacy.delta)?.map(|spent| spent.upper),
            None => None,
        };
        match epsilon {
            Some(epsilon) => self.epsilon.push(Point(step as f64, epsilon)),
            None => self.loss.push(Point(step as f64, loss)),
        }
        tracing::info!(target: "progress", task = self.task, step, of = self.steps, loss, accuracy, epsilon);
        Ok(())
    }

    fn spent(&self, engine: &Engine) -> Result<Option<Bounds>, Error> {
        self.privacy.as_ref().map_or(Ok(None), |privacy| engine.epsilon(privacy.delta))
    }

    /// What a checkpoint keeps of it.
    pub(crate) fn note(&self, checkpoints: &Checkpoints, identity: &str) -> Result<String, Error> {
        let note = (identity, self.recent, &self.loss, &self.epsilon);
        serde_json::to_string(&note).map_err(|error| refused(checkpoints, CheckpointFault::Note(error)))
    }

    /// Goes on from the note of a checkpoint, which must be of the run with this identity.
    pub(crate) fn resume(&mut self, note: &str, checkpoints: &Checkpoints, identity: &str) -> Result<(), Error> {
        let (found, recent, loss, epsilon): (String, _, _, _) =
            serde_json::from_str(note).map_err(|error| refused(checkpoints, CheckpointFault::Note(error)))?;
        if found != identity {
            return Err(refused(checkpoints, CheckpointFault::OtherNote));
        }
        (self.recent, self.loss, self.epsilon) = (recent, loss, epsilon);
        Ok(())
    }

    pub(crate) fn finish(mut self, engine: &Engine) -> Result<Record, Error> {
        let series = |name: &str, y: &str, points| Series {
            name: name.into(),
            label: self.task.into(),
            x: "step".into(),
            y: y.into(),
            points,
        };
        if let (Some(privacy), Some(spent)) = (self.privacy.clone(), self.spent(engine)?) {
            let set = [
                ("clipping_norm", privacy.clipping.norm()),
                ("target_epsilon", privacy.target.value()),
                ("delta", privacy.delta.value()),
            ];
            for (name, value) in set {
                self.record.set(format!("training.{name}"), value);
            }
            self.clipping(engine.clipper());
            self.record.set("training.adjacency", "zero_out");
            self.record.set("training.accountant", ACCOUNTANT);
            if let Some(payment) = &privacy.payment {
                let terms = payment.budget.terms();
                self.record.set("training.budget.unit", terms.unit.clone());
                self.record.set("training.budget.epsilon", terms.epsilon.value());
                self.record.set("training.budget.delta", terms.delta.value());
            }
            let mechanism = self.mechanism(engine.steps());
            self.audit(engine, &privacy, spent)?;
            self.record.measurements.push(measurement(spent, mechanism, self.rows, &privacy)?);
            self.record.series.push(series("epsilon", "epsilon at delta, nats", self.epsilon));
        } else {
            self.record.series.push(series("loss", "mean cross-entropy, nats", self.loss));
        }
        Ok(self.record)
    }

    /// Notes how gradients were bounded. An adaptive threshold follows from what was released with noise.
    fn clipping(&mut self, clipper: &Clipper) {
        let name = match *clipper.rule() {
            Clipping::Flat { .. } => "flat",
            Clipping::PerLayer { .. } => "per_layer",
            Clipping::Automatic { stability, .. } => {
                self.record.set("training.clipping.stability", stability);
                "automatic"
            }
            Clipping::Adaptive { quantile, rate, fraction, .. } => {
                let last = ("last_threshold", clipper.threshold());
                for (name, value) in [("quantile", quantile), ("rate", rate), ("fraction", fraction), last] {
                    self.record.set(format!("training.clipping.{name}"), value);
                }
                "adaptive"
            }
        };
        self.record.set("training.clipping", name);
    }

    /// Notes where batches and noise came from, and names it.
    fn mechanism(&mut self, steps: &Steps) -> &'static str {
        let name = match steps {
            Steps::Shuffled(_) => "none",
            Steps::Poisson(run) => {
                self.record.set("training.noise_multiplier", run.mechanism().noise_multiplier());
                self.record.set("training.sampling_rate", run.mechanism().sampling_rate());
                self.record.set("training.sampling", "poisson");
                "subsampled_gaussian"
            }
            Steps::Correlated(cyclic) => {
                self.record.set("training.noise_multiplier", cyclic.mechanism().noise_multiplier());
                let (bands, part) =
                    (cyclic.mechanism().factor().coefficients().len(), cyclic.mechanism().participation());
                self.record.set("training.sampling", "cyclic");
                self.record.set("training.bands", bands);
                self.record.set("training.separation", part.separation());
                self.record.set("training.participations", part.most());
                "banded_matrix_factorisation"
            }
        };
        self.record.set("training.mechanism", name);
        name
    }

    /// Records what the canaries prove; fails for a run that they refute.
    fn audit(&mut self, engine: &Engine, privacy: &Privacy, spent: Bounds) -> Result<(), Error> {
        let Some(strict) = engine.audit(privacy.delta, 0.999)? else { return Ok(()) };
        if strict.epsilon_lower > spent.upper {
            return Err(Error::Refuted { lower: strict.epsilon_lower, upper: spent.upper });
        }
        let Some(audit) = engine.audit(privacy.delta, 0.95)? else { return Ok(()) };
        self.record.set("training.audit", "one_run");
        self.record.set("training.audit.epsilon_lower", audit.epsilon_lower);
        self.record.set("training.audit.confidence", audit.confidence);
        self.record.set("training.audit.canaries", u64::from(audit.guesses.canaries));
        self.record.set("training.audit.guesses", u64::from(audit.guesses.made));
        self.record.set("training.audit.right", u64::from(audit.guesses.right));
        Ok(())
    }
}

fn refused(checkpoints: &Checkpoints, fault: CheckpointFault) -> Error {
    Error::Checkpoint { path: checkpoints.path.clone(), fault }
}

/// How ε is bounded: `SubsampledGaussian::epsilon`, or that of one Gaussian for correlated noise, in `underpin-privacy`.
const ACCOUNTANT: &str = "privacy_loss_distribution";

/// The privacy spent. The bounds are proven, so the confidence stands for certainty as near 1 as one writes it.
fn measurement(spent: Bounds, mechanism: &str, rows: usize, privacy: &Privacy) -> Result<Measurement, Error> {
    let parameters = [("delta", privacy.delta.value().into()), ("mechanism", mechanism.into()), ("rows", rows.into())];
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
        constant: None,
        queries: None,
        radius: None,
        norm: None,
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        controls: Vec::new(),
        weakened: Vec::new(),
    })
}
