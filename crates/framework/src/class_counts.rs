//! Class counts: how many rows of each class a model was trained on, with noise, for the model card.

use underpin_core::{About, Epsilon, Examples, Quantity, Record, Seed};
use underpin_privacy::{Adjacency, Budget, BudgetTerms, ClassCounts, SecretKey};

use crate::Error;
use crate::config::Privacy;

/// Begins the names of the noisy counts in a record, before the class's label.
pub(crate) const ROWS: &str = "training.rows.";

/// The standard deviation of the noise in each count, in a record.
pub(crate) const DEVIATION: &str = "training.rows_deviation";

/// Least ε of the counts, if any: with less, their noise would leave the range of what is drawn.
const LEAST: f64 = 1e-9;

/// Splits the ε of a run: what training may spend, and what the counts of the classes may.
///
/// # Errors
///
/// [`Error::OutOfRange`] when the counts would leave nothing to train with.
pub(crate) fn split(privacy: &Privacy) -> Result<(Epsilon, Option<Epsilon>), Error> {
    let (whole, counts) = (privacy.epsilon.value(), privacy.statistics);
    if !(counts == 0.0 || counts >= LEAST && counts < whole) {
        let range = format!("0 and [{LEAST:e}, {whole}): part of privacy.epsilon");
        return Err(Error::out_of_range("privacy.statistics", counts, range));
    }
    // Rounded down, so that both together are no more than the whole.
    let training = Epsilon::new((whole - counts).next_down())?;
    Ok(if counts > 0.0 { (training, Some(Epsilon::new(counts)?)) } else { (privacy.epsilon, None) })
}

/// The key of the noise in the counts: of these rows, this ε and this seed alone.
pub(crate) fn noise(data: &Examples, epsilon: Epsilon, key: &SecretKey, seed: Seed) -> SecretKey {
    let labels: Vec<u8> = data.labels().iter().flat_map(|label| (*label as u64).to_le_bytes()).collect();
    let counts: Vec<u8> = [data.classes() as u64, seed.0, epsilon.value().to_bits()].map(u64::to_le_bytes).concat();
    // The label of a random stream: another word would change the numbers of every seed.
    key.derive("census", &[&counts, &labels])
}

