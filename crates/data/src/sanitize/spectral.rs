//! Spectral signatures: backdoored rows stand out in the spectrum of their class.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use underpin_core::{Audited, Examples, Sanitizer, Seed};

use super::context::{above, judge};
use super::false_positive_rate::FalsePositiveRate;
use super::median_mad::MedianMad;
use super::principal_axis::PrincipalAxis;
use super::representation::{Representation, represent};
use super::whitening::Whitening;
use crate::Error;
use crate::record::{Collection, Reason};

/// Drops rows that stand out along the direction in which the representations of their class vary most.
///
/// Rows are whitened by the spread of held-out rows about their classes' means, so that what hardly varies in clean rows
/// counts as much as what varies a lot. Then, per class, half of the rows give mean and top singular direction, and the
/// other half is scored along it; the halves change roles. The score is the distance from the class's held-out rows, in
/// their own robust deviations. Held-out rows are halved likewise: one half whitens, the other is compared and calibrates,
/// each of its rows with the rest. So no row, held out or not, is scored by what was fitted to it.
///
/// A class with fewer than 16 held-out rows, or fewer than 4 rows, is not judged.
///
/// # Limits
///
/// Held-out rows must be free of the backdoor. A backdoor that does not dominate its class's variance is not seen: use a
/// trained model's activations as representation, where triggers stand out more than in raw features.
///
/// # Source
///
/// Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018, algorithm 1; whitening as in Hayase, Kong,
/// Somani and Oh, "SPECTRE: Defending Against Backdoor Attacks Using Robust Statistics", ICML 2021, with held-out rows in
/// place of a robust estimate. Deviations: the halves, and a calibrated threshold (see [`FalsePositiveRate`]) instead of
/// a fixed fraction of rows.
#[derive(Clone, Copy)]
pub struct SpectralSignatures<'a> {
    /// What is looked at.
    pub representation: &'a dyn Representation,
    /// Fraction of clean rows that may be flagged.
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
const HELD_OUT: usize = 16;
const ROWS: usize = 4;

impl Sanitizer<Collection> for SpectralSignatures<'_> {
    type Error = Error;

    fn sanitize(&self, collection: Collection) -> Result<Audited<Collection>, Error> {
        judge(collection, "spectral_signatures", |collection, record| {
            let held_out = collection.reference("spectral_signatures")?;
            let (rows, clean) = (collection.rows().examples(), held_out.examples());
            let (vectors, clean_vectors) =
                (represent(self.representation, rows.inputs())?, represent(self.representation, clean.inputs())?);
            let judged = judged_classes(rows, clean);
            record.set("collection.spectral_signatures.classes_not_judged", rows.classes() - judged.len());
            let (mut scores, mut reference) = (vec![0.0; rows.len()], Vec::new());
            for half in 0..2 {
                let (whitens, compared): (Vec<usize>, Vec<usize>) = (0..clean.len()).partition(|at| at % 2 == half);
                let whitening = Whitening::fit(&clean_vectors, clean.labels(), clean.classes(), &whitens)?;
                let (white, clean_white) = (whitening.apply(&vectors), whitening.apply(&clean_vectors));
                for class in &judged {
                    let (fit, judged_half) = self.halves(rows.labels(), *class, half);
                    let axis = PrincipalAxis::fit(white.as_ref(), &fit);
                    let known = compared.iter().filter(|at| clean.labels()[**at] == *class);
                    let known: Vec<f64> = known.map(|at| axis.place(clean_white.as_ref(), *at)).collect();
                    if known.len() < HELD_OUT / 4 {
                        continue;
                    }
                    let middle = MedianMad::of(known.clone());
                    for at in judged_half {
                        scores[at] = middle.distance(axis.place(white.as_ref(), at));
                    }
                    reference.extend((0..known.len()).map(|at| {
                        let mut rest = known.clone();
                        MedianMad::of({
                            rest.swap_remove(at);
                            rest
                        })
                        .distance(known[at])
                    }));
                }
                tracing::info!(target: "progress", task = "spectral signatures", step = half as u64 + 1, of = 2_u64);
            }
            let threshold = self.false_positive_rate.threshold(reference, "spectral_signatures", record);
            Ok(above(scores.into_iter(), threshold, Reason::Backdoor, "signature"))
        })
    }
}

impl SpectralSignatures<'_> {
    /// A class's rows in two halves, in an order that the seed decides; `half` says which comes first.
    fn halves(&self, labels: &[usize], class: usize, half: usize) -> (Vec<usize>, Vec<usize>) {
        let mut members: Vec<usize> = (0..labels.len()).filter(|at| labels[*at] == class).collect();
        members.shuffle(&mut ChaCha20Rng::seed_from_u64(self.seed.derive("spectral").nth(class as u64).0));
        let rest = members.split_off(members.len() / 2);
        if half == 0 { (members, rest) } else { (rest, members) }
    }
}

/// Classes with enough rows and held-out rows.
fn judged_classes(rows: &Examples, held_out: &Examples) -> Vec<usize> {
    let counts = rows.counts().into_iter().zip(held_out.counts()).enumerate();
    counts.filter(|(_, (rows, held_out))| *rows >= ROWS && *held_out >= HELD_OUT).map(|(class, _)| class).collect()
}
