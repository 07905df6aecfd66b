//! Numbers that need no adversary: accuracy, calibration, abstention, worst group.

use std::collections::BTreeMap;

use rand::RngExt;
use underpin_core::{About, Measurement, Outputs, Quantity};

use crate::answers::classified_correctly;
use crate::interval::{Bootstrap, Proportion, bootstrap, clopper_pearson, normal_quantile, paired_difference};
use crate::{Error, Setting};

/// Fraction of unperturbed inputs classified correctly.
///
/// # Errors
///
/// [`Error::NoObservations`] without an input.
pub fn clean_accuracy(setting: &Setting, correct: &[bool]) -> Result<Measurement, Error> {
    setting.proportion(About::Utility, Quantity::CleanAccuracy, Proportion::of(correct))
}

/// Accuracy of the best constant answer on these labels: the fraction of the largest class. 0 without a label.
pub fn constant_accuracy(labels: &[usize]) -> f64 {
    let counts = class_counts(labels, labels.iter().map(|_| true));
    let most = counts.values().map(|counted| counted.trials).max().unwrap_or(0);
    most as f64 / labels.len().max(1) as f64
}

/// Balanced accuracy: the mean over the classes of the fraction of their inputs classified correctly; classes without an
/// input are passed over. What a constant answer reaches is one over the number of classes.
///
/// The interval is that of Price and Bonett for a linear combination of proportions, cut to `[0, 1]`: with few inputs a
/// class it is wider than the sample's spread.
///
/// # Errors
///
/// [`Error::Length`] when there is not one label per answer, [`Error::NoObservations`] without an input.
///
/// # Source
///
/// Brodersen, Ong, Stephan and Buhmann, ICPR 2010; Price and Bonett, Computational Statistics and Data Analysis 45, 2004,
/// equation 3.
pub fn balanced_accuracy(setting: &Setting, correct: &[bool], labels: &[usize]) -> Result<Measurement, Error> {
    if correct.len() != labels.len() {
        return Err(Error::Length { name: "labels", expected: correct.len(), found: labels.len() });
    }
    let counts = class_counts(labels, correct.iter().copied());
    if counts.is_empty() {
        return Err(Error::NoObservations { what: "inputs" });
    }
    let classes = counts.len() as f64;
    let value = counts.values().map(|counted| counted.value()).sum::<f64>() / classes;
    let (mut centre, mut variance) = (0.0, 0.0);
    for Proportion { successes, trials } in counts.values() {
        let (successes, trials) = (*successes as f64 + 2.0 / classes, *trials as f64 + 4.0 / classes);
        let fraction = successes / trials;
        centre += fraction / classes;
        variance += fraction * (1.0 - fraction) / trials / (classes * classes);
    }
    let reach = normal_quantile(0.5 * (1.0 - setting.confidence.value())).abs() * variance.sqrt();
    let interval = underpin_core::Interval {
        lower: (centre - reach).clamp(0.0, value),
        upper: (centre + reach).clamp(value, 1.0),
        confidence: setting.confidence,
    };
    let (about, quantity, n) = (About::Utility, Quantity::BalancedAccuracy, labels.len() as u64);
    let measured = setting.clone().with("classes", counts.len()).measurement(about, quantity, value, interval, n);
    Ok(Measurement { constant: Some(1.0 / classes), ..measured })
}

/// Correct answers among the inputs of each class that has any.
fn class_counts(labels: &[usize], correct: impl Iterator<Item = bool>) -> BTreeMap<usize, Proportion> {
    let mut counts: BTreeMap<usize, Proportion> = BTreeMap::new();
    for (label, correct) in labels.iter().zip(correct) {
        let counted = counts.entry(*label).or_insert(Proportion { successes: 0, trials: 0 });
        counted.successes += u64::from(correct);
        counted.trials += 1;
    }
    counts
}

/// Clean accuracy of the undefended model less that of the defended one, on the same inputs.
///
/// # Errors
///
/// [`Error::Length`] when the lists differ in length, [`Error::NoObservations`] when they are empty.
pub fn accuracy_loss(setting: &Setting, undefended: &[bool], defended: &[bool]) -> Result<Measurement, Error> {
    let interval = paired_difference(undefended, defended, setting.confidence)?;
    let value = Proportion::of(undefended).value() - Proportion::of(defended).value();
    Ok(setting.measurement(About::Utility, Quantity::AccuracyLoss, value, interval, defended.len() as u64))
}

