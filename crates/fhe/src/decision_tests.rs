//! Encrypted decisions against clear ones, and every noise formula against what is measured, on several keys.

use std::sync::LazyLock;

use sordino_model::Draw;
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use crate::argmax::Bracket;
use crate::blind_rotation::Table;
use crate::circuit_bootstrap::level_table;
use crate::evaluator::Evaluator;
use crate::gadget::Ggsw;
use crate::glwe::{Glwe, Lwe};
use crate::margin::{Contest, DecisionNoise};
use crate::params::{INSECURE_N512, ParameterSet, STANDARD};
use crate::{DecisionGadgets, EvaluationKey, Resolution, SecretKey, ServerKey};

const TORUS: f64 = 18_446_744_073_709_551_616.0;
/// What a measured variance may be of its formula for a key of the same weight.
const TOLERANCE: std::ops::Range<f64> = 0.7..1.3;

struct Keys {
    secret: SecretKey,
    server: ServerKey,
}

impl Keys {
    fn new(parameters: &'static ParameterSet, seed: u128) -> Self {
        let secret = SecretKey::generate_from_seed(parameters, Seed(seed));
        let server = EvaluationKey::generate_from_insecure_seed(&secret, seed as u8, |_| {}).expand();
        Self { secret, server }
    }

    fn random(&self, seed: u128) -> Random<'_> {
        let mut seeder = DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(seed));
        let generator = EncryptionRandomGenerator::new(seeder.seed(), &mut seeder);
        Random { keys: self, generator, state: seed as u64 }
    }

    /// The formulas for this key.
    fn noise(&self) -> DecisionNoise {
        let weight = |bits: &[u64]| bits.iter().sum::<u64>() as f64;
        let noise = DecisionNoise::new(self.secret.parameters(), Resolution::Standard);
        noise.with_weights(weight(self.secret.glwe().as_ref()), weight(self.secret.lwe().as_ref()))
    }

    fn phase(&self, lwe: &Lwe) -> u64 {
        decrypt_lwe_ciphertext(&self.secret.glwe().as_lwe_secret_key(), lwe).0
    }

    fn phases(&self, glwe: &Glwe) -> Vec<u64> {
        let mut out = PlaintextList::new(0, PlaintextCount(glwe.size()));
        decrypt_glwe_ciphertext(self.secret.glwe(), &glwe.as_tfhe(), &mut out);
        out.into_container()
    }

    fn small_phase(&self, lwe: &[u32]) -> u32 {
        let (mask, body) = lwe.split_at(lwe.len() - 1);
        let bits = self.secret.lwe().as_ref();
        mask.iter().zip(bits).fold(body[0], |sum, (a, s)| sum.wrapping_sub(a.wrapping_mul(*s as u32)))
    }

    fn bit(&self, evaluator: &Evaluator<'_>, bit: &Ggsw) -> bool {
        let one = Glwe::trivial(&vec![1 << 62; evaluator.size()]);
        let phase = self.phase(&evaluator.gate(bit, &[one])[0].extract(0));
        phase.wrapping_add(1 << 61) >> 62 == 1
    }

    fn position(&self, evaluator: &Evaluator<'_>, bits: &[Ggsw]) -> usize {
        bits.iter().fold(0, |position, bit| 2 * position + usize::from(self.bit(evaluator, bit)))
    }
}

struct Random<'a> {
    keys: &'a Keys,
    generator: EncryptionRandomGenerator<DefaultRandomGenerator>,
    state: u64,
}

impl Random<'_> {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform on `[-1, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() as i64) as f64 / (TORUS / 2.0)
    }

    fn encrypt(&mut self, phase: f64) -> Lwe {
        let key = self.keys.secret.glwe().as_lwe_secret_key();
        let noise = self.keys.secret.parameters().glwe_noise();
        let plaintext = Plaintext((phase * TORUS) as i64 as u64);
        let modulus = CiphertextModulus::new_native();
        allocate_and_encrypt_new_lwe_ciphertext(&key, plaintext, noise, modulus, &mut self.generator)
    }
}

