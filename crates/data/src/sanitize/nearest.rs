//! Search for nearest neighbours (k-NN), done once for all sanitizers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use underpin_core::Inputs;

use crate::Error;
use crate::record::{Collection, Near, Neighbours};

/// Number of neighbours kept per row.
pub(super) const NEIGHBOURS: usize = 32;
/// Rows per block of queries, and of candidates.
const QUERIES: usize = 256;
const CANDIDATES: usize = 2048;
/// Distances looked at together.
const LANES: usize = 16;
/// Above this many multiplications the search first goes through a projection.
const EXACT: f64 = 5e11;
/// Features of the projection.
const PROJECTED: usize = 64;

/// The neighbours of all rows and held-out rows of `collection`, searched for once.
pub(super) fn neighbours(collection: &mut Collection) -> Arc<Neighbours> {
    collection.neighbours(|rows, held_out| {
        let inputs = rows.examples().inputs();
        let found = held_out.map(|held_out| nearest(held_out.examples().inputs(), inputs, false));
        Neighbours { rows: nearest(inputs, inputs, true), held_out: found.unwrap_or_default() }
    })
}

/// `neighbours`, if a search gives that many: 1 to 32.
pub(super) fn permitted(neighbours: usize) -> Result<usize, Error> {
    if (1..=NEIGHBOURS).contains(&neighbours) {
        Ok(neighbours)
    } else {
        Err(Error::out_of_range("neighbours", neighbours as f64, "[1, 32]"))
    }
}

/// The nearest rows of `base` for each of `queries`; a query is not its own neighbour if `base` is the queries.
///
/// Exact up to 5·10¹¹ multiplications. Above, candidates come from a random projection to 64 features (Achlioptas, PODS
/// 2001) and their distances are then computed exactly: distances are right, a neighbour may be missed.
pub(super) fn nearest(queries: &Inputs, base: &Inputs, same: bool) -> Vec<Near> {
    let size = base.shape().size();
    let work = queries.len() as f64 * base.len() as f64 * size as f64;
    if work > EXACT && size > 2 * PROJECTED {
        let (from, to) = (project(queries), project(base));
        search(&from, &to, PROJECTED, 4 * NEIGHBOURS, same, (queries, base))
    } else {
        search(queries.values(), base.values(), size, NEIGHBOURS + 8, same, (queries, base))
    }
}

fn search(from: &[f32], to: &[f32], size: usize, wide: usize, same: bool, exact: (&Inputs, &Inputs)) -> Vec<Near> {
    let norms: Vec<f32> = to.par_chunks_exact(size).map(|row| row.iter().map(|x| x * x).sum()).collect();
    let blocks = from.len().div_ceil(size * QUERIES);
    let done = AtomicUsize::new(0);
    let progress = || {
        let step = done.fetch_add(1, Ordering::Relaxed) + 1;
        if step == blocks || step.is_multiple_of(blocks.div_ceil(20)) {
            tracing::info!(target: "progress", task = "nearest neighbours", step = step as u64, of = blocks as u64);
        }
    };
    let block = |(block, queries): (usize, &[f32])| {
        let found = search_block(queries, to, &norms, size, wide, same.then_some(block * QUERIES));
        progress();
        found.into_iter().enumerate().map(|(at, near)| recheck(near, block * QUERIES + at, exact)).collect::<Vec<_>>()
    };
    from.par_chunks(size * QUERIES).enumerate().flat_map_iter(block).collect()
}

/// Candidates for a block of queries, by the squared distance less the query's own norm.
fn search_block(from: &[f32], to: &[f32], norms: &[f32], size: usize, wide: usize, first: Option<usize>) -> Vec<Best> {
    let count = from.len() / size;
    let mut best: Vec<Best> = (0..count).map(|_| Best::new(wide)).collect();
    let mut products = vec![0.0_f32; count * CANDIDATES];
    for (block, rows) in to.chunks(size * CANDIDATES).enumerate() {
        let width = rows.len() / size;
        let products = &mut products[..count * width];
        matmul(
            MatMut::from_row_major_slice_mut(products, count, width),
            Accum::Replace,
            MatRef::from_row_major_slice(from, count, size),
            MatRef::from_row_major_slice(rows, width, size).transpose(),
            1.0,
            Par::Seq,
        );
        let start = block * CANDIDATES;
        for (query, (best, products)) in best.iter_mut().zip(products.chunks_exact(width)).enumerate() {
            let itself = first.map(|first| first + query);
            let blocks = products.chunks(LANES).zip(norms[start..].chunks(LANES));
            for (block, (products, norms)) in blocks.enumerate() {
                // Most blocks hold nothing near: one look at all of a block's lanes passes it over.
                let nearest = products.iter().zip(norms).map(|(product, norm)| norm - 2.0 * product);
                if nearest.fold(f32::INFINITY, f32::min) >= best.limit {
                    continue;
                }
                for (at, (product, norm)) in products.iter().zip(norms).enumerate() {
                    let (at, distance) = (start + block * LANES + at, norm - 2.0 * product);
                    if distance < best.limit && Some(at) != itself {
                        best.push(at, distance);
                    }
                }
            }
        }
    }
    best
}

/// The nearest candidates of one query so far.
struct Best {
    wide: usize,
    limit: f32,
    found: Near,
}

impl Best {
    fn new(wide: usize) -> Self {
        Self { wide, limit: f32::INFINITY, found: Vec::with_capacity(2 * wide) }
    }

