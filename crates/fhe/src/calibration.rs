//! What every operation takes on the machine at hand, for [`sordino_model::cost::Schedule`] to say what a query will take.

use std::io::{Cursor, Read};
use std::time::Instant;

use rayon::prelude::*;
use sordino_model::Resolution;
use sordino_model::cost::{Batched, Timings};
use sordino_model::layout::SEED_BYTES;
use sordino_model::raw::RawSpec;

use crate::bootstrap::blind_rotation::{Exponents, RotationKey, Table};
use crate::bootstrap::circuit_bootstrap::level_table;
use crate::bootstrap::evaluator::comparison_table;
use crate::bootstrap::lookup::{BATCH, Lookup};
use crate::linear::LinearKernel;
use crate::params::ParameterSet;
use crate::raw::{Correlator, RawKey, RawServerKey};
use crate::ring::glwe::Glwe;
use crate::ring::random::Random;
use crate::ring::zero_key::ZeroKey;
use crate::wire::bits::pack;
use crate::wire::{expansion, seeded};
use crate::{EvaluationKey, FheError, ServerKey};

/// Weights that a measurement of products streams: more than a cache holds.
const WEIGHT_BYTES: usize = 64 << 20;
/// Ciphertexts of the query that is read, and the bits of their bodies.
const QUERY: (usize, u32) = (24, 37);

/// Measures every operation `repetitions` times, without any secret: what an operation takes does not depend on what is encrypted,
/// so random bytes serve as a key. Keeps the shortest times, because other work only ever adds; a repetition takes about half a
/// second. `progress` is called with the fraction done.
///
/// # Errors
/// [`FheError::EvaluationKey`] where the parameter set has no such key.
pub fn calibrate(
    parameters: &'static ParameterSet,
    repetitions: usize,
    progress: impl Fn(f64),
) -> Result<Timings, FheError> {
    let header = Cursor::new(EvaluationKey::header(parameters, false));
    let key = ServerKey::read_unnamed(&mut header.chain(Endless(Random::new([0; SEED_BYTES], 0))))?;
    let steps = repetitions.max(1) as f64 + 1.0;
    progress(1.0 / steps);
    let raw = random_raw(&key)?;
    let mut best = measure(&key, &raw);
    for done in 1..repetitions.max(1) {
        progress((done as f64 + 1.0) / steps);
        best = best.shortest(&measure(&key, &raw));
    }
    progress(1.0);
    Ok(best)
}

/// [`calibrate`] with a key that is there already.
///
/// # Errors
/// As [`calibrate`].
pub fn calibrate_with(key: &ServerKey, repetitions: usize) -> Result<Timings, FheError> {
    let raw = random_raw(key)?;
    let first = measure(key, &raw);
    Ok((1..repetitions).fold(first, |best, _| best.shortest(&measure(key, &raw))))
}

/// A part for samples that no secret belongs to.
fn random_raw(key: &ServerKey) -> Result<RawServerKey, FheError> {
    Ok(RawKey::read(&mut Endless(Random::new([3; SEED_BYTES], 0)), key.parameters())?.expand(&key.fourier))
}

/// Random bytes without end.
struct Endless(Random);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut words = vec![0; buffer.len().div_ceil(8)];
        self.0.uniform(&mut words);
        buffer.iter_mut().zip(words.into_iter().flat_map(u64::to_le_bytes)).for_each(|(out, byte)| *out = byte);
        Ok(buffer.len())
    }
}