/// A prediction: its confidence, and whether it is correct.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The best score, in `[0, 1]`.
    pub confidence: f64,
    /// Whether the best class is the label.
    pub correct: bool,
}

/// The predictions in `outputs`. An answer with a NaN is wrong with confidence 1.
///
/// # Errors
///
/// [`Error::Length`] when there is not one label per answer.
pub fn predictions(outputs: &Outputs, labels: &[usize]) -> Result<Vec<Prediction>, Error> {
    if outputs.len() != labels.len() {
        return Err(Error::Length { name: "labels", expected: outputs.len(), found: labels.len() });
    }
    let sure = |row: &[f32]| {
        if row.iter().any(|score| score.is_nan()) {
            1.0
        } else {
            f64::from(row.iter().copied().fold(0.0, f32::max)).clamp(0.0, 1.0)
        }
    };
    let correct = classified_correctly(outputs, labels);
    Ok(outputs.rows().zip(correct).map(|(row, correct)| Prediction { confidence: sure(row), correct }).collect())
}

/// Expected calibration error: over equal-width bins of confidence, the mean of |accuracy - mean confidence| weighted
/// by the bins' fractions. In `[0, 1]`; lower is better.
///
/// Percentile bootstrap interval; the estimate is biased upwards with few samples, and its resamples more so, which
/// errs on the safe side.
///
/// # Errors
///
/// [`Error::NoObservations`] without a prediction, [`Error::OutOfRange`] without a bin or for a confidence outside
/// `[0, 1]`.
///
/// # Source
///
/// Naeini, Cooper and Hauskrecht, AAAI 2015; 15 bins as in Guo et al., ICML 2017, are usual.
pub fn calibration_error(
    setting: &Setting,
    predictions: &[Prediction],
    bins: usize,
    how: Bootstrap,
) -> Result<Measurement, Error> {
    check(predictions)?;
    if bins == 0 {
        return Err(Error::out_of_range("bins", 0.0, "[1, inf)"));
    }
    let value = expected_error(predictions.iter(), bins);
    let interval = bootstrap(how, setting.confidence, |rng| {
        expected_error((0..predictions.len()).map(|_| &predictions[rng.random_range(0..predictions.len())]), bins)
    })?;
    let setting = setting.clone().with("bins", bins);
    let n = predictions.len() as u64;
    let interval =
        underpin_core::Interval { lower: interval.lower.min(value), upper: interval.upper.max(value), ..interval };
    Ok(setting.measurement(About::Safety, Quantity::CalibrationError, value, interval, n))
}

fn expected_error<'a>(predictions: impl Iterator<Item = &'a Prediction>, bins: usize) -> f64 {
    let (mut gaps, mut count) = (vec![0.0; bins], 0.0);
    for prediction in predictions {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "confidence lies in [0, 1]")]
        let bin = ((prediction.confidence * bins as f64) as usize).min(bins - 1);
        gaps[bin] += f64::from(u8::from(prediction.correct)) - prediction.confidence;
        count += 1.0;
    }
    gaps.into_iter().map(f64::abs).sum::<f64>() / count
}

fn check(predictions: &[Prediction]) -> Result<(), Error> {
    if predictions.is_empty() {
        return Err(Error::NoObservations { what: "predictions" });
    }
    match predictions.iter().find(|prediction| !(0.0..=1.0).contains(&prediction.confidence)) {
        Some(bad) => Err(Error::out_of_range("confidence", bad.confidence, "[0, 1]")),
        None => Ok(()),
    }
}

