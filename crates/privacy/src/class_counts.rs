//! Class counts: a differentially private histogram of labels, without OpenDP.

use underpin_core::Epsilon;

use crate::error::within;
use crate::{Adjacency, Budget, Cost, DiscreteLaplace, Error, SecretStream};

/// Noisy class counts: how many rows of each class there are, under discrete Laplace noise, paid for by a [`Budget`].
///
/// What one row may change is the [`Adjacency`] of the budget's terms:
///
/// | adjacency | what a row changes | sensitivity (L1) |
/// |---|---|---|
/// | `AddOrRemove`, `ZeroOut` | one count, by 1 | 1 |
/// | `Replace` | two counts, by 1 each | 2 |
///
/// # Guarantees
///
/// 1. The counts are ε-private as [`cost`](Self::cost) says, under the adjacency of the budget
///    (`sensitivities_are_those_worked_out_by_hand`), and cost at most what was asked for
///    (`no_count_costs_more_than_asked`).
/// 2. The cost is reserved before a row is counted; one that does not fit spends nothing and draws nothing
///    (`what_does_not_fit_is_not_counted`).
/// 3. Noise is added to integers and drawn exactly ([`DiscreteLaplace`]): no low bits of floating-point numbers reveal
///    the count (`class_counts_are_those_of_opendp`).
///
/// # Limits
///
/// The stream must be used for nothing else: the same noise on two answers cancels in their difference. The number of
/// classes is public. Under `Replace` the number of rows is public, and no noise is taken from the sum. That a label was
/// refused reveals that there is one.
///
/// # Source
///
/// Dwork, McSherry, Nissim and Smith, TCC 2006 (histogram queries); Canonne, Kamath and Steinke, NeurIPS 2020 (the noise).
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, ClassCounts, SecretKey};
///
/// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
/// let mut stream = SecretKey::from_os()?.stream("class counts", &[]);
/// let labels = [0, 2, 0, 0, 1, 2];
/// let counts = ClassCounts::release(&labels, 3, Epsilon::new(0.5)?, &budget, &mut stream)?;
/// println!("about {:?} rows; {} of the budget is left", counts.counts, budget.left());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCounts {
    /// A count for each class, in the order of the labels; may be negative.
    pub counts: Vec<i64>,
    /// What was spent.
    pub cost: Cost,
    /// Scale `b` of the noise in each count: standard deviation about `√2 b`, in rows.
    pub scale: f64,
}

impl ClassCounts {
    /// Counts the rows of each of `classes` classes with noise that spends at most `epsilon`. Takes time linear in
    /// the number of labels.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] for 0 classes; [`Error::OutOfRange`] for a label that is none of the classes, or an extreme
    /// `epsilon`: `[2^-39, 2^10]` is always allowed; [`Error::OverBudget`]; as for [`Budget::reserve_for`] when a
    /// budget's file cannot be written.
    pub fn release(
        labels: &[usize],
        classes: usize,
        epsilon: Epsilon,
        budget: &Budget,
        stream: &mut SecretStream,
    ) -> Result<Self, Error> {
        if classes == 0 {
            return Err(Error::Nothing { what: "class" });
        }
        for label in labels {
            within("label", *label as f64, "[0, classes)", |_| *label < classes)?;
        }
        let sensitivity = sensitivity(budget.terms().adjacency);
        let noise = DiscreteLaplace::covering(sensitivity, epsilon)?;
        let cost = Cost::Pure(Epsilon::new(noise.epsilon(sensitivity)).unwrap_or(epsilon));
        let reservation = budget.reserve_for("class counts", cost)?;
        let counts = reservation.answer(|| {
            let mut counts = vec![0_i64; classes];
            for label in labels {
                counts[*label] += 1;
            }
            for count in &mut counts {
                *count = count.saturating_add(noise.sample(stream));
            }
            counts
        });
        Ok(Self { counts, cost, scale: noise.scale() })
    }
}