    fn push(&mut self, at: usize, distance: f32) {
        // OK because rows are limited to less than 2^32 by memory: each takes at least a digest.
        self.found.push((u32::try_from(at).unwrap_or(u32::MAX), distance));
        if self.found.len() == 2 * self.wide {
            self.found.select_nth_unstable_by(self.wide - 1, |a, b| a.1.total_cmp(&b.1));
            self.found.truncate(self.wide);
            self.limit = self.found.iter().map(|(_, distance)| *distance).fold(f32::NEG_INFINITY, f32::max);
        }
    }
}

/// Exact distances of the candidates; the nearest of them in order. Ties go to the earlier row.
fn recheck(best: Best, query: usize, (queries, base): (&Inputs, &Inputs)) -> Near {
    let row = queries.row(query);
    let exact = |(at, _): (u32, f32)| (at, distance(row, base.row(at as usize)));
    let mut near: Near = best.found.into_iter().map(exact).collect();
    near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    near.truncate(NEIGHBOURS);
    near
}

/// Euclidean distance.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f32 {
    // Eight running sums, so that the loop can use vector instructions.
    let mut sums = [0.0_f32; 8];
    let (blocks_a, rest_a) = a.as_chunks::<8>();
    let (blocks_b, rest_b) = b.as_chunks::<8>();
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for lane in 0..8 {
            sums[lane] += (a[lane] - b[lane]) * (a[lane] - b[lane]);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b)).sum();
    (sums.iter().sum::<f32>() + rest).sqrt()
}

fn project(inputs: &Inputs) -> Vec<f32> {
    let size = inputs.shape().size();
    // Not a secret: the signs only have to be the same on every run.
    let mut rng = ChaCha20Rng::seed_from_u64(0x6b6e_6e00);
    let scale = 1.0 / (PROJECTED as f32).sqrt();
    let signs: Vec<f32> = (0..size * PROJECTED).map(|_| if rng.random::<bool>() { scale } else { -scale }).collect();
    let mut projected = vec![0.0; inputs.len() * PROJECTED];
    let blocks = projected.par_chunks_mut(PROJECTED * QUERIES).zip(inputs.values().par_chunks(size * QUERIES));
    blocks.for_each(|(to, from)| {
        let rows = from.len() / size;
        matmul(
            MatMut::from_row_major_slice_mut(to, rows, PROJECTED),
            Accum::Replace,
            MatRef::from_row_major_slice(from, rows, size),
            MatRef::from_row_major_slice(&signs, size, PROJECTED),
            1.0,
            Par::Seq,
        );
    });
    projected
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;

    use super::*;

    fn random(rows: usize, size: usize, seed: u64) -> Inputs {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        Inputs::new(Shape::new([size]).unwrap(), (0..rows * size).map(|_| rng.random::<f32>()).collect()).unwrap()
    }

    fn by_hand(query: &[f32], base: &Inputs, without: Option<usize>) -> Near {
        let all = (0_u32..).zip(base.rows()).filter(|(at, _)| Some(*at as usize) != without);
        let mut near: Near = all.map(|(at, row)| (at, distance(query, row))).collect();
        near.sort_by(|a, b| a.1.total_cmp(&b.1));
        near.truncate(NEIGHBOURS);
        near
    }

    #[test]
    fn the_search_finds_what_a_plain_search_finds() {
        // More rows than one block of candidates, and a last block that is not full.
        let (base, queries) = (random(CANDIDATES + 301, 9, 1), random(QUERIES + 7, 9, 2));
        for (at, near) in nearest(&queries, &base, false).iter().enumerate() {
            assert_eq!(*near, by_hand(queries.row(at), &base, None), "query {at}");
        }
        for (at, near) in nearest(&base, &base, true).iter().enumerate().step_by(97) {
            assert_eq!(*near, by_hand(base.row(at), &base, Some(at)), "row {at}");
        }
    }

    #[test]
    fn few_rows_have_few_neighbours() {
        let one = random(1, 3, 1);
        assert!(nearest(&one, &one, true)[0].is_empty());
        assert_eq!(nearest(&one, &one, false)[0], [(0, 0.0)]);
        assert!(nearest(&one.select(&[]), &one, false).is_empty());
    }

    #[test]
    fn the_projection_finds_a_near_duplicate() {
        let base = random(2000, 784, 3);
        let mut copy = base.select(&[1234]);
        copy.values_mut().iter_mut().for_each(|value| *value += 0.01);
        let (from, to) = (project(&copy), project(&base));
        let near = search(&from, &to, PROJECTED, 4 * NEIGHBOURS, false, (&copy, &base));
        assert_eq!(near[0][0].0, 1234);
        assert!((near[0][0].1 - 0.28).abs() < 1e-4);
    }

    #[test]
    fn rows_that_leave_leave_all_lists() {
        let base = random(100, 4, 5);
        let all = Neighbours { rows: nearest(&base, &base, true), held_out: vec![] };
        let kept: Vec<usize> = (0..100).filter(|at| at % 3 > 0).collect();
        let (left, anew) = (all.keep(&kept), nearest(&base.select(&kept), &base.select(&kept), true));
        for (left, anew) in left.rows.iter().zip(&anew) {
            assert_eq!(left[..], anew[..left.len()]);
            assert!(left.len() > 5);
        }
    }
}
