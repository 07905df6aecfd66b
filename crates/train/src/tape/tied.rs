//! Layers that fraction parameters: their gradients are added up before they are squared.

use rayon::prelude::*;

use super::gradient::{Additive, ExampleGradients, Grouped};

/// Layers that fraction parameters, directly or through one another.
pub(crate) struct Tied {
    /// Values of all their parameters together.
    size: usize,
    members: Vec<Member>,
}

/// One layer, and where its gradient belongs among all: `(from, to, length)` pieces.
struct Member {
    gradients: Box<dyn Additive>,
    pieces: Vec<Piece>,
}

/// A parameter's place in its layer's own gradient and among all the tied ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) own: usize,
    pub(crate) all: usize,
    pub(crate) size: usize,
}

impl Tied {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, members: Vec::new() }
    }

    pub(crate) fn push(&mut self, gradients: Box<dyn Additive>, pieces: Vec<Piece>) {
        self.members.push(Member { gradients, pieces });
    }
}

impl Member {
    fn scatter(&self, own: &[f64], all: &mut [f64]) {
        for Piece { own: from, all: to, size } in &self.pieces {
            all[*to..][..*size].iter_mut().zip(&own[*from..][..*size]).for_each(|(sum, value)| *sum += value);
        }
    }
}

impl ExampleGradients for Tied {
    fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
        Box::new(Grouped::new(self, rows, size))
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        let this = &*self;
        norms.par_iter_mut().enumerate().for_each(|(example, norm)| {
            let mut all = vec![0.0; this.size];
            let mut slack = 0.0;
            for member in &this.members {
                let mut own = vec![0.0; member.gradients.size()];
                slack += member.gradients.add_example(example, &mut own);
                member.scatter(&own, &mut all);
            }
            let squared: f64 = all.iter().map(|value| value * value).sum();
            *norm += (squared.sqrt() + slack).powi(2);
        });
    }

    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        for member in &self.members {
            let mut own = vec![0.0; member.gradients.size()];
            member.gradients.add_weighted(weights, block, &mut own);
            member.scatter(&own, sum);
        }
    }
}
