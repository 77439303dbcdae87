//! A comparison by tfhe-rs and by this kernel, in one process and by turns: the keyswitch to a small key, and the bootstrap that looks a
//! table up. Both use the ring and the small key of `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128`. tfhe-rs's own steps of
//! two and three bits stand beside, which have sets of their own.
//!
//! ```text
//! cargo run --release -p sordino-benches --example beside_tfhe [turns] [results.csv]
//! ```
//!
//! *Alone* is one at a time on one thread (tfhe-rs's steps of several bits take all threads for it), *batched* is many at a time on all
//! threads; both in milliseconds of the clock for one.

use std::fmt::Write;
use std::time::Instant;

use rayon::prelude::*;
use sordino_benches::Failure;
use sordino_fhe::calibration::calibrate_with;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{EvaluationKey, SecretKey, ServerKey};
use sordino_lab::evaluate::median;
use tfhe::shortint::parameters::ShortintParameterSet;
use tfhe::shortint::parameters::v1_8::{
    V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128 as CLASSIC,
    V1_8_PARAM_MULTI_BIT_GROUP_2_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128 as GROUPS_OF_TWO,
    V1_8_PARAM_MULTI_BIT_GROUP_3_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128 as GROUPS_OF_THREE,
};
use tfhe::shortint::server_key::LookupTableOwned;
use tfhe::shortint::{Ciphertext, gen_keys};

/// Ciphertexts of a batch for each thread: as many as ours takes.
const BATCH: usize = 16;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let turns = arguments.first().map_or(Ok(9), |a| a.parse::<usize>())?.max(1);
    let csv = measure(turns)?;
    if let Some(path) = arguments.get(1) {
        std::fs::write(path, csv)?;
    }
    Ok(())
}

/// Prints the table, and returns every time as CSV.
pub(crate) fn measure(turns: usize) -> Result<String, Failure> {
    let library = [
        Library::new("tfhe-rs", CLASSIC),
        Library::new("tfhe-rs, two bits a step", GROUPS_OF_TWO),
        Library::new("tfhe-rs, three bits a step", GROUPS_OF_THREE),
    ];
    let ours = ours()?;
    let mut times: Vec<(&str, Vec<[f64; 2]>)> = library.iter().map(|l| (l.name, Vec::new())).collect();
    times.push(("Sordino", Vec::new()));
    for _ in 0..turns {
        for (library, (_, times)) in library.iter().zip(&mut times) {
            times.push(library.times());
        }
        let timings = calibrate_with(&ours, 1)?;
        let (keyswitch, rotation) = (timings.compare_keyswitch, timings.compare[0]);
        let threads = rayon::current_num_threads() as f64;
        let ours = [keyswitch.alone + rotation.alone, (keyswitch.full + rotation.full) / threads];
        times.last_mut().into_iter().for_each(|(_, times)| times.push(ours));
    }
    let mut csv = String::from("what,turn,alone_ms,batched_ms\n");
    let least = |times: &[[f64; 2]], i: usize| times.iter().map(|t| t[i]).fold(f64::MAX, f64::min);
    let classic = times[0].1.clone();
    println!(
        "{} threads, {turns} turns, milliseconds: fastest (median), and tfhe-rs's fastest over it\n",
        rayon::current_num_threads()
    );
    for (name, times) in &times {
        let column = |i: usize| {
            let all: Vec<f64> = times.iter().map(|t| t[i]).collect();
            let fastest = least(times, i);
            format!(
                "{:6.2} ({:6.2})  {:5.2}",
                1e3 * fastest,
                1e3 * median(all).unwrap_or(fastest),
                least(&classic, i) / fastest
            )
        };
        println!("{name:28} alone {}    batched {}", column(0), column(1));
        for (turn, [alone, batched]) in times.iter().enumerate() {
            writeln!(csv, "\"{name}\",{turn},{:.4},{:.4}", 1e3 * alone, 1e3 * batched)?;
        }
    }
    Ok(csv)
}

fn ours() -> Result<ServerKey, Failure> {
    let key = EvaluationKey::generate(&SecretKey::generate(&STANDARD), |_| {});
    Ok(key.expand())
}

/// A server key of tfhe-rs, with a table to look up and what to look up in it.
struct Library {
    name: &'static str,
    key: tfhe::shortint::ServerKey,
    table: LookupTableOwned,
    inputs: Vec<Ciphertext>,
}

impl Library {
    fn new(name: &'static str, parameters: impl Into<ShortintParameterSet>) -> Self {
        let parameters: ShortintParameterSet = parameters.into();
        let (client, key) = gen_keys(parameters);
        let table = key.generate_lookup_table(|x| x);
        let count = BATCH * rayon::current_num_threads();
        let inputs = (0..count as u64).map(|i| client.encrypt(i % 4)).collect();
        Self { name, key, table, inputs }
    }

    /// Seconds of one, alone and in a batch.
    fn times(&self) -> [f64; 2] {
        let look_up = |input: &Ciphertext| std::hint::black_box(self.key.apply_lookup_table(input, &self.table));
        let start = Instant::now();
        drop(look_up(&self.inputs[0]));
        let alone = start.elapsed().as_secs_f64();
        let start = Instant::now();
        self.inputs.par_iter().for_each(|input| drop(look_up(input)));
        [alone, start.elapsed().as_secs_f64() / self.inputs.len() as f64]
    }
}
