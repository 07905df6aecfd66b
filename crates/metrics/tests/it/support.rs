//! A linear softmax model, a trainer for it, guards, and data.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use underpin_core::*;

pub(crate) fn confidence() -> Confidence {
    Confidence::new(0.95).unwrap()
}

pub(crate) fn radius(value: f64) -> Radius {
    Radius::new(value).unwrap()
}

pub(crate) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

pub(crate) fn normal(rng: &mut ChaCha12Rng) -> f32 {
    let sum: f32 = (0..12).map(|_| rng.random::<f32>()).sum();
    sum - 6.0
}

/// Softmax regression: `[class][feature]`, bias last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Linear {
    pub(crate) shape: Shape,
    pub(crate) weights: Vec<Vec<f32>>,
}

impl Linear {
    fn probabilities(&self, row: &[f32]) -> Vec<f32> {
        let logits: Vec<f32> =
            self.weights.iter().map(|w| w.iter().zip(row.iter().chain([&1.0])).map(|(w, x)| w * x).sum()).collect();
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let parts: Vec<f32> = logits.iter().map(|l| (l - highest).exp()).collect();
        let total: f32 = parts.iter().sum();
        parts.into_iter().map(|p| p / total).collect()
    }
}

impl Predict for Linear {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Denied::unless_valid(inputs, &self.shape)?;
        let scores = inputs.rows().flat_map(|row| self.probabilities(row)).collect();
        Ok(Outputs::new(self.weights.len(), scores, Disclosure::Scores).unwrap())
    }
}

impl LossGradient for Linear {
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        let values = inputs.rows().zip(labels).flat_map(|(row, label)| {
            let mut errors = self.probabilities(row);
            errors[*label] -= 1.0;
            (0..row.len())
                .map(|at| errors.iter().zip(&self.weights).map(|(e, w)| e * w[at]).sum::<f32>())
                .collect::<Vec<f32>>()
        });
        Ok(Inputs::new(inputs.shape().clone(), values.collect()).unwrap())
    }
}

/// Gradient descent on the mean cross-entropy; overfits when run long on few rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub(crate) steps: usize,
    pub(crate) rate: f32,
}

impl Trainer for Descent {
    type Model = Linear;
    type Error = Error;

    fn train(&self, data: &Examples, _: Seed) -> Result<Audited<Linear>, Error> {
        if data.is_empty() {
            return Err(OutOfRange::new("rows", 0.0, "[1, inf)").into());
        }
        let (shape, size) = (data.inputs().shape().clone(), data.inputs().shape().size());
        let mut model = Linear { shape, weights: vec![vec![0.0; size + 1]; data.classes()] };
        for _ in 0..self.steps {
            let mut gradient = vec![vec![0.0; size + 1]; data.classes()];
            for (row, label) in data.inputs().rows().zip(data.labels()) {
                let mut errors = model.probabilities(row);
                errors[*label] -= 1.0;
                for (gradient, error) in gradient.iter_mut().zip(errors) {
                    gradient.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(g, x)| *g += error * x);
                }
            }
            let rate = self.rate / data.len() as f32;
            for (weights, gradient) in model.weights.iter_mut().zip(gradient) {
                weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g);
            }
        }
        Ok(Audited { value: model, record: Record::default() })
    }
}

/// Counts what it answers and denies what goes beyond its limit.
pub(crate) struct Limited<P> {
    pub(crate) inner: P,
    pub(crate) limit: u64,
    used: AtomicU64,
}

impl<P> Limited<P> {
    pub(crate) fn new(inner: P, limit: u64) -> Self {
        Self { inner, limit, used: AtomicU64::new(0) }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }
}

impl<P: Predict> Predict for Limited<P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let (used, asked) = (self.used(), inputs.len() as u64);
        if used + asked > self.limit {
            return Err(Denied::QuotaExhausted { used, limit: self.limit, asked });
        }
        self.used.fetch_add(asked, Ordering::SeqCst);
        self.inner.predict(inputs)
    }
}

impl<P: LossGradient> LossGradient for Limited<P> {
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        let (used, asked) = (self.used(), inputs.len() as u64);
        if used + asked > self.limit {
            return Err(Denied::QuotaExhausted { used, limit: self.limit, asked });
        }
        self.used.fetch_add(asked, Ordering::SeqCst);
        self.inner.loss_gradient(inputs, labels)
    }
}

/// Gives labels only.
pub(crate) struct LabelOnly<P>(pub(crate) P);

impl<P: Predict> Predict for LabelOnly<P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let open = self.0.predict(inputs)?;
        let mut scores = vec![0.0; open.scores().len()];
        let classes = open.classes();
        open.labels().iter().enumerate().for_each(|(row, label)| scores[row * classes + label] = 1.0);
        Ok(Outputs::new(classes, scores, Disclosure::Label).unwrap())
    }
}

/// Answers NaN.
pub(crate) struct NotANumber(pub(crate) usize);

impl Predict for NotANumber {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Ok(Outputs::new(self.0, vec![f32::NAN; inputs.len() * self.0], Disclosure::Scores).unwrap())
    }
}

impl LossGradient for NotANumber {
    fn loss_gradient(&self, inputs: &Inputs, _: &[usize]) -> Result<Inputs, Denied> {
        Ok(Inputs::new(inputs.shape().clone(), vec![f32::NAN; inputs.values().len()]).unwrap())
    }
}

/// `count` samples around one random template per class, in turn.
pub(crate) fn blobs(axes: &[usize], classes: usize, count: usize, noise: f32, seed: u64) -> Examples {
    let shape = Shape::new(axes).unwrap();
    let mut templates = rng(1);
    let templates: Vec<Vec<f32>> =
        (0..classes).map(|_| (0..shape.size()).map(|_| templates.random_range(0.2..0.8)).collect()).collect();
    let mut rng = rng(seed);
    let labels: Vec<usize> = (0..count).map(|i| i % classes).collect();
    let values = labels
        .iter()
        .flat_map(|label| {
            templates[*label].iter().map(|t| (t + noise * normal(&mut rng)).clamp(0.0, 1.0)).collect::<Vec<_>>()
        })
        .collect();
    Examples::new(Inputs::new(shape, values).unwrap(), labels, classes).unwrap()
}

pub(crate) fn fitted(data: &Examples) -> Linear {
    Descent { steps: 200, rate: 2.0 }.train(data, Seed(0)).unwrap().value
}

/// Answers one class, whatever is asked.
pub(crate) struct Constant {
    pub(crate) classes: usize,
    pub(crate) class: usize,
}

impl Predict for Constant {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let mut scores = vec![0.0; inputs.len() * self.classes];
        scores.chunks_exact_mut(self.classes).for_each(|row| row[self.class] = 1.0);
        Ok(Outputs::new(self.classes, scores, Disclosure::Scores).unwrap())
    }
}

/// Answers a class by a hash of the input, uniform over the classes.
pub(crate) struct Hashed {
    pub(crate) classes: usize,
    pub(crate) seed: u64,
}

impl Predict for Hashed {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let mut scores = vec![0.0; inputs.len() * self.classes];
        for (row, scores) in inputs.rows().zip(scores.chunks_exact_mut(self.classes)) {
            let hash = row.iter().fold(Seed(self.seed), |seed, value| seed.nth(u64::from(value.to_bits())));
            scores[usize::try_from(hash.0 % self.classes as u64).unwrap()] = 1.0;
        }
        Ok(Outputs::new(self.classes, scores, Disclosure::Label).unwrap())
    }
}
