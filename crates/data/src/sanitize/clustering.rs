//! Activation clustering: finds the backdoored part of a class by clustering and exclusionary reclassification.

use std::collections::BTreeSet;

use underpin_core::{Audited, Examples, Sanitizer};

use super::context::judge;
use super::nearest::{nearest, permitted};
use super::principal_axis::PrincipalAxis;
use super::representation::{Representation, represent};
use super::whitening::Whitening;
use crate::Error;
use crate::record::{Collection, Flag, Near, Reason};

/// Activation clustering: drops the part of a class that its nearest neighbours outside it assign to other classes.
///
/// Representations are whitened by the spread of rows about their classes' means. Each class is split in two where its
/// places along the direction of greatest variance fall apart most (two means in one dimension). The smaller part is
/// judged by exclusionary reclassification: each of its rows is given the most frequent class among its `neighbours`
/// nearest rows outside the part. If at least the fraction `reclassified` of the part goes to other classes, and these rows
/// share a value of some feature that is rare elsewhere (a trigger: 90 % of them have it, at most 3 % of all rows outside
/// the part), they are dropped. Held-out rows of that part that go to other classes are left out of all later
/// calibration.
///
/// Needs no clean rows: it also works where held-out rows are poisoned like the others.
///
/// # Limits
///
/// A part of fewer than 5 rows is not judged. Backdoors whose rows bear their true label (clean label) are not found, nor
/// one whose trigger varies from row to row, nor a second one in a class, nor one that is not its class's direction of
/// greatest variance. What is left to [`SpectralSignatures`](crate::SpectralSignatures).
///
/// # Source
///
/// Chen, Carvalho, Baracaldo et al., "Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering", SafeAI
/// at AAAI 2019, algorithm 1 and section "Exclusionary Reclassification". Deviations: one whitened direction instead of
/// ten independent components; nearest neighbours instead of a model trained again; the shared value, without which
/// natural parts of hard classes were taken for backdoors (3 % of the clean digits, 11 % of Fashion-MNIST).
#[derive(Clone, Copy)]
pub struct ActivationClustering<'a> {
    /// What is looked at.
    pub representation: &'a dyn Representation,
    /// Number of neighbours that vote, 1 to 32.
    pub neighbours: usize,
    /// Fraction of a part that must go to other classes, in `(0, 1]`.
    pub reclassified: f64,
}

impl std::fmt::Debug for ActivationClustering<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ActivationClustering");
        out.field("neighbours", &self.neighbours).field("reclassified", &self.reclassified).finish_non_exhaustive()
    }
}

/// Fewest rows of a part that is judged.
const PART: usize = 5;
/// Most rows that whiten, and that vote: of more, every so many-th.
const SAMPLE: usize = 10_000;
/// Values this near count as the same.
const SAME: f32 = 0.01;
/// Fraction of a part's reclassified rows that must have a trigger's value, and fraction of all others that may.
const TOGETHER: f64 = 0.9;
const ELSEWHERE: f64 = 0.03;

impl Sanitizer<Collection> for ActivationClustering<'_> {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        if !(self.reclassified > 0.0 && self.reclassified <= 1.0) {
            return Err(Error::out_of_range("reclassified", self.reclassified, "(0, 1]"));
        }
        let neighbours = permitted(self.neighbours)?;
        judge(collection, "activation_clustering", |collection, record| {
            let rows = collection.rows().examples();
            let vectors = represent(self.representation, rows.inputs())?;
            let all: Vec<usize> = (0..rows.len()).collect();
            let whitening = Whitening::fit(&vectors, rows.labels(), rows.classes(), &sample(&all))?;
            let white = whitening.apply(&vectors);
            let held_out = collection.held_out().map(|held_out| {
                let vectors = represent(self.representation, held_out.examples().inputs())?;
                Ok::<_, Error>((held_out.examples(), whitening.apply(&vectors)))
            });
            let held_out = held_out.transpose()?;
            let (mut flags, mut poisoned) = (Vec::new(), Vec::new());
            for class in 0..rows.classes() {
                let (step, of) = (class as u64 + 1, rows.classes() as u64);
                tracing::info!(target: "progress", task = "activation clustering", step, of);
                let members: Vec<usize> = all.iter().copied().filter(|at| rows.labels()[*at] == class).collect();
                let axis = PrincipalAxis::fit(white.as_ref(), &members);
                let places = members.iter().map(|at| (axis.place(white.as_ref(), *at), *at)).collect();
                let Some(part) = Part::smaller(places).filter(|part| part.rows.len() >= PART) else { continue };
                let voters: Vec<usize> = all.iter().copied().filter(|at| !part.rows.contains(at)).collect();
                let vote = Vote { voters: rows.select(&sample(&voters)), neighbours };
                let reclassified = vote.reclassified(rows, &part.rows.iter().copied().collect::<Vec<_>>());
                let fraction = reclassified.len() as f64 / part.rows.len() as f64;
                tracing::debug!(class, part = part.rows.len(), fraction, "part reclassified");
                if fraction < self.reclassified {
                    continue;
                }
                let Some((feature, value)) = shared_value(rows, &reclassified, &part.rows) else { continue };
                let detail = format!(
                    "{fraction:.3} of {} rows go to other classes, allowed: less than {}; feature {feature} is {value} in them",
                    part.rows.len(),
                    self.reclassified
                );
                let flag = |position| Flag { position, reason: Reason::Backdoor, detail: detail.clone() };
                flags.extend(reclassified.into_iter().map(flag));
                if let Some((examples, white)) = &held_out {
                    let inside =
                        |at: &usize| examples.labels()[*at] == class && part.holds(axis.place(white.as_ref(), *at));
                    let suspects: Vec<usize> = (0..examples.len()).filter(inside).collect();
                    poisoned.extend(vote.reclassified(examples, &suspects));
                }
            }
            record.set("collection.activation_clustering.neighbours", neighbours);
            record.set("collection.activation_clustering.reclassified", self.reclassified);
            record.set("collection.activation_clustering.held_out_set_aside", poisoned.len());
            collection.distrust(&poisoned);
            Ok(flags)
        })
    }
}