/// Counts the rows of each class with noise, and adds what that cost to the ε on record.
///
/// # Guarantees
///
/// 1. The counts are private under the relation of training, one row contributes or does not, and the ε on record is an
///    upper bound for counts and training together (basic composition): `counts_and_training_share_one_epsilon`.
///
/// # Errors
///
/// [`Error::Privacy`] when the budget cannot be made.
pub(crate) fn count(
    data: &Examples,
    privacy: &Privacy,
    key: &SecretKey,
    seed: Seed,
    record: &mut Record,
) -> Result<(), Error> {
    let (_, Some(epsilon)) = split(privacy)? else { return Ok(()) };
    let terms = BudgetTerms {
        adjacency: Adjacency::ZeroOut,
        unit: "one row that trained".into(),
        ..BudgetTerms::new(epsilon, privacy.delta)
    };
    let budget = Budget::in_memory(&terms)?;
    // The noise of the seed's earlier runs: their first statistic under this key.
    let mut stream = noise(data, epsilon, key, seed).stream("statistic", &[&1_u64.to_le_bytes()]);
    // A little less, so that units rounded up still fit.
    let asked = Epsilon::new(epsilon.value() * (1.0 - 1e-9))?;
    let released = ClassCounts::release(data.labels(), data.classes(), asked, &budget, &mut stream)?;
    for (label, rows) in released.counts.iter().enumerate() {
        // A negative count is noise: cutting it off looks at nothing else.
        record.set(format!("{ROWS}{label}"), u64::try_from(*rows).unwrap_or(0));
    }
    record.set(DEVIATION, released.scale * std::f64::consts::SQRT_2);
    let spent = |one: &&mut underpin_core::Measurement| {
        one.quantity == Quantity::Epsilon && one.about == About::MembershipInference
    };
    for measured in record.measurements.iter_mut().filter(spent) {
        measured.parameters.insert("training".into(), measured.value.into());
        measured.parameters.insert("class_counts".into(), epsilon.value().into());
        measured.value = (measured.value + epsilon.value()).next_up();
        measured.interval.upper = (measured.interval.upper + epsilon.value()).next_up();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use underpin_core::{Confidence, Delta, Inputs, Interval, Measurement, Phase, Shape, System};
    use underpin_train::Mechanism;

    use super::*;
    use crate::config::Clipping;

    fn privacy(statistics: f64) -> Privacy {
        let (epsilon, delta) = (Epsilon::new(8.0).unwrap(), Delta::new(1e-5).unwrap());
        Privacy {
            epsilon,
            delta,
            clipping_norm: 1.0,
            clipping: Clipping::Flat,
            mechanism: Mechanism::Poisson,
            statistics,
            canaries: 0,
        }
    }

    fn rows(labels: &[usize]) -> Examples {
        let inputs = Inputs::new(Shape::new([1]).unwrap(), vec![0.0; labels.len()]).unwrap();
        Examples::new(inputs, labels.to_vec(), 3).unwrap()
    }

    #[test]
    fn counts_and_training_share_one_epsilon() {
        let (training, counts) = split(&privacy(0.1)).unwrap();
        let together = training.value() + counts.unwrap().value();
        assert!(together <= 8.0 && together > 7.999_999, "{together}");
        assert_eq!(split(&privacy(0.0)).unwrap(), (privacy(0.0).epsilon, None));
        for bad in [-0.1, 8.0, 9.0, f64::NAN] {
            let refused = split(&privacy(bad)).unwrap_err().to_string();
            assert!(refused.starts_with("privacy.statistics = "), "{refused}");
        }

        let key = SecretKey::new([7; 32]);
        let data = rows(&[vec![0; 500], vec![1; 200]].concat());
        let upper = training.value();
        let spent = Measurement {
            about: About::MembershipInference,
            quantity: Quantity::Epsilon,
            system: System::Defended,
            access: None,
            phase: Phase::Training,
            attack: "accountant".into(),
            value: upper,
            interval: Interval { lower: 7.0, upper, confidence: Confidence::new(0.999_999).unwrap() },
            n: 700,
            chance: None,
            constant: None,
            queries: None,
            radius: None,
            norm: None,
            parameters: std::collections::BTreeMap::new(),
            controls: Vec::new(),
            weakened: Vec::new(),
        };
        let mut record = Record { measurements: vec![spent], ..Record::default() };
        count(&data, &privacy(0.1), &key, Seed(1), &mut record).unwrap();
        let measured = &record.measurements[0];
        assert!(measured.interval.upper >= training.value() + 0.1 && measured.interval.upper <= 8.0, "{measured}");
        assert!(measured.value <= measured.interval.upper);
        let told = |record: &Record| {
            let count = |label: usize| match record.parameters[&format!("{ROWS}{label}")] {
                underpin_core::Value::Count(rows) => rows,
                ref other => panic!("{other:?}"),
            };
            [count(0), count(1), count(2)]
        };
        // Noise of scale 10 exceeds 300 with probability below 1e-12.
        let first = told(&record);
        for (found, rows) in first.iter().zip([500_u64, 200, 0]) {
            assert!(found.abs_diff(rows) < 300, "{first:?}");
        }
        assert_ne!(first, [500, 200, 0], "noise");
        // The same rows and seed give the same counts; another row or seed has noise of its own.
        let again = |data: &Examples, seed| {
            let mut record = Record::default();
            count(data, &privacy(0.1), &key, seed, &mut record).unwrap();
            told(&record)
        };
        assert_eq!(again(&data, Seed(1)), first);
        assert_ne!(again(&data, Seed(2)), first);
        let mut none = Record::default();
        count(&data, &privacy(0.0), &key, Seed(1), &mut none).unwrap();
        assert!(none.parameters.is_empty());
    }
}
