//! The encrypted front beside the same front on plain integers, and its noise beside the formulas.

use std::sync::{Arc, LazyLock};

use sordino_model::Resolution;
use sordino_model::raw::{RawFront, RawRows, RawSpec};
use tfhe::core_crypto::prelude::*;

use super::{Keys, REAL, Random, SMALL, TORUS};
use crate::SecretKey;
use crate::bootstrap::evaluator::Evaluator;
use crate::decision::tournament::EncryptedTournament;
use crate::params::{INSECURE_SAMPLES_N512, ParameterSet, SAMPLES};
use crate::raw::{RawClient, RawKey, RawMachine, RawNoise, RawServerKey};
use crate::ring::glwe::{Lwe, difference};

/// A key of samples beside a key of comparisons.
struct Ears {
    samples: Arc<SecretKey>,
    raw: RawServerKey,
}

impl Ears {
    fn new(parameters: &'static ParameterSet, keys: &Keys, seed: u64) -> Self {
        let samples = Arc::new(SecretKey::generate_from_insecure_seed(parameters, seed));
        let raw = RawKey::generate_from_insecure_seed(&samples, &keys.secret, seed).unwrap().expand(&keys.server);
        Self { samples, raw }
    }

    fn phase(&self, lwe: &Lwe) -> u64 {
        decrypt_lwe_ciphertext(&self.samples.glwe().as_lwe_secret_key(), lwe).0
    }
}

static REAL_EARS: LazyLock<Ears> = LazyLock::new(|| Ears::new(&SAMPLES, &REAL, 8));

/// A front in which every band holds what coloured noise has in it.
fn front(spec: RawSpec) -> RawFront {
    let reference = vec![1.0; spec.bands];
    RawFront::mel(spec, &reference).unwrap()
}

fn small_spec() -> RawSpec {
    RawSpec { cell: 448, cells: 6, taps: 64, bands: 8, product_log2: 26, ..RawSpec::default() }
}

/// Noise whose loudness changes from cell to cell, with a spectrum that falls as that of music does.
fn sound(spec: &RawSpec, random: &mut Random<'_>) -> Vec<f32> {
    let mut before = 0.0;
    let sample = |i: usize| {
        let loudness = 1.0 + (i / spec.cell * 7 % 5) as f64;
        before = 0.9 * before + random.unit() * loudness;
        before as f32
    };
    (0..spec.query_samples()).map(sample).collect()
}

/// Measured variance of energies over that of the formula, over several queries.
fn energies(front: &RawFront, keys: &Keys, ears: &Ears, queries: u64) -> f64 {
    let machine = RawMachine::new(front, &ears.raw, &keys.server, 40).unwrap();
    let mut client = RawClient::new(ears.samples.clone(), front.spec().clone()).unwrap().with_insecure_seed(3);
    let noise = RawNoise::new(ears.samples.parameters(), keys.secret.parameters());
    let mut random = keys.random(11);
    let mut squares = Vec::new();
    for _ in 0..queries {
        let samples = front.spec().samples(&sound(front.spec(), &mut random)).unwrap();
        let found = machine.energies(&client.encrypt(&samples).unwrap()).unwrap();
        for (i, (found, clear)) in found.iter().zip(front.energies(&samples)).enumerate() {
            let expected = (clear as u64).wrapping_mul(1 << (64 - front.spec().product_log2));
            let error = ears.phase(found).wrapping_sub(expected) as i64 as f64;
            squares.push(error * error / noise.energy(front, i % front.spec().bands));
        }
    }
    squares.iter().sum::<f64>() / squares.len() as f64
}

#[test]
fn energies_are_as_noisy_as_the_formula_says() {
    let front = front(small_spec());
    // The formula takes the heaviest key, and a `k` of which no frequency is missing: measured is between a quarter and three quarters.
    for keys in SMALL.iter() {
        let ears = Ears::new(&INSECURE_SAMPLES_N512, keys, 5);
        let ratio = energies(&front, keys, &ears, 4);
        assert!((0.2..1.0).contains(&ratio), "{ratio}");
    }
    let real = self::front(RawSpec { cells: 5, ..RawSpec::default() });
    let ratio = energies(&real, &REAL, &REAL_EARS, 1);
    assert!((0.2..1.0).contains(&ratio), "{ratio}");
}

