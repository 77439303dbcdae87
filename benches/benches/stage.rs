//! One trip at a time at 25,000 tracks, one thread, messages included: clusters, tracks, and `flat`.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sordino_benches::{Exchange, Failure, one_stage, two_stages};
use sordino_fhe::SecretKey;
use sordino_fhe::params::STANDARD;
use sordino_fhe::scores::{Plan, PlannerOptions};

fn stages(c: &mut Criterion) {
    run(c).unwrap_or_else(|e| panic!("{e}"));
}

fn run(c: &mut Criterion) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let key = Arc::new(SecretKey::generate(&STANDARD));
    let (two, one) = (two_stages(158, 158)?, one_stage(158 * 158)?);
    let staged = Plan::routed(&STANDARD, &two, 1, PlannerOptions::default())?;
    let flat = Plan::flat(&STANDARD, &one, PlannerOptions::default())?;
    let mut group = c.benchmark_group("stage");
    group.sample_size(20);
    for (name, hierarchy, plan, trip) in
        [("clusters", &two, staged.clone(), 0), ("tracks", &two, staged, 1), ("flat", &one, flat, 0)]
    {
        let mut exchange = Exchange::new(key.clone(), hierarchy, plan)?;
        let query = exchange.query(trip)?;
        let (reply, _) = exchange.answer(&query)?;
        exchange.check(trip, &query, &reply)?;
        group.bench_function(name, |b| b.iter(|| pool.install(|| exchange.server.answer(&query.message))));
    }
    group.finish();
    Ok(())
}

criterion_group!(benches, stages);
criterion_main!(benches);
