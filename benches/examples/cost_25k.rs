//! What `routed` and `flat` cost at 25,000 tracks: 158 clusters of 158 tracks, random 6-bit weights, every reply compared with
//! the clear scores. Then the linear stage's bandwidth next to the machine's, in the same run.
//!
//! ```text
//! cargo run --release -p sordino-benches --example cost_25k [queries] [probes] [clusters]
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sordino_benches::{Exchange, Failure, one_stage, read, two_stages};
use sordino_fhe::params::STANDARD;
use sordino_fhe::scores::{Plan, PlannerOptions, Work};
use sordino_fhe::{LinearKernel, SecretKey};
use sordino_lab::evaluate::median;
use sordino_model::stage::Hierarchy;

fn main() -> Result<(), Failure> {
    measure(&std::env::args().skip(1).map(|a| a.parse()).collect::<Result<Vec<_>, _>>()?)
}

/// The measurement that the arguments ask for.
pub(crate) fn measure(arguments: &[usize]) -> Result<(), Failure> {
    let argument = |i: usize, default| arguments.get(i).copied().unwrap_or(default);
    let (queries, probes, clusters) = (argument(0, 20).max(1), argument(1, 1), argument(2, 158));
    let key = Arc::new(SecretKey::generate(&STANDARD));

    println!("== routed, {clusters} x {clusters} tracks, {probes} probe(s)");
    let two = two_stages(clusters, clusters)?;
    run(&key, &two, Plan::routed(&STANDARD, &two, probes, PlannerOptions::default())?, queries)?;

    println!("\n== flat, {} tracks", clusters * clusters);
    let flat = one_stage(clusters * clusters)?;
    run(&key, &flat, Plan::flat(&STANDARD, &flat, PlannerOptions::default())?, queries)?;

    println!("\n== linear stage, one thread, best of 9");
    bandwidth();
    Ok(())
}

fn run(key: &Arc<SecretKey>, hierarchy: &Hierarchy, plan: Plan, queries: usize) -> Result<(), Failure> {
    describe(&plan, hierarchy)?;
    let start = Instant::now();
    let mut exchange = Exchange::new(key.clone(), hierarchy, plan)?;
    println!("prepared in {:.2?}, {} bytes of weights", start.elapsed(), exchange.server.weight_bytes());
    let trips = exchange.server.plan().trips().len();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let mut work: Vec<Vec<Work>> = vec![Vec::new(); trips];
        let mut client = Duration::ZERO;
        for trip in (0..queries).flat_map(|_| 0..trips) {
            let start = Instant::now();
            let query = exchange.query(trip)?;
            client += start.elapsed();
            let (reply, done) = pool.install(|| exchange.answer(&query).map_err(|e| e.to_string()))?;
            work[trip].push(done);
            exchange.check(trip, &query, &reply)?;
        }
        report(threads, &work);
        println!("  client encrypts in {:.2?}", client / queries as u32);
    }
    Ok(())
}

fn describe(plan: &Plan, hierarchy: &Hierarchy) -> Result<(), Failure> {
    println!("failure probability 2^{:.1} a query", plan.failure_log2());
    for (trip, layout) in plan.trips().iter().enumerate() {
        let noise = layout.noise(plan.parameters());
        let deviation = |variance: f64| variance.log2() / 2.0;
        println!("trip {trip}: {:?}\n{:?}", layout.layout, layout.envelope);
        println!(
            "log2 of noise deviations: linear {:.1}, select {:.1}, zero {:.1}, reply {:.1}; of flooding {:.1}, of margin {:.1}",
            deviation(noise.linear),
            deviation(noise.select),
            deviation(noise.zero),
            deviation(noise.reply),
            noise.flood.log2(),
            noise.margin.log2(),
        );
        println!("statistical distance of a score's noise from flooding alone: 2^{:.1}", noise.distance_log2());
        println!("{}", plan.cost(trip, hierarchy.shape())?);
    }
    Ok(())
}

fn report(threads: usize, work: &[Vec<Work>]) {
    println!("{threads} thread(s), medians of {} queries, every score as in the clear:", work[0].len());
    let mut whole = Duration::ZERO;
    for (trip, work) in work.iter().enumerate() {
        let median = |f: fn(&Work) -> Duration| median(work.iter().map(f).collect()).unwrap_or_default();
        let (read, linear, select, reply) =
            (median(|w| w.read), median(|w| w.linear), median(|w| w.select), median(|w| w.reply));
        let total = median(Work::total);
        println!(
            "  trip {trip}: {total:.2?} (read {read:.2?}, linear {linear:.2?}, select {select:.2?}, reply {reply:.2?})"
        );
        whole += total;
    }
    println!("  server, all trips: {whole:.2?}");
}

/// Bytes per second of the kernel and of a plain read, for weights that fit a cache and for weights that fit none.
fn bandwidth() {
    for megabytes in [16, 512] {
        let mut kernel = LinearKernel::new(2048, 24, megabytes << 20);
        let bytes = kernel.bytes() as f64;
        let mut best = [0f64; 2];
        for _ in 0..9 {
            let start = Instant::now();
            black_box(read(kernel.weights()));
            best[0] = best[0].max(bytes / start.elapsed().as_secs_f64());
            let start = Instant::now();
            black_box(kernel.run());
            best[1] = best[1].max(bytes / start.elapsed().as_secs_f64());
        }
        let [plain, multiply] = best.map(|b| b / 1e9);
        println!(
            "{megabytes:>4} MiB: read {plain:.1} GB/s, multiply-accumulate {multiply:.1} GB/s ({:.0} %)",
            100.0 * multiply / plain
        );
    }
}