/// How many deviations an input of a table may be off.
const DEVIATIONS: f64 = 5.0;

#[test]
fn levels_and_differences_are_those_of_the_clear_front() {
    let spec = RawSpec { cells: 6, bands: 8, ..RawSpec::default() };
    let front = front(spec.clone());
    let unit_log2 = 54;
    let machine = RawMachine::new(&front, &REAL_EARS.raw, &REAL.server, unit_log2).unwrap();
    let mut client = RawClient::new(REAL_EARS.samples.clone(), spec.clone()).unwrap().with_insecure_seed(4);
    let samples = spec.samples(&sound(&spec, &mut REAL.random(12))).unwrap();
    let query = client.encrypt(&samples).unwrap();
    assert_eq!(query.len(), client.query_bytes());
    let noise = RawNoise::new(&SAMPLES, REAL.secret.parameters());
    let energy = f64::from(spec.product_log2).exp2() / TORUS;
    let decrypted = |lwe: &Lwe, unit: u64| (REAL.phase(lwe) as i64 as f64 / unit as f64).round() as i32;

    let (large, small) = machine.levels(&machine.energies(&query).unwrap());
    let mut levels = Vec::new();
    for (i, clear) in front.energies(&samples).into_iter().enumerate() {
        let off = (DEVIATIONS * noise.level(&front, i % spec.bands).sqrt() * energy) as i64;
        // One energy more or less decides nothing, but where the table turns round both ends are the same level.
        let bounds = [clear - off, clear, clear + off].map(|energy| front.levels().of_energy(energy));
        let found = decrypted(&large[i], machine.difference_unit());
        assert!(bounds.iter().min() <= Some(&found) && Some(&found) <= bounds.iter().max(), "{i}: {found}, {bounds:?}");
        assert_eq!(found, decrypted(&small[i], 1 << unit_log2), "{i}: the same index, of two tables");
        levels.push(found);
    }

    let pairs: Vec<(usize, usize)> = (spec.bands..levels.len()).map(|i| (i, i - spec.bands)).collect();
    let inputs = pairs.iter().map(|&(i, j)| difference(&large[i], &large[j])).collect();
    let step = 2.0 * machine.difference_unit() as f64;
    let most = (0.5 + DEVIATIONS * noise.difference().sqrt() / step) as i32;
    for (found, (i, j)) in machine.differences(inputs).iter().zip(pairs) {
        let clear = (levels[i] - levels[j]).abs() / 2;
        assert!((decrypted(found, 1 << unit_log2) - clear).abs() <= most, "{i}: {clear} to within {most}");
    }
}

#[test]
fn a_sound_is_named_by_its_rows() {
    let spec = RawSpec { cells: 6, bands: 6, ..RawSpec::default() };
    let front = front(spec.clone());
    let (unit_log2, count) = (45, 12);
    let machine = RawMachine::new(&front, &REAL_EARS.raw, &REAL.server, unit_log2).unwrap();
    let evaluator = Evaluator::new(&REAL.server, Resolution::Standard);
    let mut client = RawClient::new(REAL_EARS.samples.clone(), spec.clone()).unwrap().with_insecure_seed(6);
    // Sounds of different colours, and for each a row that is highest where its features are: |x - m|^2 less |x|^2, halved.
    let mut random = REAL.random(13);
    let mut sounds: Vec<Vec<i32>> = Vec::new();
    for i in 0..count {
        let mut before = 0.0;
        let colour = i as f64 / count as f64 * 1.9 - 0.95;
        let coloured = (0..spec.query_samples()).map(|at| {
            before = colour * before + random.unit() * (1.0 + (at / spec.cell * (i + 1) % 4) as f64);
            before as f32
        });
        sounds.push(spec.samples(&coloured.collect::<Vec<f32>>()).unwrap());
    }
    let features: Vec<Vec<i64>> = sounds.iter().map(|samples| front.features(samples)).collect();
    let weights = features.iter().flatten().map(|&x| x as i16).collect();
    let biases = features.iter().map(|f| -f.iter().map(|x| x * x).sum::<i64>() / 2).collect();
    let rows = RawRows::new(&spec, weights, biases).unwrap();
    for (i, (samples, clear)) in sounds.iter().zip(&features).enumerate().step_by(5) {
        let (found, _) = machine.features(&client.encrypt(samples).unwrap()).unwrap();
        let scores = rows.scores(clear);
        let best = (0..count).max_by_key(|&row| scores[row]).unwrap();
        assert_eq!(best, i);
        // A quarter of the torus holds the largest difference of two scores.
        let difference = (scores.iter().max().unwrap() - scores.iter().min().unwrap()) as u64;
        assert!(difference << unit_log2 < 1 << 62, "{difference}");
        let candidates = machine.scores(&found, &rows).into_iter().map(Some).collect();
        let played = EncryptedTournament::play(&evaluator, candidates, 0).unwrap();
        assert_eq!(REAL.position(&evaluator, &played.index(&evaluator, None).0), i);
    }
}

