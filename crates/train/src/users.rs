//! Users as the units of privacy.

use std::collections::BTreeMap;

use crate::Error;

/// Which rows each user contributed, at most a fixed number of them.
///
/// With [`Method::rows_per_unit`](crate::Method::rows_per_unit) set to [`most`](Self::most) and a step's inputs and
/// weights from [`rows`](Self::rows), all that a user contributed is one unit: it is drawn as one, its rows' mean gradient
/// is clipped as one, and one user more or less is what the account is of.
///
/// # Guarantees
///
/// 1. A user's rows enter through the user's own unit alone, `most` of them at most, and with weights that add up to 1
///    (`a_user_is_one_unit`).
///
/// # Limits
///
/// Who is a user is for the caller to say; two names for one person are two users.
///
/// # Examples
///
/// User-level DP-SGD: an engine that draws users, and clips the mean gradient of each one's rows.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::SgdConfig;
/// use burn::tensor::Tensor;
/// use underpin_core::Delta;
/// use underpin_privacy::{SecretKey, SubsampledGaussian};
/// use underpin_train::{Averaging, Clipping, DeviceKind, Engine, Method, Schedule, Steps, Users};
///
/// // The row's user; "a" contributed three rows, of which two take part.
/// let users = Users::new(&["a", "b", "a", "c", "a", "d"], 2)?;
/// assert_eq!(users.len(), 4);
///
/// let device = DeviceKind::Flex.device();
/// let mut model = LinearConfig::new(3, 1).init(&device.clone().autodiff());
/// let rows = Tensor::<2>::ones([6, 3], &device);
/// let run = SubsampledGaussian::new(0.5, 2.0, 0.1)?.start(users.len(), 4, SecretKey::from_os()?)?;
/// let method = Method {
///     clipping: Clipping::Flat { norm: 0.1 },
///     steps: 4,
///     learning_rate: 0.1,
///     schedule: Schedule::Constant,
///     averaging: Averaging::Last(0.0),
///     rows_per_unit: users.most(),
///     physical_batch: 2,
/// };
/// let mut engine = Engine::new(Steps::Poisson(run), method, SgdConfig::new().init(), vec![device])?;
/// for _ in 0..4 {
///     (model, _) = engine.step(model, |model, part, tape| {
///         let (of_users, weights) = users.rows(part.units);
///         let inputs = of_users.iter().map(|row| rows.clone().narrow(0, *row, 1)).collect();
///         let losses = tape.linear(model, Tensor::cat(inputs, 0)).powf_scalar(2.0).squeeze_dim::<1>(1);
///         losses * Tensor::<1>::from_floats(weights.as_slice(), part.device)
///     })?;
/// }
/// let epsilon = engine.epsilon(Delta::new(1e-3)?)?; // of one user more or less
/// assert!(epsilon.is_some_and(|epsilon| epsilon.upper > 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// First rows of each user, in the order of the data.
    rows: Vec<Vec<usize>>,
    most: usize,
}

impl Users {
    /// Users in the order of their names; `names[row]` contributed the row. Of a user with more than `most` rows, the
    /// first `most` take part.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `most` is 0.
    pub fn new<T: Ord>(names: &[T], most: usize) -> Result<Self, Error> {
        if most == 0 {
            return Err(Error::out_of_range("rows of a user", 0.0, "[1, inf)"));
        }
        let mut users = BTreeMap::<&T, Vec<usize>>::new();
        for (row, name) in names.iter().enumerate() {
            let own = users.entry(name).or_default();
            if own.len() < most {
                own.push(row);
            }
        }
        Ok(Self { rows: users.into_values().collect(), most })
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no user.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The most rows of one user that take part.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// The rows of some users and the weights of their losses, [`most`](Self::most) for each user: own rows with equal
    /// weights, filled up by the first one with weight 0.
    ///
    /// # Panics
    ///
    /// For a user that is not below [`len`](Self::len).
    pub fn rows(&self, users: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let of = |user: &usize| {
            let own = &self.rows[*user];
            let weight = 1.0 / own.len() as f32;
            (0..self.most).map(move |at| own.get(at).map_or((own[0], 0.0), |row| (*row, weight)))
        };
        users.iter().flat_map(of).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_one_unit() {
        let users = Users::new(&["b", "a", "b", "b", "c", "b"], 3).unwrap();
        assert_eq!((users.len(), users.most(), users.is_empty()), (3, 3, false));
        let (rows, weights) = users.rows(&[1, 0, 2]);
        assert_eq!(rows, [0, 2, 3, 1, 1, 1, 4, 4, 4]);
        let third = 1.0 / 3.0;
        assert_eq!(weights, [third, third, third, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(Users::new(&[1], 0).is_err());
        assert!(Users::new::<u8>(&[], 1).unwrap().is_empty());
    }
}
