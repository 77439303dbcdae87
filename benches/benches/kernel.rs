//! The multiply-accumulate kernel of the linear stage next to a plain read of the same bytes, in cache and in memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sordino_benches::read;
use sordino_fhe::LinearKernel;

fn kernel(c: &mut Criterion) {
    for (name, bytes) in [("1 MiB", 1 << 20), ("16 MiB", 16 << 20), ("256 MiB", 256 << 20)] {
        let mut kernel = LinearKernel::new(2048, 24, bytes);
        let mut group = c.benchmark_group(format!("kernel/{name}"));
        group.throughput(Throughput::Bytes(kernel.bytes() as u64)).sample_size(20);
        group.bench_function("read", |b| b.iter(|| black_box(read(kernel.weights()))));
        group.bench_function("multiply-accumulate", |b| b.iter(|| black_box(kernel.run())));
        group.finish();
    }
}

criterion_group!(benches, kernel);
criterion_main!(benches);
