//! One trip over 24,964 random tracks: 158 clusters of 158, unit vectors of 96 features on 6 bits, a planted noisy match.
//!
//! ```text
//! cargo run --release -p sordino-fhe --example one_trip_25k [queries] [groups] [fine | finest]
//! ```
//!
//! Prints time by phase, what was counted beside what was predicted, key sizes, and how far the whole is from its bare
//! blind rotations, measured before and after every query on the same threads.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{
    Calibration, EvaluationKey, OneTripClient, OneTripOptions, OneTripPlan, OneTripServer, Resolution, SecretKey,
};
use sordino_model::{Clear, ClearValue, Hierarchy, ModelHash, Stage, VectorBound};

const WIDTH: usize = 96;
const NORM: f64 = 96.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (queries, groups) = (number(0, 3), number(1, 158));
    let resolution = match arguments.get(2).map(String::as_str) {
        Some("fine") => Resolution::Fine,
        Some("finest") => Resolution::Finest,
        _ => Resolution::Standard,
    };

    let mut rng = ChaCha8Rng::seed_from_u64(25);
    let model = Hierarchy::new(vec![stage(1, groups, 0, &mut rng)?, stage(groups, groups, -4_000, &mut rng)?])?;
    let hash = ModelHash::of(b"random weights");

    let secret = SecretKey::generate(&STANDARD);
    let (evaluation_key, made) = timed(|| EvaluationKey::generate(&secret, |_| {}));
    let path = std::env::temp_dir().join(format!("sordino-evaluation-key-{}", std::process::id()));
    evaluation_key.save(&path)?;
    let (key, loaded) = timed(|| EvaluationKey::load(&path).map(|key| key.expand()));
    let key = key?;
    std::fs::remove_file(&path)?;
    let wire = EvaluationKey::wire_bytes(&STANDARD) as f64 / 1e6;
    println!("evaluation key: {wire:.1} MB on the wire, made in {made:.2?}, loaded and expanded in {loaded:.2?}");
    println!("server key: {:.1} MB in memory; threads: {}", key.bytes() as f64 / 1e6, rayon_threads());

    let options = OneTripOptions { resolution, ..OneTripOptions::default() };
    let plan = OneTripPlan::new(&STANDARD, &model, options)?;
    let certainty = plan.certainty(model.shape())?;
    println!("\n{} tracks, {resolution:?} resolution; predicted:\n{}", groups * groups, plan.cost(model.shape())?);
    println!(
        "certain but with probability 2^{:.1} where winners lead by {:.0?} score units ({:.3?} of the largest difference), \
         and the best score is {:.0} from zero",
        certainty.failure_log2, certainty.margins, certainty.relative, certainty.threshold
    );
    let server = OneTripServer::new(hash, &model, plan)?;
    println!("weights: {:.1} MB in memory", server.weight_bytes() as f64 / 1e6);
    let mut client = OneTripClient::new(&secret, server.plan().clone(), hash, model.shape())?;

    let mut right = 0;
    for q in 0..queries {
        let vectors = planted(&model, &mut rng);
        let (query, encrypted) = timed(|| client.query(&vectors));
        let query = query?;
        let before = Calibration::measure(&key, resolution, 1);
        let ((reply, work), total) = {
            let (answer, time) = timed(|| server.answer_and_measure(&key, &query));
            (answer?, time)
        };
        let bare = before.shortest(Calibration::measure(&key, resolution, 1));
        let predicted = server.plan().predict(model.shape(), &bare, rayon_threads())?;
        let (found, decrypted) = timed(|| client.answers(&reply));
        let (found, expected) = (found?, clear(&model, server.plan(), &vectors)?);
        right += usize::from(found == expected);
        assert_eq!(work.decisions, server.plan().cost(model.shape())?.decisions, "steps as predicted");
        // All rotations at the speed of a full batch, spread evenly over the threads.
        let rotations = work.decisions.comparisons as f64 * bare.full_compare.as_secs_f64()
            + work.decisions.refreshes as f64 * bare.full_refresh.as_secs_f64();
        let bare_time = rotations / rayon_threads() as f64;
        println!(
            "\nquery {q}: {total:.2?} on the server, predicted {predicted:.2?}; {} (clear: {expected:?}); encrypt {encrypted:.2?}, decrypt {decrypted:.2?}",
            if found == expected { "right" } else { "WRONG" }
        );
        println!(
            "  read {:.1?}, linear {:.1?}, select {:.1?}, tournaments {:.0?}, positions {:.0?}, threshold {:.1?}, reply {:.1?}",
            work.read, work.linear, work.select, work.play, work.index, work.threshold, work.reply
        );
        let elsewhere: Vec<Duration> = [1, 2, 4, 16, 64]
            .into_iter()
            .map(|threads| server.plan().predict(model.shape(), &bare, threads))
            .collect::<Result<_, _>>()?;
        println!("  predicted for 1, 2, 4, 16 and 64 such threads: {elsewhere:.2?}");
        println!(
            "  {} comparisons of {:.2?} and {} refreshes of {:.2?}, bare: {bare_time:.2} s; the whole is {:.2} times that",
            work.decisions.comparisons,
            bare.full_compare,
            work.decisions.refreshes,
            bare.full_refresh,
            total.as_secs_f64() / bare_time
        );
    }
    println!("\n{right} of {queries} as on plain integers");
    Ok(())
}

fn rayon_threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX))
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = f();
    (value, start.elapsed())
}

fn bound() -> VectorBound {
    VectorBound { width: WIDTH, max_abs: 31, norm_squared: (NORM * NORM) as u64 }
}

/// Rows of norm close to 96, as unit vectors quantised to 6 bits have.
fn stage(groups: usize, outputs: usize, bias: i32, rng: &mut ChaCha8Rng) -> Result<Stage, Box<dyn std::error::Error>> {
    let weights = (0..groups * outputs).flat_map(|_| quantised(&direction(rng))).map(|w| w as i8).collect();
    Ok(Stage::new(outputs, bound(), weights, vec![bias; groups * outputs], vec![outputs; groups])?)
}

fn direction(rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..WIDTH).map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0).collect()
}

fn quantised(x: &[f64]) -> Vec<i32> {
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
    x.iter().map(|v| (v / norm * NORM).trunc().clamp(-31.0, 31.0) as i32).collect()
}

/// Noisy copies of the rows on the way to a random track: cosines of about 0.78.
fn planted(model: &Hierarchy, rng: &mut ChaCha8Rng) -> Vec<Vec<i32>> {
    let mut group = 0;
    let stages = model.stages().iter().map(|stage| {
        let slot = rng.random_range(0..stage.outputs());
        let row: Vec<f64> = stage.row(group, slot).iter().map(|&w| f64::from(w)).collect();
        group = group * stage.outputs() + slot;
        let noise = direction(rng);
        let norm = noise.iter().map(|v| v * v).sum::<f64>().sqrt();
        quantised(&row.iter().zip(&noise).map(|(r, n)| r + 0.8 * NORM * n / norm).collect::<Vec<_>>())
    });
    stages.collect()
}

fn clear(
    model: &Hierarchy,
    plan: &OneTripPlan,
    vectors: &[Vec<i32>],
) -> Result<Vec<Option<usize>>, Box<dyn std::error::Error>> {
    let inputs = vectors.iter().cloned().map(ClearValue::Vector).collect();
    let reply = plan.circuit(model.shape())?.run(&mut Clear::new(model), inputs)?;
    let answer = |value| match value {
        ClearValue::Answer(answer) => answer,
        _ => None,
    };
    Ok(reply.into_iter().map(answer).collect())
}
