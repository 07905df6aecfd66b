//! Backdoors leave a trace in the spectrum of their class.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use underpin_core::{Audited, Inputs, Sanitizer, Seed};

use crate::Error;
use crate::calibration::FalsePositiveRate;
use crate::collection::{Collection, Flag};
use crate::knn::above;
use crate::ledger::Reason;

/// What spectral signatures look at: one vector per row.
pub trait Representation {
    /// As many rows as `inputs`, all of one shape: such as a model's activations before its last layer.
    fn represent(&self, inputs: &Inputs) -> Inputs;
}

/// The features themselves.
#[derive(Clone, Copy, Debug)]
pub struct Features;

impl Representation for Features {
    fn represent(&self, inputs: &Inputs) -> Inputs {
        inputs.clone()
    }
}

impl<F: Fn(&Inputs) -> Inputs> Representation for F {
    fn represent(&self, inputs: &Inputs) -> Inputs {
        self(inputs)
    }
}

/// Drops rows that stand out along the direction in which the representations of their class vary most.
///
/// Per class, half of the rows give mean and top singular direction, and the other half is scored; then the halves
/// change roles, so that no row is scored along a direction fitted to it. The score is the distance from the class's
/// held-out rows along that direction, in their own robust deviations; a held-out row is compared with the others. A class
/// with fewer than 8 held-out rows, or 4 rows, is not judged.
///
/// # Limits
///
/// Held-out rows must be free of the backdoor. A backdoor that does not dominate its class's variance is not seen: use a
/// trained model's activations as representation, where triggers stand out more than in raw features.
///
/// # Source
///
/// Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018, algorithm 1. Deviations: a calibrated
/// threshold (see [`FalsePositiveRate`]) instead of a fixed share of rows, and the two halves.
#[derive(Clone, Copy)]
pub struct SpectralSignatures<'a> {
    /// What is looked at.
    pub representation: &'a dyn Representation,
    /// Share of clean rows that may be flagged.
    pub false_positive_rate: FalsePositiveRate,
    /// Decides which rows form which half.
    pub seed: Seed,
}

impl std::fmt::Debug for SpectralSignatures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("SpectralSignatures");
        out.field("false_positive_rate", &self.false_positive_rate).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Fewest held-out rows, and rows, of a class that is judged.
const HELD_OUT: usize = 8;
const ROWS: usize = 4;

impl Sanitizer<Collection> for SpectralSignatures<'_> {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        collection.judge("spectral_signatures", |collection, record| {
            let held_out = collection.reference("spectral_signatures")?;
            let rows = collection.rows().examples();
            let vectors = self.represent(rows.inputs())?;
            let others = self.represent(held_out.examples().inputs())?;
            let (mut scores, mut reference) = (vec![0.0; rows.len()], Vec::new());
            let mut unjudged = 0_usize;
            for class in 0..rows.classes() {
                let mut members = of_class(rows.labels(), class);
                let held_out = of_class(held_out.examples().labels(), class);
                if held_out.len() < HELD_OUT || members.len() < ROWS {
                    unjudged += 1;
                    continue;
                }
                members.shuffle(&mut ChaCha20Rng::seed_from_u64(self.seed.derive("spectral").nth(class as u64).0));
                let halves = members.split_at(members.len() / 2);
                for (half, (fit, judge)) in [halves, (halves.1, halves.0)].into_iter().enumerate() {
                    let axis = Axis::fit(&vectors, fit);
                    let known: Vec<f64> = held_out.iter().map(|at| axis.place(others.row(*at))).collect();
                    let whole = Middle::of(known.clone());
                    judge.iter().for_each(|at| scores[*at] = whole.distance(axis.place(vectors.row(*at))));
                    // Every held-out row gives one score, half of them along each direction.
                    reference.extend((half..known.len()).step_by(2).map(|at| {
                        let rest = known.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, place)| *place);
                        Middle::of(rest.collect()).distance(known[at])
                    }));
                }
                tracing::info!(target: "progress", task = "spectral signatures", step = class as u64 + 1, of = rows.classes() as u64);
            }
            record.set("collection.spectral_signatures.classes_not_judged", unjudged);
            let threshold = self.false_positive_rate.threshold(reference, "spectral_signatures", record);
            let flags: Vec<Flag> = above(scores.into_iter(), threshold, Reason::Backdoor, "signature");
            Ok(flags)
        })
    }
}

impl SpectralSignatures<'_> {
    fn represent(&self, inputs: &Inputs) -> Result<Inputs, Error> {
        let vectors = self.representation.represent(inputs);
        let (expected, found) = (inputs.len(), vectors.len());
        if expected == found { Ok(vectors) } else { Err(Error::Representation { expected, found }) }
    }
}

fn of_class(labels: &[usize], class: usize) -> Vec<usize> {
    labels.iter().enumerate().filter(|(_, label)| **label == class).map(|(at, _)| at).collect()
}

/// The direction of greatest variance through the mean of some rows.
struct Axis {
    mean: Vec<f64>,
    direction: Vec<f64>,
}

impl Axis {
    /// Power iteration on the centred rows. Starts from the row farthest from the mean, so it is not orthogonal to all.
    fn fit(vectors: &Inputs, rows: &[usize]) -> Self {
        let size = vectors.shape().size();
        let mut mean = vec![0.0; size];
        for row in rows.iter().map(|at| vectors.row(*at)) {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / rows.len() as f64);
        }
        let centred: Vec<Vec<f64>> = rows
            .iter()
            .map(|at| vectors.row(*at).iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect())
            .collect();
        let farthest = centred.iter().max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)));
        let mut direction = farthest.cloned().unwrap_or_else(|| vec![0.0; size]);
        for _ in 0..50 {
            let length = dot(&direction, &direction).sqrt();
            if length == 0.0 || !length.is_finite() {
                break;
            }
            direction.iter_mut().for_each(|value| *value /= length);
            let mut next = vec![0.0; size];
            for row in &centred {
                let weight = dot(row, &direction);
                next.iter_mut().zip(row).for_each(|(next, value)| *next += weight * value);
            }
            direction = next;
        }
        let length = dot(&direction, &direction).sqrt();
        if length > 0.0 {
            direction.iter_mut().for_each(|value| *value /= length);
        }
        Self { mean, direction }
    }

    fn place(&self, row: &[f32]) -> f64 {
        row.iter()
            .zip(&self.mean)
            .zip(&self.direction)
            .map(|((value, mean), axis)| (f64::from(*value) - mean) * axis)
            .sum()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Median and median absolute deviation.
struct Middle {
    median: f64,
    deviation: f64,
}

impl Middle {
    fn of(mut places: Vec<f64>) -> Self {
        let median = median(&mut places);
        places.iter_mut().for_each(|place| *place = (*place - median).abs());
        Self { median, deviation: self::median(&mut places) }
    }

    fn distance(&self, place: f64) -> f64 {
        let away = (place - self.median).abs();
        if away == 0.0 { 0.0 } else { away / self.deviation }
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
