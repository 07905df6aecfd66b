//! Inversion score: likeness of a reconstruction to unseen members of its class.

use rand::RngExt;
use rayon::prelude::*;
use underpin_core::{About, Examples, Measurement, Quantity};

use super::reconstructions::Reconstructions;
use crate::interval::{Bootstrap, bootstrap};
use crate::{Error, Setting};

/// Inversion score: likeness of reconstructions to members of their class that nobody trained on or attacked with: 0 as an arbitrary
/// input, 1 as the class mean. Lower is safer.
///
/// With `g` the mean of the class means, likeness of `r` to a member `x` is the cosine of `r - g` and `x - g`. A
/// member's contrast is the likeness of its own class's reconstruction less the mean likeness of the other classes'.
/// The score is the mean contrast (of members within a class, then of classes) divided by the mean contrast of the
/// class means themselves (the member left out of its own). What does not depend on the class scores 0 in
/// expectation, whatever it shows.
///
/// The interval is a percentile bootstrap over classes and over members within them; `n` is the number of members.
///
/// # Edge cases
///
/// The score may exceed 1 or be negative. A reconstruction that equals `g` has likeness 0 to all.
#[derive(Clone, Debug, PartialEq)]
pub struct InversionScore {
    /// What it is measured under.
    pub setting: Setting,
    /// How its interval is drawn.
    pub bootstrap: Bootstrap,
}

/// Contrast of one member: of the reconstruction, and of the class mean.
#[derive(Clone, Copy, Debug)]
struct Contrast {
    reconstruction: f64,
    ideal: f64,
}

impl InversionScore {
    /// Scores `reconstructions` against `held_out` members.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewOfClass`] when a class has fewer than two members, [`Error::OutOfRange`] with fewer than two
    /// classes, [`Error::Length`] when there is not one reconstruction of the members' shape per class,
    /// [`Error::NotANumber`] when a value is NaN or the classes have one mean.
    pub fn measure(&self, reconstructions: &Reconstructions, held_out: &Examples) -> Result<Measurement, Error> {
        let contrasts = contrasts(reconstructions, held_out)?;
        let value = point(&contrasts)?;
        let resampled = |rng: &mut rand_chacha::ChaCha12Rng| {
            let drawn: Vec<(usize, Vec<usize>)> = (0..contrasts.len())
                .map(|_| {
                    let class = rng.random_range(0..contrasts.len());
                    let members = contrasts[class].len();
                    (class, (0..members).map(|_| rng.random_range(0..members)).collect())
                })
                .collect();
            score(&contrasts, drawn.iter().map(|(class, members)| (*class, members.as_slice())))
        };
        let interval = bootstrap(self.bootstrap, self.setting.confidence, resampled)?;
        let n = held_out.len() as u64;
        let measurement = self.setting.measurement(About::Inversion, Quantity::InversionScore, value, interval, n);
        Ok(Measurement { chance: Some(0.0), queries: Some(reconstructions.queries), ..measurement })
    }
}

/// The inversion score alone, as [`InversionScore`] defines it.
pub(crate) fn likeness(reconstructions: &Reconstructions, held_out: &Examples) -> Result<f64, Error> {
    point(&contrasts(reconstructions, held_out)?)
}

fn point(contrasts: &[Vec<Contrast>]) -> Result<f64, Error> {
    let all: Vec<Vec<usize>> = contrasts.iter().map(|members| (0..members.len()).collect()).collect();
    let value = score(contrasts, all.iter().enumerate().map(|(class, members)| (class, members.as_slice())));
    if value.is_finite() { Ok(value) } else { Err(Error::NotANumber { name: "inversion score", position: 0 }) }
}

fn score<'a>(contrasts: &[Vec<Contrast>], drawn: impl Iterator<Item = (usize, &'a [usize])>) -> f64 {
    let (mut own, mut ideal) = (0.0, 0.0);
    for (class, members) in drawn {
        let count = members.len() as f64;
        own += members.iter().map(|member| contrasts[class][*member].reconstruction).sum::<f64>() / count;
        ideal += members.iter().map(|member| contrasts[class][*member].ideal).sum::<f64>() / count;
    }
    own / ideal
}

fn contrasts(reconstructions: &Reconstructions, held_out: &Examples) -> Result<Vec<Vec<Contrast>>, Error> {
    let (classes, size) = (held_out.classes(), held_out.inputs().shape().size());
    if classes < 2 {
        return Err(Error::out_of_range("classes", classes as f64, "[2, inf)"));
    }
    let found = reconstructions.inputs.values().len();
    if found != classes * size {
        return Err(Error::Length { name: "reconstructions", expected: classes * size, found });
    }
    if let Some(position) = (reconstructions.inputs.values().iter()).position(|value| !value.is_finite()) {
        return Err(Error::NotANumber { name: "value of reconstruction", position: position / size });
    }
    let counts = held_out.counts();
    if let Some(class) = counts.iter().position(|count| *count < 2) {
        return Err(Error::TooFewOfClass { class, needed: 2, found: counts[class] });
    }
    let means = class_means(held_out, &counts);
    let centre: Vec<f64> =
        (0..size).map(|at| means.iter().map(|mean| mean[at]).sum::<f64>() / classes as f64).collect();
    let centred = |row: &mut dyn Iterator<Item = f64>| -> Vec<f64> { row.zip(&centre).map(|(a, b)| a - b).collect() };
    let shown: Vec<Vec<f64>> =
        reconstructions.inputs.rows().map(|row| centred(&mut row.iter().map(|v| f64::from(*v)))).collect();
    let ideal: Vec<Vec<f64>> = means.iter().map(|mean| centred(&mut mean.iter().copied())).collect();
    let one = |example: usize| {
        let class = held_out.labels()[example];
        let member = centred(&mut held_out.inputs().row(example).iter().map(|v| f64::from(*v)));
        let rest = (counts[class] - 1) as f64;
        // The class mean without the member: (n m - x) / (n - 1) = m + (m - x) / (n - 1).
        let without: Vec<f64> =
            ideal[class].iter().zip(&member).map(|(mean, own)| mean + (mean - own) / rest).collect();
        let contrast = |own: &[f64], all: &[Vec<f64>]| {
            let others = (0..classes).filter(|other| *other != class).map(|other| cosine(&all[other], &member));
            cosine(own, &member) - others.sum::<f64>() / (classes - 1) as f64
        };
        (class, Contrast { reconstruction: contrast(&shown[class], &shown), ideal: contrast(&without, &ideal) })
    };
    let all: Vec<(usize, Contrast)> = (0..held_out.len()).into_par_iter().map(one).collect();
    let mut by_class = vec![Vec::new(); classes];
    for (class, contrast) in all {
        by_class[class].push(contrast);
    }
    Ok(by_class)
}

fn class_means(examples: &Examples, counts: &[usize]) -> Vec<Vec<f64>> {
    let mut means = vec![vec![0.0; examples.inputs().shape().size()]; examples.classes()];
    for (row, label) in examples.inputs().rows().zip(examples.labels()) {
        means[*label].iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    for (mean, count) in means.iter_mut().zip(counts) {
        for sum in mean {
            *sum /= *count as f64;
        }
    }
    means
}

/// 0 when a vector has no length.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
#[path = "inversion_score_tests.rs"]
mod tests;
