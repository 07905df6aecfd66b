//! Both ways of forming per-example norms, layer by layer: `cargo bench --bench layers`.
//!
//! The tape's cost model should choose the faster one of each pair: `chosen` should be as fast as it.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::time::Duration;

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use underpin_train::{DeviceKind, NormMethod, Recording, Tape};

const EXAMPLES: usize = 16;

/// Values that differ, without any randomness.
fn values<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = (0..shape.iter().product::<usize>()).map(|at| (at * 2_654_435_761 % 1_000) as f32 / 1_000.0 - 0.5);
    Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
}

fn losses<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    output.powf_scalar(2.0).flatten::<2>(1, D - 1).sum_dim(1).squeeze_dim(1)
}

fn pairs(c: &mut Criterion, name: &str, record: impl Fn(Option<NormMethod>) -> Recording) {
    let mut group = c.benchmark_group(format!("norms and clipped sum of {EXAMPLES} examples, {name}"));
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    let ways = [("ghost", Some(NormMethod::Ghost)), ("instantiated", Some(NormMethod::Instantiated)), ("chosen", None)];
    for (way, method) in ways {
        group.bench_function(BenchmarkId::from_parameter(way), |b| {
            b.iter_batched(
                || record(method),
                |mut recording| recording.clipped_sum(1.0, EXAMPLES),
                BatchSize::PerIteration,
            );
        });
    }
}

fn layers(c: &mut Criterion) {
    let device = DeviceKind::Flex.device();
    for (positions, width) in [(2, 256), (4, 256), (16, 256), (64, 256), (8, 1024), (32, 1024), (256, 64)] {
        let layer: Linear = LinearConfig::new(width, width).init(&device);
        let input = values([EXAMPLES, positions, width], &device);
        pairs(c, &format!("linear, {positions} positions of {width}"), |method| {
            let mut tape = method.into_iter().fold(Tape::recording(&layer).expect("trains"), Tape::with_norms);
            let output = tape.linear(&layer, input.clone());
            tape.backward(losses(output)).expect("recorded")
        });
    }
    for (channels, size) in [(16, 16), (64, 8), (256, 2), (256, 4)] {
        let config = Conv2dConfig::new([channels, channels], [3, 3]).with_padding(PaddingConfig2d::Same);
        let layer: Conv2d = config.init(&device);
        let input = values([EXAMPLES, channels, size, size], &device);
        pairs(c, &format!("conv2d, {channels} channels of {size}x{size}"), |method| {
            let mut tape = method.into_iter().fold(Tape::recording(&layer).expect("trains"), Tape::with_norms);
            let output = tape.conv2d(&layer, input.clone());
            tape.backward(losses(output)).expect("recorded")
        });
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