fn measure(key: &ServerKey, raw: &RawServerKey) -> Timings {
    let (fourier, size) = (&key.fourier, key.fourier.size());
    let mut scratch = fourier.scratch();
    let glwe = Glwe::trivial(&(0..size as u64).map(scatter).collect::<Vec<_>>());
    let lwe = glwe.extract(0);
    let batch = vec![lwe.clone(); BATCH];
    let keyswitch = |lookup: &Lookup| {
        let (_, alone) = timed(|| lookup.keyswitch.switch(std::slice::from_ref(&lwe)));
        let (_, full) = timed(|| lookup.keyswitch.switch(&batch));
        Batched { alone, full: full / BATCH as f64 }
    };
    let (compare_keyswitch, refresh_keyswitch) = (keyswitch(&key.compare), keyswitch(&key.refresh));
    let table = level_table(size, key.circuit.gadget());
    let mut alone = |rotation: &RotationKey, table: &Table| {
        timed(|| rotation.rotate(table, &[exponents(rotation, table, 0)], fourier, &mut scratch))
    };
    let (rotated, refresh) = alone(&key.refresh.rotation, &table);
    let full_refresh = full_batch(key, &key.refresh.rotation, &table);
    let compare = [Resolution::Standard, Resolution::Fine, Resolution::Finest].map(|resolution| {
        let table = comparison_table(size, resolution);
        let (_, alone) = alone(&key.compare.rotation, &table);
        Batched { alone, full: full_batch(key, &key.compare.rotation, &table) }
    });
    let of_one = comparison_table(size, Resolution::Standard);
    let (_, lone_table) = alone(&raw.rotation, &of_one);
    let full_table = full_batch(key, &raw.rotation, &of_one);
    let samples = Glwe::trivial(&(0..raw.fourier.size() as u64).map(scatter).collect::<Vec<_>>());
    let correlation = Correlator::new(samples.size(), RawSpec::default().product_log2)
        .map_or(0.0, |correlator| timed(|| correlator.autocorrelation(&samples, 0, raw)).1);
    let (_, trace) = timed(|| key.circuit.trace(&rotated[0], fourier, &mut scratch));
    let (bit, conversion) = timed(|| key.circuit.selector(&rotated[0], fourier, &mut scratch));
    let (_, gates) = timed(|| (0..16).fold(glwe.clone(), |x, _| bit.cmux(&x, &rotated[0], fourier, &mut scratch)));
    let mut transformed = Glwe::zero(size).as_slice().iter().map(|_| Default::default()).collect::<Vec<_>>();
    let transformed = &mut transformed[..size / 2];
    let (_, transforms) = timed(|| {
        for _ in 0..32 {
            fourier.forward_torus(glwe.body(), transformed, &mut scratch);
        }
    });
    let transform = transforms / 32.0;
    let mut kernel = LinearKernel::new(size, QUERY.0, WEIGHT_BYTES);
    // A polynomial of weights is multiplied with a mask and a body.
    let products = 2.0 * kernel.bytes() as f64 / sordino_model::layout::fourier_bytes(size) as f64;
    let product = timed(|| kernel.run()).1.min(timed(|| kernel.run()).1) / products;
    let query = vec![7; seeded::seeded_len(QUERY.0, size, QUERY.1)];
    let (_, read) = timed(|| expansion::expand(&query, QUERY.0, size, QUERY.1));
    let (written, write) = timed(|| reply(key, &glwe, &rotated[0]));
    Timings {
        threads: rayon::current_num_threads(),
        // The query was read on all threads.
        read: read * rayon::current_num_threads() as f64 / query.len() as f64,
        // Its transforms and products are counted as such.
        write: (write - 5.0 * transform - 2.0 * product).max(0.0) / written as f64,
        product,
        transform,
        gate: gates / 16.0,
        conversion,
        ring_keyswitch: trace / f64::from(size.ilog2()),
        compare_keyswitch,
        refresh_keyswitch,
        refresh: Batched { alone: refresh, full: full_refresh },
        compare,
        table: Batched { alone: lone_table, full: full_table },
        correlation,
        batch: BATCH,
    }
}

/// Writes a ciphertext of scores as a reply does, all coefficients of it; returns how many bytes that gave.
fn reply(key: &ServerKey, scores: &Glwe, zero_key: &Glwe) -> usize {
    let fourier = &key.fourier;
    let (mut out, mut random, mut bytes) = (scores.clone(), Random::new([1; SEED_BYTES], 0), Vec::new());
    let zero_key = ZeroKey::new(zero_key, fourier);
    zero_key.rerandomise(&mut out, key.parameters(), &mut random, fourier, &mut fourier.scratch());
    random.add_noise(key.parameters().glwe_noise_log2, out.body_mut());
    out.body_mut().iter_mut().for_each(|x| *x = x.wrapping_add(random.below(1 << 40)));
    pack(out.as_slice().iter().copied(), 24, &mut bytes);
    bytes.len()
}

/// Seconds of one rotation of a full batch, while all threads are rotating one.
fn full_batch(key: &ServerKey, rotation: &RotationKey, table: &Table) -> f64 {
    let count = (BATCH / table.extension()).max(1);
    let batch: Vec<Exponents> = (0..count).map(|c| exponents(rotation, table, c)).collect();
    let times = (0..rayon::current_num_threads())
        .into_par_iter()
        .map(|_| timed(|| rotation.rotate(table, &batch, &key.fourier, &mut key.fourier.scratch())).1 / count as f64);
    // Threads that share a core finish at different times; their mean is what a query sees.
    let times: Vec<f64> = times.collect();
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

/// Any powers will do; how even they are decides what a finer resolution takes, so they are random.
fn exponents(rotation: &RotationKey, table: &Table, seed: usize) -> Exponents {
    let mut words = vec![0; rotation.bits() + 1];
    Random::new([2; SEED_BYTES], seed as u64).uniform(&mut words);
    Exponents::new(words.into_iter().map(|word| (word >> (64 - table.modulus_log2())) as u32))
}

/// Multiplies by the golden ratio: neighbours end far apart.
fn scatter(i: u64) -> u64 {
    (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Runs `f` and says how many seconds it took; what it returns is not optimised away.
fn timed<T>(f: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let value = std::hint::black_box(f());
    (value, start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::INSECURE_N512;

    #[test]
    fn a_machine_is_measured_without_a_secret() {
        let timings =
            calibrate(&INSECURE_N512, 1, |fraction| assert!(fraction <= 1.0)).expect("random bytes are a key");
        assert!(timings.is_sound() && timings.gate > 0.0 && timings.product > 0.0, "{timings}");
    }
}