/// The lowest threshold on confidence at which, on these predictions, the error among those answered is at most `risk`
/// with the stated confidence; infinite when there is none.
///
/// Choose it on other data than it is measured on. Thresholds are tried from the most confident down and the search
/// ends at the first that fails, so that, given the confidences, the exact bound holds for the one chosen
/// (fixed-sequence testing).
///
/// # Errors
///
/// As [`calibration_error`]; [`Error::OutOfRange`] for a risk outside `(0, 1)`.
///
/// # Source
///
/// Geifman and El-Yaniv, NeurIPS 2017; fixed sequence: Angelopoulos et al., Learn then Test, 2021.
pub fn abstention_threshold(
    predictions: &[Prediction],
    risk: f64,
    confidence: underpin_core::Confidence,
) -> Result<f64, Error> {
    check(predictions)?;
    if !(risk > 0.0 && risk < 1.0) {
        return Err(Error::out_of_range("risk", risk, "(0, 1)"));
    }
    let mut falling = predictions.to_vec();
    falling.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    // The fewest answers, all correct, that could show the risk: (1 - risk)^n <= 1 - confidence.
    let fewest = ((1.0 - confidence.value()).ln() / (1.0 - risk).ln()).ceil();
    // One-sided: both tails of a two-sided interval of confidence 2c - 1 hold 1 - c; at or below 1/2 the tail is c's own.
    let two_sided = underpin_core::Confidence::new((2.0 * confidence.value() - 1.0).max(f64::MIN_POSITIVE))?;
    let (mut chosen, mut answered, mut wrong) = (f64::INFINITY, 0_u64, 0_u64);
    #[allow(clippy::float_cmp, reason = "equal confidences are one threshold")]
    for tied in falling.chunk_by(|a, b| a.confidence == b.confidence) {
        answered += tied.len() as u64;
        wrong += tied.iter().filter(|prediction| !prediction.correct).count() as u64;
        if (answered as f64) < fewest {
            continue;
        }
        if clopper_pearson(wrong, answered, two_sided)?.upper > risk {
            break;
        }
        chosen = tied[0].confidence;
    }
    Ok(chosen)
}

/// Fraction of inputs answered when abstaining below `threshold`; higher is better.
///
/// # Errors
///
/// As [`calibration_error`].
pub fn coverage(setting: &Setting, predictions: &[Prediction], threshold: f64) -> Result<Measurement, Error> {
    check(predictions)?;
    let answered: Vec<bool> = predictions.iter().map(|prediction| prediction.confidence >= threshold).collect();
    setting.clone().with("threshold", threshold).proportion(
        About::Safety,
        Quantity::Coverage,
        Proportion::of(&answered),
    )
}

/// Fraction of wrong answers among those given when abstaining below `threshold`; lower is better.
///
/// # Errors
///
/// [`Error::NoObservations`] when nothing is answered; otherwise as [`calibration_error`].
pub fn selective_risk(setting: &Setting, predictions: &[Prediction], threshold: f64) -> Result<Measurement, Error> {
    check(predictions)?;
    let answered = predictions.iter().filter(|prediction| prediction.confidence >= threshold);
    let wrong: Vec<bool> = answered.map(|prediction| !prediction.correct).collect();
    setting.clone().with("threshold", threshold).proportion(
        About::Safety,
        Quantity::SelectiveRisk,
        Proportion::of(&wrong),
    )
}

/// Accuracy of the group in which it is lowest; higher is better. Groups without a sample are passed over.
///
/// The interval covers the lowest accuracy of all groups at once: its lower end is the least of the groups' exact
/// bounds, each at a fraction of the error probability (Bonferroni), its upper end the least of their upper bounds.
///
/// # Errors
///
/// [`Error::Length`] when there is not one group per sample, [`Error::NoObservations`] without a sample.
pub fn worst_group_accuracy(setting: &Setting, correct: &[bool], groups: &[usize]) -> Result<Measurement, Error> {
    if correct.len() != groups.len() {
        return Err(Error::Length { name: "groups", expected: correct.len(), found: groups.len() });
    }
    let fractions = class_counts(groups, correct.iter().copied());
    let Some((worst, fraction)) = fractions.iter().min_by(|a, b| a.1.value().total_cmp(&b.1.value())) else {
        return Err(Error::NoObservations { what: "groups" });
    };
    let each = 1.0 - (1.0 - setting.confidence.value()) / fractions.len() as f64;
    let each = underpin_core::Confidence::new(each)?;
    let (mut lower, mut upper) = (1.0_f64, 1.0_f64);
    for fraction in fractions.values() {
        let interval = clopper_pearson(fraction.successes, fraction.trials, each)?;
        lower = lower.min(interval.lower);
        upper = upper.min(interval.upper);
    }
    let interval = underpin_core::Interval { lower, upper, confidence: setting.confidence };
    let setting = setting.clone().with("worst_group", *worst).with("groups", fractions.len());
    let (about, quantity) = (About::Safety, Quantity::WorstGroupAccuracy);
    Ok(setting.measurement(about, quantity, fraction.value(), interval, fraction.trials))
}
