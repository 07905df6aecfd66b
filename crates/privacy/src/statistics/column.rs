//! What statistics are asked about: columns and their domains.

use opendp::domains::{AtomDomain, VectorDomain};
use opendp::traits::Hashable;

use crate::Error;
use crate::error::within;

/// One value of each row. Never holds NaN.
///
/// # Examples
///
/// ```
/// use underpin_privacy::statistics::Column;
///
/// assert_eq!(Column::new(vec![1.5, f64::INFINITY])?.len(), 2);
/// assert!(Column::new(vec![1.5, f64::NAN]).is_err());
/// assert!(Column::new(vec!["red".to_string()])?.len() == 1);
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Column<T> {
    values: Vec<T>,
}

impl<T: Value> Column<T> {
    /// The values in the order of rows; may be empty. Infinities count as the ends of any interval.
    ///
    /// # Errors
    ///
    /// [`Error::NotANumber`] for NaN.
    pub fn new(values: Vec<T>) -> Result<Self, Error> {
        match values.iter().position(|value| !value.is_ordered()) {
            Some(row) => Err(Error::NotANumber { row }),
            None => Ok(Self { values }),
        }
    }
}

impl<T> Column<T> {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no row.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) const fn values(&self) -> &Vec<T> {
        &self.values
    }
}

/// What a column may hold: `f64`, and every [`Category`].
pub trait Value: opendp::traits::Primitive {
    /// Whether the value compares with itself; false for NaN.
    fn is_ordered(&self) -> bool;
}

impl Value for f64 {
    fn is_ordered(&self) -> bool {
        !self.is_nan()
    }
}

/// What rows are counted by: text, whole numbers, truth values.
pub trait Category: Hashable + Ord {}

macro_rules! categories {
    ($($type:ty)+) => {$(
        impl Category for $type {}
        impl Value for $type {
            fn is_ordered(&self) -> bool {
                true
            }
        }
    )+};
}
categories! { String bool i32 i64 u32 u64 }

/// The domain of a column's values, its length included where that is public.
pub(super) fn domain<T: Value>(rows: Option<usize>) -> VectorDomain<AtomDomain<T>> {
    let domain = VectorDomain::new(AtomDomain::new_non_nan());
    match rows {
        Some(rows) => domain.with_size(rows),
        None => domain,
    }
}

/// The interval to which real values are clamped, fixed without looking at the data.
///
/// # Examples
///
/// ```
/// use underpin_privacy::statistics::Interval;
///
/// assert_eq!(Interval::new(0.0, 120.0)?.upper(), 120.0);
/// assert!(Interval::new(0.0, f64::INFINITY).is_err());
/// assert!(Interval::new(1.0, 1.0).is_err());
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    lower: f64,
    upper: f64,
}

impl Interval {
    /// Both ends belong to it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `lower` and `upper` lie in `[-1e100, 1e100]` and `upper - lower` in `[1e-100, 2e100]`.
    pub fn new(lower: f64, upper: f64) -> Result<Self, Error> {
        for (name, end) in [("lower", lower), ("upper", upper)] {
            within(name, end, "[-1e100, 1e100]", |end| end.abs() <= 1e100)?;
        }
        within("upper - lower", upper - lower, "[1e-100, 2e100]", |width| width >= 1e-100)?;
        Ok(Self { lower, upper })
    }

    /// The lower end.
    pub const fn lower(&self) -> f64 {
        self.lower
    }

    /// The upper end.
    pub const fn upper(&self) -> f64 {
        self.upper
    }

    pub(super) const fn middle(&self) -> f64 {
        f64::midpoint(self.lower, self.upper)
    }
}

/// Categories that are known without looking at the data: at least one, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories<T>(Vec<T>);

impl<T: Category> Categories<T> {
    /// The categories, in the order in which their counts are given.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] without any; [`Error::Disorder`] when one comes twice.
    pub fn new(categories: Vec<T>) -> Result<Self, Error> {
        if categories.is_empty() {
            return Err(Error::Nothing { what: "category" });
        }
        let mut seen = std::collections::HashSet::new();
        match categories.iter().position(|category| !seen.insert(category)) {
            Some(position) => Err(Error::Disorder { what: "category", position, must: "be there once" }),
            None => Ok(Self(categories)),
        }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

/// What a quantile is chosen from, fixed without looking at the data: finite, ascending, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates(Vec<f64>);

impl Candidates {
    /// These numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] without any; [`Error::Disorder`] when one is not finite or not above the one before.
    pub fn new(candidates: Vec<f64>) -> Result<Self, Error> {
        if candidates.is_empty() {
            return Err(Error::Nothing { what: "candidate" });
        }
        let stays_low = |at: usize| !candidates[at].is_finite() || (at > 0 && candidates[at - 1] >= candidates[at]);
        match (0..candidates.len()).find(|at| stays_low(*at)) {
            Some(position) => {
                Err(Error::Disorder { what: "candidate", position, must: "be finite and above the one before" })
            }
            None => Ok(Self(candidates)),
        }
    }

    /// `count` numbers, at least 2, at equal distances from one end of `interval` to the other.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `count` lies in `[2, 2^24]`; [`Error::Disorder`] when double precision does not hold
    /// so many numbers that differ.
    pub fn spread(interval: Interval, count: usize) -> Result<Self, Error> {
        within("candidates", count as f64, "[2, 2^24]", |count| (2.0..=2f64.powi(24)).contains(&count))?;
        let part = |at: usize| at as f64 / (count - 1) as f64;
        Self::new((0..count).map(|at| interval.lower * (1.0 - part(at)) + interval.upper * part(at)).collect())
    }

    pub(super) fn as_slice(&self) -> &[f64] {
        &self.0
    }
}
