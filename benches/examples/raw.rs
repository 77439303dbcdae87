//! What it takes to find the best of some random rows for encrypted samples, at the parameters that are used in earnest.
//!
//! ```text
//! cargo run --release -p sordino-benches --example raw [queries] [bands] [rows] [cells]
//! ```
//!
//! Prints a row of CSV for every query: seconds of each step, bytes and memory. Nothing is decrypted; the tests of `sordino-fhe` compare results.

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use sordino_benches::{Failure, rng};
use sordino_fhe::params::{SAMPLES, STANDARD};
use sordino_fhe::raw::{RawClient, RawKey, RawMachine};
use sordino_fhe::{EvaluationKey, SecretKey};
use sordino_model::raw::{RawFront, RawRows, RawSpec};

const HEADER: &str = "bands,rows,threads,rotations,encrypt_s,spectrum_s,levels_s,differences_s,decision_s,total_s,bytes_up,raw_key_bytes,\
                      evaluation_key_bytes,server_key_bytes";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{HEADER}");
    measure(&arguments)?.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// A row for every query.
pub(crate) fn measure(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<usize>());
    let (queries, bands, count) = (number(0, 3)?, number(1, 48)?, number(2, 298)?);
    let cells = number(3, RawSpec::default().cells)?;
    let spec = RawSpec { bands, cells, emphasis: 0.0, ..RawSpec::default() };
    let front = RawFront::mel(spec.clone(), &vec![1.0; bands])?;
    let (secret, samples) = (SecretKey::generate(&STANDARD), Arc::new(SecretKey::generate(&SAMPLES)));
    let evaluation = EvaluationKey::generate(&secret, |_| {});
    let raw = RawKey::generate(&samples, &secret)?;
    let server = evaluation.expand();
    let expanded = raw.expand(&server);
    let mut random = rng(1);
    let weights = (0..count * spec.width()).map(|_| random.random_range(-127..=127)).collect();
    let rows = RawRows::new(&spec, weights, vec![0; count])?;
    let machine = RawMachine::new(&front, &expanded, &server, 45)?;
    let mut client = RawClient::new(samples, spec.clone())?;
    let mut out = Vec::new();
    for _ in 0..queries {
        let sound: Vec<f32> = (0..spec.query_samples()).map(|_| random.random::<f32>() - 0.5).collect();
        let start = Instant::now();
        let query = client.encrypt(&spec.samples(&sound)?)?;
        let encrypt = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let work = machine.measure(&query, &rows)?;
        let total = start.elapsed().as_secs_f64();
        let steps =
            [work.spectrum, work.levels, work.differences, work.decision].map(|d| format!("{:.3}", d.as_secs_f64()));
        out.push(format!(
            "{bands},{count},{},{},{encrypt:.3},{},{total:.3},{},{},{},{}",
            rayon::current_num_threads(),
            work.rotations,
            steps.join(","),
            query.len(),
            raw.bytes(),
            EvaluationKey::wire_bytes(&STANDARD),
            expanded.bytes() + server.bytes(),
        ));
    }
    Ok(out)
}
