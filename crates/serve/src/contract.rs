//! Input contract: what the values of a request have to be, and how they become what the model takes.

use std::fmt;

/// One value of a request, as its client sent it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputValue<'a> {
    /// A finite number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

impl fmt::Display for InputValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{:?}", shortened(text)),
        }
    }
}

/// What one column takes, as the metadata of the model publish it.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// Numbers.
    Number {
        /// Least value of the range that the model was trained on.
        min: f64,
        /// Greatest value of that range.
        max: f64,
        /// Least value that is answered; what lies between it and `min` counts as `min`.
        lowest: f64,
        /// Greatest value that is answered; what lies between `max` and it counts as `max`.
        highest: f64,
    },
    /// One of these words.
    Words(Vec<String>),
}

/// A column of a request: what a client sends one value for in every row.
#[derive(Clone, Debug, PartialEq)]
pub struct InputColumn {
    /// Its name, as in the file that the model was trained on.
    pub name: String,
    /// The unit of its numbers, where one was stated.
    pub unit: Option<String>,
    /// What it takes.
    pub allowed: Allowed,
}

/// A value that the contract excludes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} is {value}, allowed: {allowed}")]
pub struct OutOfContract {
    /// Name of the column.
    pub column: String,
    /// The value, as text.
    pub value: String,
    /// What is allowed there.
    pub allowed: String,
}

/// What clients may send, and how it is encoded for the model: as its training rows were.
///
/// A request whose values the contract excludes is refused whole; none of it reaches the model.
///
/// # Examples
///
/// One column, in degrees Celsius, that the model sees scaled to 0 to 1:
///
/// ```
/// use underpin_serve::{Allowed, InputColumn, InputContract, InputValue, OutOfContract};
///
/// struct Temperature([InputColumn; 1]);
///
/// impl InputContract for Temperature {
///     fn columns(&self) -> &[InputColumn] {
///         &self.0
///     }
///
///     fn encode(&self, column: usize, value: InputValue<'_>, row: &mut [f32]) -> Result<(), OutOfContract> {
///         match value {
///             InputValue::Number(degrees) if (-40.0..=60.0).contains(&degrees) => {
///                 row[column] = ((degrees + 40.0) / 100.0) as f32;
///                 Ok(())
///             }
///             value => Err(OutOfContract {
///                 column: self.0[column].name.clone(),
///                 value: value.to_string(),
///                 allowed: "-40 to 60".into(),
///             }),
///         }
///     }
/// }
///
/// let allowed = Allowed::Number { min: -40.0, max: 60.0, lowest: -40.0, highest: 60.0 };
/// let unit = Some("°C".into());
/// let contract = Temperature([InputColumn { name: "temperature".into(), unit, allowed }]);
/// let mut row = [0.0];
/// contract.encode(0, InputValue::Number(10.0), &mut row)?;
/// assert_eq!(row, [0.5]);
/// let refused = contract.encode(0, InputValue::Number(1e30), &mut row).unwrap_err();
/// assert_eq!(refused.to_string(), "column \"temperature\" is 1e30, allowed: -40 to 60");
/// # Ok::<(), OutOfContract>(())
/// ```
pub trait InputContract: Send + Sync {
    /// The columns of a row, in the order in which a client sends them.
    fn columns(&self) -> &[InputColumn];

    /// Writes the features of `value`, which stands in the column at position `column`, into `row`: all features of one
    /// row, zero where nothing was written yet.
    ///
    /// # Errors
    ///
    /// [`OutOfContract`] for a value that is not allowed.
    fn encode(&self, column: usize, value: InputValue<'_>, row: &mut [f32]) -> Result<(), OutOfContract>;

    /// Whether a tensor of this name may stand beside those of the columns: one that the model was trained without. What
    /// it holds is not looked at.
    fn ignores(&self, _name: &str) -> bool {
        false
    }
}

/// At most 40 characters of a text, for messages.
pub(crate) fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}