static SMALL: LazyLock<Vec<Keys>> = LazyLock::new(|| (0..5).map(|i| Keys::new(&INSECURE_N512, 100 * i)).collect());
static REAL: LazyLock<Keys> = LazyLock::new(|| Keys::new(&STANDARD, 7));

/// Mean square of signed torus elements.
fn variance(errors: impl IntoIterator<Item = u64>) -> f64 {
    let squares: Vec<f64> = errors.into_iter().map(|e| (e as i64 as f64).powi(2)).collect();
    squares.iter().sum::<f64>() / squares.len() as f64
}

/// Of few independent `samples`, the mean square may be off by four standard deviations more.
fn assert_close(what: &str, measured: f64, formula: f64, samples: usize) {
    let (ratio, few) = (measured / formula, 4.0 * (2.0 / samples as f64).sqrt());
    let (low, high) = (TOLERANCE.start - few, TOLERANCE.end + few);
    assert!(ratio > low && ratio < high, "{what}: {ratio:.3} of the formula, expected {low:.2} to {high:.2}");
}

/// Candidates of which `winner` leads by `margin`, all within `spread` of each other, as fractions of the torus.
fn planted(random: &mut Random<'_>, count: usize, winner: usize, margin: f64, spread: f64) -> Vec<f64> {
    let top = spread / 2.0;
    (0..count)
        .map(|i| if i == winner { top } else { top - margin - (random.unit() + 1.0) / 2.0 * (spread - margin) })
        .collect()
}

fn check_tournament(keys: &Keys, resolution: Resolution, occupied: &[bool], seed: u128) {
    let evaluator = Evaluator::new(&keys.server, resolution);
    let noise = DecisionNoise::new(keys.secret.parameters(), resolution);
    let contest = Contest { draw: Draw::new(occupied.to_vec()), input: 0.0 };
    let mut random = keys.random(seed);
    let margin = contest.margin(&noise, -40.0) / TORUS;
    let spread = 0.25 - contest.slack(&noise, -40.0) / TORUS;
    let taken: Vec<usize> = (0..occupied.len()).filter(|&i| occupied[i]).collect();
    let winner = taken[random.next() as usize % taken.len()];
    let values = planted(&mut random, occupied.len(), winner, margin, spread);
    let candidates: Vec<Option<Lwe>> =
        values.iter().zip(occupied).map(|(&value, &occupied)| occupied.then(|| random.encrypt(value))).collect();
    let floor = (-spread / 2.0 * TORUS) as i64 as u64;
    let bracket = Bracket::play(&evaluator, candidates, floor).expect("somebody is there");
    let bits = bracket.index(&evaluator);
    let counts = evaluator.counts();
    assert_eq!(keys.position(&evaluator, &bits), winner, "{} candidates, seed {seed}", taken.len());
    let error = keys.phase(bracket.winner()) as i64 as f64 / TORUS - spread / 2.0;
    assert!(error.abs() < margin, "the winner's score is off by {error}, expected below {margin}");
    let mut priced = contest.draw.play();
    priced += contest.draw.read();
    assert_eq!(counts, priced, "steps as priced");
}

#[test]
fn tournaments_find_whoever_leads_by_the_margin() {
    for (k, keys) in SMALL.iter().enumerate() {
        for (t, count) in [1, 2, 3, 5, 8, 13, 40].into_iter().enumerate() {
            check_tournament(keys, Resolution::Standard, &vec![true; count], (1000 * k + t) as u128);
        }
    }
}

#[test]
fn tournaments_skip_empty_positions() {
    let mut random = SMALL[0].random(3);
    for seed in 0..12 {
        let mut occupied: Vec<bool> = (0..21).map(|_| random.next().is_multiple_of(3)).collect();
        occupied[20] = true;
        check_tournament(&SMALL[seed % 5], Resolution::Standard, &occupied, 50 + seed as u128);
    }
}

#[test]
fn finer_resolutions_decide_finer_margins() {
    for (i, resolution) in [Resolution::Fine, Resolution::Finest].into_iter().enumerate() {
        for (k, keys) in SMALL.iter().enumerate() {
            check_tournament(keys, resolution, &[true; 11], (10 * k + i) as u128);
        }
    }
    let margin = |resolution| {
        let noise = DecisionNoise::new(&STANDARD, resolution);
        Contest { draw: Draw::new(vec![true; 158]), input: 0.0 }.margin(&noise, -40.0)
    };
    assert!(margin(Resolution::Fine) < 0.6 * margin(Resolution::Standard));
}