/// A feature and the value that most reclassified rows, and hardly any row outside the part, have there.
fn shared_value(rows: &Examples, reclassified: &[usize], part: &BTreeSet<usize>) -> Option<(usize, f32)> {
    let inputs = rows.inputs();
    let outside: Vec<usize> = (0..rows.len()).filter(|at| !part.contains(at)).collect();
    let fraction = |of: &[usize], feature: usize, value: f32| {
        let same = of.iter().filter(|at| (inputs.row(**at)[feature] - value).abs() <= SAME);
        same.count() as f64 / of.len().max(1) as f64
    };
    (0..inputs.shape().size()).find_map(|feature| {
        let mut values: Vec<f32> = reclassified.iter().map(|at| inputs.row(*at)[feature]).collect();
        values.sort_by(f32::total_cmp);
        let value = *values.get(values.len() / 2)?;
        let rare = || fraction(&outside, feature, value) <= ELSEWHERE;
        (fraction(reclassified, feature, value) >= TOGETHER && rare()).then_some((feature, value))
    })
}

/// At most [`SAMPLE`] of them, evenly.
fn sample(positions: &[usize]) -> Vec<usize> {
    positions.iter().copied().step_by(positions.len().div_ceil(SAMPLE).max(1)).collect()
}

/// One side of a class along its direction.
struct Part {
    rows: BTreeSet<usize>,
    cut: f64,
    above: bool,
}

impl Part {
    /// The smaller of two parts between which the variance is greatest; none of fewer than two places.
    fn smaller(mut places: Vec<(f64, usize)>) -> Option<Self> {
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (count, total) = (places.len() as f64, places.iter().map(|(place, _)| place).sum::<f64>());
        let (mut below, mut best) = (0.0, (f64::NEG_INFINITY, 0));
        for at in 1..places.len() {
            below += places[at - 1].0;
            let (n, m) = (at as f64, count - at as f64);
            let gap = below / n - (total - below) / m;
            let between = n * m * gap * gap;
            if between > best.0 {
                best = (between, at);
            }
        }
        let cut = best.1;
        if cut == 0 {
            return None;
        }
        let above = cut * 2 > places.len();
        let side = if above { &places[cut..] } else { &places[..cut] };
        let middle = f64::midpoint(places[cut - 1].0, places[cut].0);
        Some(Self { rows: side.iter().map(|(_, at)| *at).collect(), cut: middle, above })
    }

    fn holds(&self, place: f64) -> bool {
        (place > self.cut) == self.above
    }
}

/// The rows outside a part, asked for the class of those inside.
struct Vote {
    voters: Examples,
    neighbours: usize,
}

impl Vote {
    /// Which of the examples at `positions` go to another class than their own.
    fn reclassified(&self, examples: &Examples, positions: &[usize]) -> Vec<usize> {
        let near = nearest(&examples.inputs().select(positions), self.voters.inputs(), false);
        let reclassified = |(at, near): (&usize, Near)| {
            let mut votes = vec![0_usize; self.voters.classes()];
            for (voter, _) in near.iter().take(self.neighbours) {
                votes[self.voters.labels()[*voter as usize]] += 1;
            }
            let own = votes[examples.labels()[*at]];
            votes.into_iter().any(|other| other > own).then_some(*at)
        };
        positions.iter().zip(near).filter_map(reclassified).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_falls_apart_where_the_gap_is() {
        let places = [0.0, 0.1, 5.0, 0.2, 5.1, 0.3, 0.4].into_iter().zip(0..).collect();
        let part = Part::smaller(places).unwrap();
        assert_eq!(part.rows.iter().copied().collect::<Vec<_>>(), [2, 4]);
        assert!(part.holds(4.0) && !part.holds(1.0));
        let mirrored = [0.0, -0.1, -5.0, -0.2, -5.1, -0.3].into_iter().zip(0..).collect();
        let part = Part::smaller(mirrored).unwrap();
        assert!(part.holds(-4.0) && !part.holds(-1.0) && part.rows.len() == 2);
        assert!(Part::smaller(vec![(1.0, 0)]).is_none() && Part::smaller(vec![]).is_none());
    }
}
