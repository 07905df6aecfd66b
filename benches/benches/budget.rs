//! What reserving costs, in memory and in a file, alone and by many threads at once: `cargo bench --bench budget`.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Budget, BudgetTerms, Cost, Reservation};

const COST: Cost = Cost::Concentrated(1e-9);

fn terms() -> BudgetTerms {
    BudgetTerms::new(Epsilon::new(100.0).expect("positive"), Delta::new(1e-6).expect("in range"))
}

/// Reservations each of which is answered: one unit is one of them, so that times are compared with one thread's.
fn reserve(c: &mut Criterion) {
    let mut group = c.benchmark_group("reserve and answer");
    group.throughput(Throughput::Elements(1));
    let memory = Budget::in_memory(&terms()).expect("in range");
    group.bench_function("in memory", |b| b.iter(|| memory.reserve(COST).map(Reservation::commit)));
    let folder = tempfile::tempdir().expect("a folder");
    let file = Budget::create(&folder.path().join("bench.budget"), &terms()).expect("a file");
    for threads in [1_u64, 4, 32] {
        group.bench_function(BenchmarkId::new("in a file, threads", threads), |b| {
            b.iter_custom(|iterations| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            for _ in 0..iterations.div_ceil(threads) {
                                file.reserve(COST).expect("within").commit();
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reserve);
criterion_main!(benches);
