//! Loops over slices, compiled for the vector instructions that the processor at hand has.
//!
//! Results are those of the plain loops, bit for bit: nothing is reordered, and no product is fused with a sum.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for the wider instructions")]

use pulp::{Arch, NullaryFnOnce};

/// Runs `step` on the elements of two slices, up to the end of the shorter.
#[inline]
pub(crate) fn each2<A, B: Copy>(a: &mut [A], b: &[B], step: impl FnMut(&mut A, B)) {
    Arch::new().dispatch(Each2 { a, b, step });
}

/// Runs `step` on the elements of three slices, up to the end of the shortest.
#[inline]
pub(crate) fn each3<A, B, C: Copy>(a: &mut [A], b: &mut [B], c: &[C], step: impl FnMut(&mut A, &mut B, C)) {
    Arch::new().dispatch(Each3 { a, b, c, step });
}

/// `target += source`.
pub(crate) fn add(target: &mut [f32], source: &[f32]) {
    each2(target, source, |sum, value| *sum += value);
}

/// `target += factor * source`, rounded after the product and after the sum.
pub(crate) fn add_scaled(target: &mut [f32], factor: f32, source: &[f32]) {
    each2(target, source, move |sum, value| *sum += factor * value);
}

/// `target += source`, in double precision.
pub(crate) fn add_to_double(target: &mut [f64], source: &[f32]) {
    each2(target, source, |sum, value| *sum += f64::from(value));
}

/// Sum of squares, in double precision.
pub(crate) fn squared_norm(values: &[f32]) -> f64 {
    Arch::new().dispatch(SquaredNorm(values))
}

struct Each2<'s, A, B, F> {
    a: &'s mut [A],
    b: &'s [B],
    step: F,
}

impl<A, B: Copy, F: FnMut(&mut A, B)> NullaryFnOnce for Each2<'_, A, B, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { a, b, mut step } = self;
        for (a, b) in a.iter_mut().zip(b) {
            step(a, *b);
        }
    }
}

struct Each3<'s, A, B, C, F> {
    a: &'s mut [A],
    b: &'s mut [B],
    c: &'s [C],
    step: F,
}

impl<A, B, C: Copy, F: FnMut(&mut A, &mut B, C)> NullaryFnOnce for Each3<'_, A, B, C, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { a, b, c, mut step } = self;
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            step(a, b, *c);
        }
    }
}

struct SquaredNorm<'s>(&'s [f32]);

impl NullaryFnOnce for SquaredNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut lanes = [0.0_f64; 16];
        let chunks = self.0.chunks_exact(lanes.len());
        let rest: f64 = chunks.remainder().iter().map(|value| f64::from(*value).powi(2)).sum();
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                let value = f64::from(*value);
                *lane += value * value;
            }
        }
        lanes.iter().sum::<f64>() + rest
    }
}
