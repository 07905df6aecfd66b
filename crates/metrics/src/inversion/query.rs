//! Query inversion: black-box inversion by natural evolution strategies.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{Access, Attack, Confidence, Disclosure, Examples, Inputs, Outputs, Predict, Seed, System, Threat};

use super::reconstructions::Reconstructions;
use crate::answers::Oracle;
use crate::progress::{Progress, ended};
use crate::random::{normal, stream};
use crate::{Error, Setting};

/// Scores below this are taken as this.
const FLOOR: f64 = 1e-9;
/// The widest search.
const WIDEST: f64 = 0.5;

/// Query inversion: estimates, from answers alone, the direction in which each class becomes likelier, and follows it; black box.
///
/// Around the present input it asks `directions` pairs of opposite random inputs and weighs their directions by what
/// the answers differ (natural evolution strategies). Where all answers of a class are alike, as labels often are,
/// the search is widened, to half the range of a feature; weighing wide random inputs by their labels is reverse
/// correlation. Ends when the budget is spent or the target denies. Of the samples only the shape and the number of
/// classes are used.
///
/// # Guarantees
///
/// 1. No more than `queries` per class are made: `query_inversion_keeps_its_budget`.
/// 2. Reconstructions lie in `[0, 1]` and no sample's value is used: `inversion_uses_no_sample`.
///
/// # Source
///
/// Wierstra et al., JMLR 2014; as a black-box gradient: Ilyas, Engstrom, Athalye and Lin, ICML 2018. Reverse
/// correlation of a classifier: Ahumada and Lovell, JASA 1971.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryInversion {
    /// Queries allowed per class.
    pub queries: usize,
    /// Pairs of opposite inputs per step, at least 1.
    pub directions: usize,
    /// Standard deviation of the random inputs at the start, in `(0, 0.5]`.
    pub width: f64,
    /// Root-mean-square change of a feature per step.
    pub step_size: f64,
}

impl QueryInversion {
    /// Twenty steps, or more of 50 pairs each; a narrow search; steps that cross the range of a feature in 20.
    pub fn new(queries: usize) -> Self {
        Self { queries, directions: (queries / 40).clamp(1, 50), width: 0.1, step_size: 0.05 }
    }

    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters = [
            ("queries_per_class", self.queries.into()),
            ("directions", self.directions.into()),
            ("width", self.width.into()),
            ("step_size", self.step_size.into()),
        ];
        Setting::attack(system, Access::BlackBox, "query_inversion", confidence, parameters)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |name, value, range| Err(Error::out_of_range(name, value, range));
        if self.directions == 0 {
            return refuse("directions", 0.0, "[1, inf)");
        }
        if self.queries < 2 * self.directions {
            return refuse("queries", self.queries as f64, "[2 directions, inf)");
        }
        if !(self.width > 0.0 && self.width <= WIDEST) {
            return refuse("width", self.width, "(0, 0.5]");
        }
        if !(self.step_size > 0.0 && self.step_size.is_finite()) {
            return refuse("step_size", self.step_size, "(0, inf)");
        }
        Ok(())
    }
}

/// The search for one class.
struct Search {
    class: usize,
    present: Vec<f32>,
    /// Sum of all directions found, which outlasts the noise of each.
    direction: Vec<f64>,
    width: f64,
    probes: Vec<f32>,
    noise: Vec<f64>,
}

impl<T: Predict + ?Sized> Attack<T> for QueryInversion {
    type Outcome = Reconstructions;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<Reconstructions, Error> {
        self.check()?;
        let (shape, classes) = (samples.inputs().shape(), samples.classes());
        let size = shape.size();
        let mut oracle = Oracle::new(target, classes);
        let mut searches: Vec<Search> = (0..classes)
            .map(|class| Search {
                class,
                present: vec![0.5; size],
                direction: vec![0.0; size],
                width: self.width,
                probes: Vec::new(),
                noise: Vec::new(),
            })
            .collect();
        let steps = self.queries / (2 * self.directions);
        let progress = Progress::new("inversion by queries", steps);
        for step in 0..steps {
            let seed = seed.nth(step as u64);
            searches.par_iter_mut().for_each(|search| search.look_around(self.directions, seed));
            for search in &mut searches {
                let probes = Inputs::new(shape.clone(), search.probes.clone())?;
                let outputs = oracle.ask(&probes)?;
                search.follow(&outputs, self.step_size);
            }
            if oracle.denied.is_some() {
                break;
            }
            progress.step();
        }
        let inputs = Inputs::new(shape.clone(), searches.into_iter().flat_map(|search| search.present).collect())?;
        ended(Threat::Inversion, Access::BlackBox, "query_inversion", oracle.answered);
        Ok(Reconstructions { inputs, queries: oracle.answered })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
impl Search {
    fn look_around(&mut self, directions: usize, seed: Seed) {
        let mut rng = stream(seed.nth(self.class as u64));
        self.noise = (0..directions * self.present.len()).map(|_| normal(&mut rng)).collect();
        self.probes.clear();
        for noise in self.noise.chunks_exact(self.present.len()) {
            for side in [1.0, -1.0] {
                let probe = self.present.iter().zip(noise);
                let moved = |(value, noise): (&f32, &f64)| (f64::from(*value) + side * self.width * noise) as f32;
                self.probes.extend(probe.map(moved).map(|value| value.clamp(0.0, 1.0)));
            }
        }
    }

    /// Moves along the directions weighed by how much likelier the class became; answers may be missing at the end.
    fn follow(&mut self, outputs: &Outputs, step_size: f64) {
        let label = outputs.disclosure() == Disclosure::Label;
        let fitness = |row: &[f32]| {
            let score = f64::from(row[self.class]);
            if score.is_nan() {
                0.0
            } else if label {
                score
            } else {
                score.max(FLOOR).ln()
            }
        };
        let fitness: Vec<f64> = outputs.rows().map(fitness).collect();
        let weights: Vec<f64> = fitness.chunks_exact(2).map(|pair| pair[0] - pair[1]).collect();
        let largest = weights.iter().fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
        if largest == 0.0 {
            self.width = (2.0 * self.width).min(WIDEST);
            return;
        }
        let mut found = vec![0.0; self.present.len()];
        for (noise, weight) in self.noise.chunks_exact(self.present.len()).zip(&weights) {
            found.iter_mut().zip(noise).for_each(|(found, noise)| *found += weight / largest * noise);
        }
        let root_mean_square =
            |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
        let scale = root_mean_square(&found).max(f64::MIN_POSITIVE);
        self.direction.iter_mut().zip(&found).for_each(|(direction, found)| *direction += found / scale);
        let scale = step_size / root_mean_square(&self.direction).max(f64::MIN_POSITIVE);
        for (value, direction) in self.present.iter_mut().zip(&self.direction) {
            *value = (f64::from(*value) + scale * direction).clamp(0.0, 1.0) as f32;
        }
    }
}
