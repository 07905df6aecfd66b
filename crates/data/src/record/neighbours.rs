//! Lists of nearest neighbours, which follow the rows when rows leave.

/// A row's neighbours: position and Euclidean distance, nearest first.
pub(crate) type Near = Vec<(u32, f32)>;

/// Nearest neighbours among the rows, of each row (itself left out) and of each held-out row.
#[derive(Debug)]
pub(crate) struct Neighbours {
    pub(crate) rows: Vec<Near>,
    pub(crate) held_out: Vec<Near>,
}

impl Neighbours {
    /// What is left when only the rows at `kept` stay; positions count among them.
    pub(crate) fn keep(&self, kept: &[usize]) -> Self {
        let mut renumbered = vec![None; self.rows.len()];
        kept.iter().zip(0..).for_each(|(old, new)| renumbered[*old] = Some(new));
        let renumber = |near: &Near| -> Near {
            near.iter().filter_map(|(at, distance)| Some((renumbered[*at as usize]?, *distance))).collect()
        };
        Self {
            rows: kept.iter().map(|old| renumber(&self.rows[*old])).collect(),
            held_out: self.held_out.iter().map(renumber).collect(),
        }
    }

    /// What is left when only the held-out rows at `kept` stay.
    pub(crate) fn keep_held_out(&self, kept: &[usize]) -> Self {
        Self { rows: self.rows.clone(), held_out: kept.iter().map(|at| self.held_out[*at].clone()).collect() }
    }
}
