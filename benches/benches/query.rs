//! Whole queries at 25,000 tracks as the server sees them, on one thread, with 1 and 2 probes; and the client's side.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sordino_benches::{Exchange, Failure, two_stages};
use sordino_fhe::SecretKey;
use sordino_fhe::params::STANDARD;
use sordino_fhe::scores::{Plan, PlannerOptions};

fn queries(c: &mut Criterion) {
    run(c).unwrap_or_else(|e| panic!("{e}"));
}

fn run(c: &mut Criterion) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let key = Arc::new(SecretKey::generate(&STANDARD));
    let two = two_stages(158, 158)?;
    let mut group = c.benchmark_group("routed");
    group.sample_size(20);
    for probes in [1, 2] {
        let plan = Plan::routed(&STANDARD, &two, probes, PlannerOptions::default())?;
        let mut exchange = Exchange::new(key.clone(), &two, plan)?;
        let mut queries = Vec::new();
        for trip in 0..2 {
            let query = exchange.query(trip)?;
            let (reply, _) = exchange.answer(&query)?;
            exchange.check(trip, &query, &reply)?;
            queries.push(query);
        }
        group.bench_function(format!("server, {probes} probe(s)"), |b| {
            b.iter(|| {
                pool.install(|| {
                    let answer = |trip: usize| exchange.server.answer(&queries[trip].message);
                    (answer(0), answer(1))
                })
            });
        });
        group.bench_function(format!("client encrypts, {probes} probe(s)"), |b| {
            b.iter(|| (exchange.query(0).map(|q| q.message), exchange.query(1).map(|q| q.message)));
        });
    }
    group.finish();
    Ok(())
}

criterion_group!(benches, queries);
criterion_main!(benches);
