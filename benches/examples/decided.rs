//! One trip over random tracks in any number of stages: time by phase, what was counted beside what was predicted, key sizes, memory,
//! and how far the whole is from its bare blind rotations, measured before and after every query on the same threads.
//!
//! ```text
//! cargo run --release -p sordino-benches --example decided [queries] [slots,slots,..] [standard | fine | finest] [probes] [answers] [picked] [integers]
//! ```
//!
//! With `picked` the client picks the groups of the last stage. With `integers` weights stay bytes, and every query transforms them.
//! `158,158` (the default) is 24,964 tracks in two stages, `100,100,100` a million in three, `1000` a thousand in one.

use std::time::{Duration, Instant};

use sordino_benches::decided::{Exchange, Tree};
use sordino_benches::{Failure, rng};
use sordino_fhe::calibration::calibrate_with;
use sordino_fhe::decision::Options;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey, ServerKey};
use sordino_lab::evaluate::median;
use sordino_lab::{peak_gigabytes, reset_peak};
use sordino_model::Resolution;
use sordino_model::cost::WeightForm;

fn main() -> Result<(), Failure> {
    measure(&std::env::args().skip(1).collect::<Vec<_>>())
}

/// The measurement that the arguments ask for.
pub(crate) fn measure(arguments: &[String]) -> Result<(), Failure> {
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<usize>());
    let queries = number(0, 3)?;
    let slots = arguments.get(1).map_or("158,158", String::as_str);
    let outputs: Vec<usize> = slots.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let resolution = match arguments.get(2).map(String::as_str) {
        Some("fine") => Resolution::Fine,
        Some("finest") => Resolution::Finest,
        _ => Resolution::Standard,
    };
    let options = Options::new(number(3, 1)?, number(4, 1)?, resolution);
    let said = |word: &str| arguments.iter().skip(5).any(|argument| argument == word);
    let picked = said("picked");
    let form = if said("integers") { WeightForm::Integers } else { WeightForm::Transformed };
    let options = if picked { options.picked() } else { options };
    let (secret, key) = keys()?;
    let threads = rayon::current_num_threads();

    let tree = Tree { tracks: outputs.iter().product(), outputs };
    let model = tree.model()?;
    reset_peak();
    let start = Instant::now();
    let mut session = Exchange::new(secret, &tree, &model, options, form)?;
    let plan = session.server.plan().clone();
    println!(
        "\n{} tracks, stages {:?}, {:?} routing, {resolution:?} resolution, {} probe(s), {} answer(s); prepared in {:.2?}, {}",
        tree.tracks,
        tree.outputs,
        options.routing,
        options.probes,
        options.answers,
        start.elapsed(),
        peak()
    );
    let schedule = plan.schedule(model.shape())?.holding(form, STANDARD.ring());
    println!("{}", schedule.report);
    let candidates = match tree.outputs.split_last() {
        Some((last, _)) if picked => options.probes * last,
        _ => tree.outputs.iter().sum(),
    };
    println!(
        "{:.2} blind rotations a candidate ({candidates} candidates)",
        schedule.report.decisions.rotations() as f64 / candidates as f64
    );
    let margins = plan.margins(model.shape())?;
    println!(
        "certain but with probability 2^{:.1} where winners lead by {:.0?} score units ({:.3?} of the largest difference), \
         and the best score is {:.0} from zero",
        margins.failure_log2, margins.stages, margins.relative, margins.threshold
    );
    println!("weights: {:.1} MB in memory", session.server.weight_bytes() as f64 / 1e6);

    let mut rng = rng(27);
    let (mut right, mut times, mut core_times) = (0, Vec::new(), Vec::new());
    let (mut predictions, mut ratios, mut bares) = (Vec::new(), Vec::new(), Vec::new());
    reset_peak();
    for q in 0..queries {
        let before = calibrate_with(&key, 1)?;
        let track = session.any(&mut rng);
        let answered = session.ask(&key, track, &mut rng)?;
        let timings = before.shortest(&calibrate_with(&key, 1)?);
        right += usize::from(answered.right);
        let predicted = schedule.predict(&timings, threads);
        let bare = schedule.bare(&timings, threads);
        let ratio = answered.server.as_secs_f64() / bare.as_secs_f64();
        println!(
            "\nquery {q}: {:.2?} on the server, predicted {predicted:.2?}, {:.2?} of processor time; {}; client {:.2?}",
            answered.server,
            answered.core_time.unwrap_or_default(),
            if answered.right { "right" } else { "WRONG" },
            answered.client
        );
        let work = &answered.work;
        println!(
            "  read {:.1?}, unpack {:.1?}, linear {:.1?}, select {:.1?}, tournaments {:.2?}, positions {:.2?}, threshold {:.1?}, reply {:.1?}",
            work.read, work.unpack, work.linear, work.select, work.play, work.index, work.threshold, work.reply
        );
        let elsewhere: Vec<Duration> =
            [1, 2, 4, 16, 64].into_iter().map(|threads| schedule.predict(&timings, threads)).collect();
        println!("  predicted for 1, 2, 4, 16 and 64 such threads: {elsewhere:.2?}");
        println!("  bare rotations {bare:.2?} on {threads} thread(s); the whole is {ratio:.2} times that");
        times.push(answered.server);
        core_times.extend(answered.core_time);
        predictions.push(predicted);
        ratios.push(ratio);
        bares.push(bare);
    }
    ratios.sort_by(f64::total_cmp);
    if let (Some(fastest), Some(bare)) = (times.iter().min(), bares.iter().min()) {
        let ratio = fastest.as_secs_f64() / bare.as_secs_f64();
        println!("\nfastest {fastest:.2?}, {ratio:.2} times the fastest bare rotations, {bare:.2?}");
    }
    println!(
        "{right} of {queries} as on plain integers; median {:.2?}, predicted {:.2?}, {:.2?} of processor time, {:.2} times bare \
         rotations; {}",
        median(times).unwrap_or_default(),
        median(predictions).unwrap_or_default(),
        median(core_times).unwrap_or_default(),
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN),
        peak()
    );
    Ok(())
}

/// A secret key and its evaluation key, made, saved, and loaded as a server does when it starts.
fn keys() -> Result<(ClientKey, ServerKey), Failure> {
    let secret = SecretKey::generate(&STANDARD);
    let start = Instant::now();
    let evaluation_key = EvaluationKey::generate(&secret, |_| {});
    let made = start.elapsed();
    println!("evaluation key: {:.1} MB on the wire, made in {made:.2?}, {}", wire() as f64 / 1e6, peak());
    let path = std::env::temp_dir().join(format!("sordino-evaluation-key-{}", std::process::id()));
    evaluation_key.save(&path)?;
    drop(evaluation_key);
    reset_peak();
    let start = Instant::now();
    let key = ServerKey::load(&path);
    let loaded = start.elapsed();
    std::fs::remove_file(&path)?;
    let key = key?;
    let threads = rayon::current_num_threads();
    println!(
        "server key: {:.1} MB, loaded and expanded in {loaded:.2?} on {threads} thread(s), {}",
        key.bytes() as f64 / 1e6,
        peak()
    );
    Ok((ClientKey::registered(secret, key.id()), key))
}

fn wire() -> usize {
    EvaluationKey::wire_bytes(&STANDARD)
}

fn peak() -> String {
    peak_gigabytes().map_or("peak memory unknown".into(), |gigabytes| format!("peak memory {:.0} MB", 1e3 * gigabytes))
}