#[test]
fn the_tournament_without_its_winner_finds_the_next() {
    for (k, keys) in SMALL.iter().enumerate() {
        let evaluator = Evaluator::new(&keys.server, Resolution::Standard);
        let mut random = keys.random(77 + k as u128);
        // Places 4, 9 and 2 lead by a tenth of the domain each; the others trail far behind, some positions are empty.
        let values: Vec<Option<f64>> = (0..13)
            .map(|i| match i {
                4 => Some(0.1),
                9 => Some(0.06),
                2 => Some(0.02),
                5 | 7 => None,
                _ => Some(-0.05 + 0.03 * random.unit()),
            })
            .collect();
        let candidates = values.iter().map(|v| v.map(|v| random.encrypt(v))).collect();
        let floor = (-0.1 * TORUS) as i64 as u64;
        let mut bracket = Bracket::play(&evaluator, candidates, floor).expect("somebody is there");
        let mut found = Vec::new();
        let draw = Draw::new(values.iter().map(Option::is_some).collect());
        for _ in 0..3 {
            let before = evaluator.counts();
            let bits = bracket.index(&evaluator);
            bracket = bracket.without(&evaluator, &bits);
            let mut priced = before;
            priced += draw.read();
            priced += draw.replay();
            assert_eq!(evaluator.counts(), priced, "steps as priced");
            found.push(keys.position(&evaluator, &bits));
        }
        assert_eq!(found, [4, 9, 2], "key {k}");
    }
}

#[test]
fn at_the_standard_parameters_too() {
    check_tournament(&REAL, Resolution::Standard, &[true; 5], 1);
    measure_comparison(&REAL, 24);
    measure_rotation(&REAL);
    measure_selectors(&[&REAL], 3);
}

#[test]
fn noise_is_what_the_formulas_say() {
    for keys in SMALL.iter() {
        measure_comparison(keys, 400);
        measure_rotation(keys);
    }
    measure_selectors(&SMALL.iter().collect::<Vec<_>>(), 24);
}

/// Keyswitch, modulus switch.
fn measure_comparison(keys: &Keys, count: usize) {
    let noise = keys.noise();
    let mut random = keys.random(11);
    let inputs: Vec<Lwe> = (0..count)
        .map(|_| {
            let phase = random.unit() / 2.0;
            random.encrypt(phase)
        })
        .collect();
    let small = keys.server.keyswitch.switch(&inputs);
    let pairs = inputs.iter().zip(&small);
    let errors = pairs.map(|(input, small)| (u64::from(keys.small_phase(small)) << 32).wrapping_sub(keys.phase(input)));
    assert_close("keyswitch", variance(errors), noise.keyswitch(), count);

    for stride_log2 in [0, 2] {
        let table = Table::new(keys.server.fourier.size(), 0, stride_log2, |_| 0);
        let shift = 64 - table.modulus_log2();
        let half = 1u64 << (shift + stride_log2 - 1);
        let errors = small.iter().map(|small| {
            let index = table.exponents(small).phase(keys.secret.lwe().as_ref());
            // An index stands for the middle of its step.
            (index << shift).wrapping_add(half).wrapping_sub(u64::from(keys.small_phase(small)) << 32)
        });
        let formula = noise.modulus_switch(1.0, f64::from(1 << stride_log2));
        assert_close("modulus switch", variance(errors), formula, count);
    }
}

