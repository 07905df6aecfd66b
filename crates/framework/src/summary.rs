//! Summaries of a run for people to read: what collection did to the rows, pictures of rows and of reconstructions.

/// What collection did to the rows of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSummary {
    /// Name of the data set.
    pub name: String,
    /// Rows read, before any was dropped.
    pub rows_read: u64,
    /// Rows kept, for training and for testing.
    pub kept: u64,
    /// Rows dropped, by whom and why.
    pub dropped: Vec<Dropped>,
    /// The classes, in the order of their labels.
    pub classes: Vec<Class>,
    /// Some of the quarantined rows, where rows are images.
    pub examples: Vec<Picture>,
}

/// Rows that one sanitizer dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Name of the sanitizer.
    pub by: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// A class of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Rows of it that were kept.
    pub rows: u64,
}

/// An image.
///
/// Values outside `[0, 1]` are drawn as the nearest end; NaN is drawn magenta. One channel is drawn grey, three as
/// red, green and blue; of any other number the first channel is drawn. An image whose values do not fill its shape
/// is not drawn; the page says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Values in `[0, 1]`, `[channel, row, column]`.
    pub values: Vec<f32>,
    /// What it shows.
    pub caption: String,
}

/// What inversion made of one class, beside the class's mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Name of the class.
    pub class: String,
    /// Mean of the class's held-out members.
    pub mean: Picture,
    /// What the attack got from the undefended model.
    pub undefended: Option<Picture>,
    /// What it got from the defended one.
    pub defended: Option<Picture>,
}