#[test]
fn tables_are_as_noisy_as_the_formula_says() {
    let front = front(RawSpec { cells: 6, bands: 8, ..RawSpec::default() });
    let machine = RawMachine::new(&front, &REAL_EARS.raw, &REAL.server, 54).unwrap();
    let inputs: Vec<Lwe> = (0..64).map(|i| REAL.random(i).encrypt(0.001 * i as f64)).collect();
    let unit = 1i64 << 54;
    let squares: f64 = machine
        .differences(inputs)
        .iter()
        .map(|lwe| {
            let phase = REAL.phase(lwe) as i64;
            let error = (phase - (phase + unit / 2).div_euclid(unit) * unit) as f64;
            error * error
        })
        .sum();
    let ratio = squares / 64.0 / RawNoise::new(&SAMPLES, REAL.secret.parameters()).table();
    assert!((0.4..1.5).contains(&ratio), "{ratio}");
}

#[test]
fn features_are_sums_of_what_is_looked_up() {
    let spec = RawSpec { cells: 6, bands: 4, ..RawSpec::default() };
    let front = front(spec.clone());
    let machine = RawMachine::new(&front, &REAL_EARS.raw, &REAL.server, 54).unwrap();
    let mut client = RawClient::new(REAL_EARS.samples.clone(), spec.clone()).unwrap().with_insecure_seed(5);
    let samples = spec.samples(&sound(&spec, &mut REAL.random(14))).unwrap();
    let query = client.encrypt(&samples).unwrap();
    let (found, work) = machine.features(&query).unwrap();
    assert_eq!((found.len(), work.rotations), (spec.width(), 4 * 6 + spec.tables()));
    let noise = RawNoise::new(&SAMPLES, REAL.secret.parameters());
    let energy = f64::from(spec.product_log2).exp2() / TORUS;
    // Least and largest level that noise can make of every energy.
    let reach = front.energies(&samples).into_iter().enumerate().map(|(i, clear)| {
        let off = (DEVIATIONS * noise.level(&front, i % spec.bands).sqrt() * energy) as i64;
        let levels = [clear - off, clear, clear + off].map(|energy| front.levels().of_energy(energy));
        (i64::from(*levels.iter().min().unwrap()), i64::from(*levels.iter().max().unwrap()))
    });
    let reach: Vec<(i64, i64)> = reach.collect();
    let at = |cell: usize, band: usize| reach[cell * spec.bands + band];
    let mut bounds: Vec<(i64, i64)> = (0..spec.bands)
        .map(|b| (0..spec.cells).map(|c| at(c, b)).fold((0, 0), |sum, (l, h)| (sum.0 + l, sum.1 + h)))
        .collect();
    for &lag in &spec.lags {
        bounds.extend((0..spec.bands).map(|b| {
            (lag..spec.cells).fold((0, 0), |sum, c| {
                let ((low, high), (other_low, other_high)) = (at(c, b), at(c - lag, b));
                // One more or less where the difference itself is misread.
                let least = ((low - other_high).max(other_low - high).max(0) / 2 - 1).max(0);
                (sum.0 + least, sum.1 + (high - other_low).max(other_high - low) / 2 + 1)
            })
        }));
    }
    for (i, (found, (least, most))) in found.iter().zip(bounds).enumerate() {
        let value = (REAL.phase(found) as i64 as f64 / 54f64.exp2()).round() as i64;
        assert!((least..=most).contains(&value), "{i}: {value}, expected {least} to {most}");
    }
    assert!(machine.features(&query[1..]).is_err());
    assert!(client.encrypt(&samples[1..]).is_err());
}