/// Both kinds of blind rotation, over all coefficients. A binary key has a mean of one half, through which the coefficients of one
/// rotation share much of their error: they count as few independent samples.
fn measure_rotation(keys: &Keys) {
    const INDEPENDENT: usize = 16;
    let noise = keys.noise();
    let (server, mut random) = (&keys.server, keys.random(12));
    let size = server.fourier.size();
    let gadgets = DecisionGadgets::STANDARD;
    for (what, key, gadget) in
        [("comparison", &server.compare, gadgets.compare), ("refresh", &server.refresh, gadgets.refresh)]
    {
        let table = Table::new(size, 0, 0, |index| (index as u64) << 40);
        let inputs: Vec<Lwe> =
            [-0.4, -0.2, -0.1, 0.01, 0.1, 0.3].into_iter().map(|phase| random.encrypt(phase)).collect();
        let exponents: Vec<_> = server.keyswitch.switch(&inputs).iter().map(|small| table.exponents(small)).collect();
        let rotated = key.rotate(&table, &exponents, &server.fourier, &mut server.fourier.scratch());
        let errors = exponents.iter().zip(&rotated).flat_map(|(exponents, rotated)| {
            let start = exponents.phase(keys.secret.lwe().as_ref()) as usize;
            keys.phases(rotated).into_iter().enumerate().map(move |(i, phase)| {
                let index = (start + i) % (2 * size);
                let expected = ((index % size) as u64) << 40;
                phase.wrapping_sub(if index < size { expected } else { expected.wrapping_neg() })
            })
        });
        assert_close(what, variance(errors), noise.rotation(gadget), INDEPENDENT * inputs.len());
    }
}

/// Gates driven by selectors of both bits, each in its window; the formula is for a set bit, whose gate also rounds.
fn measure_selectors(keys: &[&Keys], count: usize) {
    let mut ratios = Vec::new();
    for keys in keys {
        let (evaluator, noise) = (Evaluator::new(&keys.server, Resolution::Standard), keys.noise());
        let mut random = keys.random(13);
        for set in [false, true] {
            let phase = |random: &mut Random<'_>| (0.03 + 0.2 * random.unit().abs()) * if set { 1.0 } else { -1.0 };
            let inputs: Vec<Lwe> = (0..count)
                .map(|_| {
                    let phase = phase(&mut random);
                    random.encrypt(phase)
                })
                .collect();
            for bit in evaluator.selectors(&evaluator.signs(&inputs)) {
                // Ciphertexts whose other coefficients are full-size noise, as in a tournament's rounds.
                let ends = [0.1, -0.07].map(|phase| Glwe::embed(&random.encrypt(phase)));
                let chosen = evaluator.cmux(&bit, &[(&ends[0], &ends[1])]);
                let expected = keys.phases(&ends[usize::from(set)]);
                let errors = keys.phases(&chosen[0]).into_iter().zip(expected).map(|(x, y)| x.wrapping_sub(y));
                let ratio = variance(errors) / noise.gate();
                assert!(ratio < 9.0, "a selector is out of its window: {ratio:.1} times the formula");
                ratios.extend(set.then_some(ratio));
            }
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert_close("gate", mean, 1.0, ratios.len());
}

#[test]
fn evaluation_keys_survive_the_wire() {
    let secret = SecretKey::generate_from_seed(&INSECURE_N512, Seed(5));
    let key = EvaluationKey::generate(&secret, |_| {});
    let mut bytes = Vec::new();
    key.write(&mut bytes).expect("a vector takes all bytes");
    assert_eq!(bytes.len(), EvaluationKey::wire_bytes(&INSECURE_N512));
    let read = EvaluationKey::read(&mut bytes.as_slice()).expect("it was just written");
    let mut again = Vec::new();
    read.write(&mut again).expect("a vector takes all bytes");
    assert!(bytes == again, "a key that was read is written the same");
    for length in [0, 5, 9, 10, 25, 26, 100, bytes.len() - 1] {
        assert!(EvaluationKey::read(&mut &bytes[..length]).is_err(), "{length} bytes");
    }
    for byte in 0..10 {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 0x55;
        assert!(EvaluationKey::read(&mut damaged.as_slice()).is_err(), "byte {byte}");
    }
    let server = read.expand();
    let keys = Keys { secret, server };
    check_tournament(&keys, Resolution::Standard, &[true; 3], 1);
}

#[test]
fn level_tables_hold_half_weights() {
    let table = level_table(16, crate::Gadget::new(4, 3));
    assert_eq!(table.modulus_log2(), 5);
    assert_eq!(table.extension(), 1);
}
