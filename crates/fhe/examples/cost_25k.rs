//! The cost of `flat` and `two-trip` at 25,000 tracks: 158 clusters of 158 tracks, random 6-bit weights.
//!
//! ```text
//! cargo run --release -p sordino-fhe --example cost_25k [queries] [probes] [groups]
//! ```

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{Plan, PlannerOptions, PreparedModel, QueryEncryptor, SecretKey, Work};
use sordino_model::{Circuit, Clear, ClearValue, Hierarchy, ModelHash, Stage, VectorBound};

const CLUSTER_WIDTH: usize = 128;
const TRACK_WIDTH: usize = 96;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| arguments.get(i).copied().unwrap_or(default);
    let (queries, probes, groups) = (argument(0, 20), argument(1, 1), argument(2, 158));

    let mut rng = ChaCha8Rng::seed_from_u64(25);
    let stages = vec![stage(1, groups, CLUSTER_WIDTH, &mut rng)?, stage(groups, groups, TRACK_WIDTH, &mut rng)?];
    let two = Hierarchy::new(stages)?;
    let flat = Hierarchy::new(vec![stage(1, groups * groups, TRACK_WIDTH, &mut rng)?])?;
    let key = SecretKey::generate(&STANDARD);

    let plan = Plan::trip_per_stage(&STANDARD, &two, probes, PlannerOptions::default())?;
    println!("== two-trip, {groups} x {groups} tracks, {probes} probe(s)");
    run(&key, &two, plan, queries, &mut rng)?;
    println!("\n== flat, {} tracks", groups * groups);
    run(&key, &flat, Plan::flat(&STANDARD, &flat, PlannerOptions::default())?, queries, &mut rng)
}

/// Rows of norm about 96, as unit vectors quantised to 6 bits have.
fn stage(
    groups: usize,
    outputs: usize,
    width: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Stage, Box<dyn std::error::Error>> {
    let weights = (0..groups * outputs).flat_map(|_| unit(width, rng)).map(|w| w as i8).collect();
    let bias = (0..groups * outputs).map(|_| -rng.random_range(3_000..5_000)).collect();
    Ok(Stage::new(outputs, bound(width), weights, bias, vec![outputs; groups])?)
}

fn bound(width: usize) -> VectorBound {
    VectorBound { width, max_abs: 31, norm_squared: 96 * 96 }
}

fn unit(width: usize, rng: &mut ChaCha8Rng) -> Vec<i32> {
    loop {
        let x: Vec<f64> = (0..width).map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0).collect();
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        let x: Vec<i32> = x.iter().map(|v| (v * 95.0 / norm).round().clamp(-31.0, 31.0) as i32).collect();
        if bound(width).admits(&x) {
            return x;
        }
    }
}

fn run(
    key: &SecretKey,
    hierarchy: &Hierarchy,
    plan: Plan,
    queries: usize,
    rng: &mut ChaCha8Rng,
) -> Result<(), Box<dyn std::error::Error>> {
    let model = ModelHash::of(b"random weights");
    println!("failure probability 2^{:.1} a query", plan.failure_log2());
    for (trip, plan_of_trip) in plan.trips().iter().enumerate() {
        let noise = plan_of_trip.noise(plan.parameters());
        println!("trip {trip}: {:?} {:?}", plan_of_trip.layout, plan_of_trip.envelope);
        println!(
            "noise, log2 of standard deviations: linear {:.1}, select {:.1}, zero {:.1}, reply {:.1}; flood {:.1}, margin {:.1}; \
             distance from flooding alone 2^{:.1} a score",
            noise.linear.log2() / 2.0,
            noise.select.log2() / 2.0,
            noise.zero.log2() / 2.0,
            noise.reply.log2() / 2.0,
            noise.flood.log2(),
            noise.margin.log2(),
            noise.distance_log2()
        );
        println!("{}", plan.cost(trip, hierarchy.shape())?);
    }
    let start = Instant::now();
    let server = PreparedModel::new(model, hierarchy, plan)?;
    println!("prepared in {:.2?}, {} bytes", start.elapsed(), server.weight_bytes());
    let mut client = QueryEncryptor::new(key, server.plan().clone(), model, hierarchy.shape())?;

    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let trips: Vec<_> = server.plan().trips().to_vec();
        let mut work: Vec<Vec<Work>> = vec![Vec::new(); trips.len()];
        let (mut encrypt, mut decrypt) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..queries {
            for (trip, plan) in trips.iter().enumerate() {
                let stage = &hierarchy.stages()[plan.stage];
                let x = unit(stage.input().width, rng);
                let groups: Vec<usize> =
                    (0..plan.probes.unwrap_or(0)).map(|_| rng.random_range(0..stage.groups())).collect();
                let start = Instant::now();
                let query = client.query(trip, &x, &groups)?;
                encrypt += start.elapsed();
                let (reply, done) = pool.install(|| server.answer_and_measure(trip, &query))?;
                work[trip].push(done);
                let start = Instant::now();
                let scores = client.scores(trip, &reply, &groups)?;
                decrypt += start.elapsed();
                if scores != clear(hierarchy, &plan.circuit(hierarchy.shape())?, &x, &groups)? {
                    return Err("encrypted scores differ from clear ones".into());
                }
            }
        }
        println!("{threads} thread(s), medians of {queries} queries, every score as in the clear:");
        let mut sum = Duration::ZERO;
        for (trip, work) in work.iter().enumerate() {
            let median = |f: fn(&Work) -> Duration| {
                let mut times: Vec<Duration> = work.iter().map(f).collect();
                times.sort();
                times[times.len() / 2]
            };
            sum += median(Work::total);
            println!(
                "  trip {trip}: {:.2?} (read {:.2?}, linear {:.2?}, select {:.2?}, reply {:.2?})",
                median(Work::total),
                median(|w| w.read),
                median(|w| w.linear),
                median(|w| w.select),
                median(|w| w.reply)
            );
        }
        println!(
            "  server, all trips: {sum:.2?}; client: encrypt {:.2?}, decrypt {:.2?}",
            encrypt / queries as u32,
            decrypt / queries as u32
        );
    }
    Ok(())
}

fn clear(
    hierarchy: &Hierarchy,
    circuit: &Circuit,
    x: &[i32],
    groups: &[usize],
) -> Result<Vec<Vec<i64>>, Box<dyn std::error::Error>> {
    let mut inputs = vec![ClearValue::Vector(x.to_vec())];
    inputs.extend(groups.iter().map(|&group| ClearValue::Index(group)));
    let replies = circuit.run(&mut Clear::new(hierarchy), inputs)?;
    Ok(replies.into_iter().flat_map(|r| if let ClearValue::Scores(s) = r { s } else { Vec::new() }).collect())
}