/// How far, together, the counts of neighbours are apart.
const fn sensitivity(adjacency: Adjacency) -> u64 {
    match adjacency {
        Adjacency::AddOrRemove | Adjacency::ZeroOut => 1,
        Adjacency::Replace => 2,
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Delta;

    use super::*;
    use crate::{BudgetTerms, SecretKey};

    const ADJACENCIES: [Adjacency; 3] = [Adjacency::AddOrRemove, Adjacency::ZeroOut, Adjacency::Replace];

    fn epsilon(value: f64) -> Epsilon {
        Epsilon::new(value).unwrap()
    }

    fn budget(whole: f64, adjacency: Adjacency) -> Budget {
        let terms = BudgetTerms { adjacency, ..BudgetTerms::new(epsilon(whole), Delta::new(1e-6).unwrap()) };
        Budget::in_memory(&terms).unwrap()
    }

    fn stream(key: u8) -> SecretStream {
        SecretKey::new([key; 32]).stream("class counts", &[])
    }

    fn exact(labels: &[usize]) -> [i64; 3] {
        let mut counts = [0; 3];
        for label in labels {
            counts[*label] += 1;
        }
        counts
    }

    #[test]
    fn sensitivities_are_those_worked_out_by_hand() {
        let rows = [0, 1, 2, 2, 0];
        let distance = |other: &[usize]| {
            exact(&rows).iter().zip(exact(other)).map(|(one, other)| one.abs_diff(other)).sum::<u64>()
        };
        for adjacency in ADJACENCIES {
            // All neighbours of the five rows: one left out, or one with another label.
            let mut apart = 0;
            for row in 0..rows.len() {
                let mut fewer = rows.to_vec();
                fewer.remove(row);
                match adjacency {
                    Adjacency::AddOrRemove | Adjacency::ZeroOut => apart = apart.max(distance(&fewer)),
                    Adjacency::Replace => {
                        for label in 0..3 {
                            let mut other = rows;
                            other[row] = label;
                            apart = apart.max(distance(&other));
                        }
                    }
                }
            }
            assert_eq!(apart, sensitivity(adjacency), "{adjacency:?}");
            let counts = ClassCounts::release(&rows, 3, epsilon(0.5), &budget(1.0, adjacency), &mut stream(1)).unwrap();
            assert!((counts.scale - apart as f64 / 0.5).abs() < 1e-5, "{adjacency:?}: {}", counts.scale);
        }
    }

    #[test]
    fn no_count_costs_more_than_asked() {
        for adjacency in ADJACENCIES {
            for asked in [1e-3, 0.1, 0.3, 1.0, 7.3] {
                let budget = budget(asked, adjacency);
                let counts = ClassCounts::release(&[0, 1], 2, epsilon(asked), &budget, &mut stream(2)).unwrap();
                assert!(matches!(counts.cost, Cost::Pure(spent) if spent.value() <= asked), "{counts:?}");
                assert!(budget.left() < 0.2, "{}", budget.left());
            }
        }
    }

    /// Each count is off by noise of the stated scale: the mean over many classes is within five standard errors of none,
    /// and so is that of the magnitude, `b` about (false alarms below 1e-5).
    #[test]
    fn counts_are_the_true_ones_and_noise_of_the_stated_scale() {
        let classes = 20_000;
        let labels: Vec<usize> = (0..classes).flat_map(|class| vec![class; class % 7]).collect();
        let budget = budget(1.0, Adjacency::ZeroOut);
        let counts = ClassCounts::release(&labels, classes, epsilon(0.1), &budget, &mut stream(3)).unwrap();
        let noise: Vec<f64> =
            counts.counts.iter().enumerate().map(|(class, count)| (*count - (class % 7) as i64) as f64).collect();
        let mean = noise.iter().sum::<f64>() / classes as f64;
        let magnitude = noise.iter().map(|noise| noise.abs()).sum::<f64>() / classes as f64;
        let error = counts.scale * std::f64::consts::SQRT_2 / (classes as f64).sqrt();
        assert!(mean.abs() < 5.0 * error, "{mean}");
        assert!((magnitude - counts.scale).abs() < 5.0 * error + 0.02, "{magnitude} of {}", counts.scale);
    }

    #[test]
    fn what_does_not_fit_is_not_counted() {
        let small = budget(0.1, Adjacency::ZeroOut);
        let mut first = stream(4);
        let refused = ClassCounts::release(&[0, 1], 2, epsilon(0.2), &small, &mut first).unwrap_err();
        assert!(matches!(refused, Error::OverBudget { .. }), "{refused}");
        assert!((small.left() - 1.0).abs() < 1e-12);
        // The stream is where it was.
        let whole = || budget(1.0, Adjacency::ZeroOut);
        let after = ClassCounts::release(&[0, 1], 2, epsilon(0.2), &whole(), &mut first).unwrap();
        assert_eq!(after, ClassCounts::release(&[0, 1], 2, epsilon(0.2), &whole(), &mut stream(4)).unwrap());
    }

    #[test]
    fn bad_labels_and_no_classes_are_refused() {
        let budget = budget(1.0, Adjacency::ZeroOut);
        let asked = |labels: &[usize], classes| {
            ClassCounts::release(labels, classes, epsilon(0.1), &budget, &mut stream(5)).unwrap_err().to_string()
        };
        assert_eq!(asked(&[0, 3], 3), "label = 3 is outside [0, classes)");
        assert_eq!(asked(&[], 0), "not one class; at least one is needed");
        assert!((budget.left() - 1.0).abs() < 1e-12);
    }

    /// OpenDP's stability map and histogram say the same: the same key gives the same counts at the same cost.
    #[cfg(feature = "statistics")]
    #[test]
    fn class_counts_are_those_of_opendp() {
        use crate::statistics::{Categories, Column, Statistics};

        let labels: Vec<usize> = (0..1_000).map(|row| row * row % 7).collect();
        for adjacency in ADJACENCIES {
            for asked in [0.01, 0.37, 2.0] {
                let key = || SecretKey::new([6; 32]);
                let (theirs, ours) = (budget(10.0, adjacency), budget(10.0, adjacency));
                let column = Column::new(labels.iter().map(|label| *label as u64).collect()).unwrap();
                let categories = Categories::new((0..7).collect()).unwrap();
                let mut statistics = Statistics::new(&theirs, key());
                let expected = statistics.histogram(&column, &categories, epsilon(asked)).unwrap();
                let mut stream = key().stream("statistic", &[&1_u64.to_le_bytes()]);
                let found = ClassCounts::release(&labels, 7, epsilon(asked), &ours, &mut stream).unwrap();
                assert_eq!(found.counts, expected.value, "{adjacency:?} {asked}");
                assert_eq!(Some(found.scale), expected.scale);
                let spent = |cost: Cost| match cost {
                    Cost::Pure(epsilon) => epsilon.value(),
                    other => panic!("{other:?}"),
                };
                assert!((spent(found.cost) / spent(expected.cost) - 1.0).abs() < 1e-12, "{found:?} {expected:?}");
            }
        }
    }
}
