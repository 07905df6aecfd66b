//! The report of a run: an HTML page, a model card and the rows of the closing table.
//!
//! Pure functions from evidence to text: no file, clock or script. [`html`] gives one self-contained page,
//! [`model_card`] a Markdown file, [`table`] the rows that a terminal shows.

mod card;
mod chart;
mod page;
mod sections;
mod table;
mod view;
mod widgets;
mod words;

#[cfg(test)]
mod browser_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use card::model_card;
pub use chart::bounds_svg;
pub use page::html;
pub use table::{BarStatus, HEADINGS, Row, table};
pub use view::{GateResult, Report};
