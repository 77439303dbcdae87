//! What it takes to name an encrypted sound, at the parameters that are used in earnest.
//!
//! ```text
//! cargo run --release -p sordino-benches --example raw [queries] [bands] [rows] [cells] [directions]
//! ```
//!
//! Prints a row of CSV for every query: seconds of each step, and bytes. Rows are random, since what they are makes no difference; whole models and real clips are
//! asked by `sordino evaluate --raw-queries`.

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use sordino_benches::{Failure, rng};
use sordino_fhe::calibration::calibrate_with;
use sordino_fhe::params::STANDARD;
use sordino_fhe::raw::{Client, Plan, Server};
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey};
use sordino_model::ModelHash;
use sordino_model::raw::{Length, RawFront, RawInput, RawSpec};
use sordino_model::stage::{Hierarchy, Stage};

const HEADER: &str = "bands,rows,directions,threads,rotations,encrypt_s,read_s,spectrum_s,levels_s,differences_s,length_s,scores_s,play_s,index_s,\
                      reply_s,server_s,predicted_s,predicted_64_threads_s,bytes_up,bytes_down,evaluation_key_bytes,server_key_bytes";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{HEADER}");
    measure(&arguments)?.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// A row for every query.
pub(crate) fn measure(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<usize>());
    let (queries, bands, count) = (number(0, 3)?, number(1, 64)?, number(2, 298)?);
    let (cells, directions) = (number(3, RawSpec::default().cells)?, number(4, 96)?);
    let spec = RawSpec { bands, cells, ..RawSpec::default() };
    let hierarchy = model(&spec, count, directions)?;
    let plan = Plan::new(&STANDARD, &hierarchy)?;
    let secret = Arc::new(SecretKey::generate(&STANDARD));
    let key = EvaluationKey::generate_for_samples(&secret, |_| {}).expand();
    let timings = calibrate_with(&key, 3)?;
    let threads = rayon::current_num_threads();
    let predict = |threads| plan.predict(hierarchy.shape(), &timings, threads).map(|time| time.as_secs_f64());
    let (predicted, predicted_64) = (predict(threads)?, predict(64)?);
    let hash = ModelHash([7; 32]);
    let server = Server::new(hash, &hierarchy, plan.clone())?;
    let mut client = Client::new(ClientKey::registered(secret, key.id()), plan, hash, hierarchy.shape())?;
    let mut random = rng(2);
    let mut out = Vec::new();
    for _ in 0..queries {
        let sound: Vec<f32> = (0..spec.query_samples()).map(|_| random.random::<f32>() - 0.5).collect();
        let start = Instant::now();
        let query = client.query(&spec.samples(&sound)?, 0)?;
        let encrypt = start.elapsed().as_secs_f64();
        let (reply, work) = server.answer_and_measure(&key, &query)?;
        client.answer(&reply)?;
        let steps = work.steps().map(|(_, time)| format!("{:.3}", time.as_secs_f64()));
        out.push(format!(
            "{bands},{count},{directions},{threads},{},{encrypt:.3},{},{:.3},{predicted:.3},{predicted_64:.3},{},{},{},{}",
            work.decisions.rotations(),
            steps.join(","),
            work.total().as_secs_f64(),
            query.len(),
            reply.len(),
            EvaluationKey::wire_bytes_for_samples(&STANDARD),
            key.bytes(),
        ));
    }
    Ok(out)
}

/// Random rows and directions.
fn model(spec: &RawSpec, count: usize, directions: usize) -> Result<Hierarchy, Failure> {
    let mut random = rng(1);
    // Music has some 300 times as much energy in its lowest band as in its highest.
    let usual: Vec<f64> = (0..spec.bands).map(|b| 3.0 * 300f64.powf(-(b as f64) / spec.bands as f64)).collect();
    let front = RawFront::mel(spec.clone(), &usual)?;
    let mut weights = |rows: usize| (0..rows * spec.width()).map(|_| random.random_range(-127..=127)).collect();
    let stage = Stage::new(count, spec.bound(), weights(count), vec![0; count], vec![count])?;
    let along = Stage::new(directions, spec.bound(), weights(directions), vec![0; directions], vec![directions])?;
    let length = Length::new(along, 1_000)?;
    Ok(Hierarchy::new(vec![stage])?.hearing(RawInput::new(front, length, 1 << 17)?)?)
}
