//! The noise of every operation, measured on several keys against its formula in [`crate::noise::formula`].
//!
//! Each test states the ratio of measured to predicted variance that it accepts. Formulas use an upper bound on the weight of
//! the key (1,262 of 2,048 where 1,024 are expected) and an upper estimate of rounding in the Fourier domain, so ratios are
//! expected below 1 by as much as these matter; above 1 only by sampling error.

use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::cost::WeightForm;
use sordino_model::layout::{IndexLayout, Packing, SEED_BYTES};
use sordino_model::stage::{Hierarchy, Stage};
use tfhe::core_crypto::prelude::*;

use crate::keys::secret::SecretKey;
use crate::linear::LinearStage;
use crate::noise::formula::Noise;
use crate::params::{ParameterSet, STANDARD};
use crate::ring::fourier::Fourier;
use crate::ring::glwe::Glwe;
use crate::ring::random::Random;
use crate::ring::zero_key::ZeroKey;
use crate::scores::client::bit_plaintexts;
use crate::scores::{Client, Plan, PlannerOptions, Server, TripPlan, select};
use crate::wire::encoding::Encoding;
use crate::wire::{expansion, seeded};

const KEYS: u64 = 3;

fn key(seed: u64) -> SecretKey {
    SecretKey::generate_from_insecure_seed(&STANDARD, seed)
}

fn phase(key: &SecretKey, glwe: &Glwe) -> Vec<u64> {
    let pad = key.times(&Polynomial::from_container(glwe.mask()));
    glwe.body().iter().zip(pad).map(|(b, p)| b.wrapping_sub(p)).collect()
}

/// Encrypts polynomials and reads them back as the server does.
fn sent(key: &SecretKey, plaintexts: &[u64], body_bits: u32, seed: u64) -> Vec<Glwe> {
    let mut bytes = Vec::new();
    seeded::encrypt(key, plaintexts, body_bits, &mut Random::new([seed as u8; SEED_BYTES], 0), &mut bytes);
    let ring = key.parameters().ring();
    expansion::expand(&bytes, plaintexts.len() / ring, ring, body_bits)
}

/// Mean square of differences on the torus.
#[derive(Default)]
struct Sample {
    sum: f64,
    count: usize,
}

impl Sample {
    fn add(&mut self, errors: impl IntoIterator<Item = u64>) {
        for error in errors {
            self.sum += (error as i64 as f64).powi(2);
            self.count += 1;
        }
    }

    fn ratio(&self, predicted: f64) -> f64 {
        self.sum / self.count as f64 / predicted
    }
}

#[track_caller]
fn assert_ratio(what: &str, ratio: f64, low: f64, high: f64) {
    println!("{what}: measured / predicted variance {ratio:.3}");
    assert!((low..=high).contains(&ratio), "{what}: measured / predicted variance {ratio}, expected {low} to {high}");
}

fn uniform(seed: u8, count: usize) -> Vec<u64> {
    let mut out = vec![0; count];
    Random::new([seed; SEED_BYTES], 0).uniform(&mut out);
    out
}

fn parameters() -> &'static ParameterSet {
    &STANDARD
}

#[test]
fn sent_ciphertexts() {
    let (ring, noise) = (parameters().ring(), Noise::new(parameters()));
    for body_bits in [64, 48, 46, 36] {
        let mut sample = Sample::default();
        for seed in 0..KEYS {
            let key = key(seed);
            let plaintexts = uniform(seed as u8, 4 * ring);
            for (glwe, plaintext) in sent(&key, &plaintexts, body_bits, seed).iter().zip(plaintexts.chunks(ring)) {
                sample.add(phase(&key, glwe).iter().zip(plaintext).map(|(p, m)| p.wrapping_sub(*m)));
            }
        }
        assert_ratio(&format!("sent, {body_bits} bits"), sample.ratio(noise.sent(body_bits)), 0.95, 1.05);
    }
}

/// A stage of one output ciphertext whose weights are `weight` in absolute value, of one sign or of random ones.
fn stage(outputs: usize, width: usize, weight: i8, one_sign: bool) -> Stage {
    let signs = uniform(99, outputs * width);
    let weights = signs.iter().map(|sign| if one_sign || sign % 2 == 0 { weight } else { -weight }).collect();
    let input = VectorBound { width, max_abs: 1, norm_squared: width as u64 };
    Stage::new(outputs, input, weights, vec![0; outputs], vec![outputs]).unwrap()
}

#[test]
fn linear_stages() {
    let (ring, noise) = (parameters().ring(), Noise::new(parameters()));
    let fourier = Fourier::new(ring);
    // The formula bounds rounding in the Fourier domain for weights of one sign; for others it is loose wherever that matters.
    let cases = [
        (256, 32, 8, 31, false, 36, 0.85),
        (2000, 5, 1, 127, false, 32, 0.85),
        (2000, 5, 1, 127, false, 40, 0.4),
        (512, 16, 4, 31, false, 64, 0.001),
        (2000, 5, 1, 127, true, 64, 0.02),
    ];
    for (outputs, width, features, weight, one_sign, body_bits, low) in cases {
        let stage = stage(outputs, width, weight, one_sign);
        let packing = Packing::new(ring, features, stage.shape()).unwrap();
        let encoding = Encoding::new(stage.score_bound());
        let linear = LinearStage::new(&stage, packing, encoding, WeightForm::default(), &fourier);
        let norm = (outputs * width) as u64 * (i64::from(weight) * i64::from(weight)) as u64;
        let mut sample = Sample::default();
        for seed in 0..3 * KEYS {
            let key = key(seed);
            let query = sent(&key, &vec![0; packing.inputs() * ring], body_bits, seed);
            let scores = linear.evaluate(&LinearStage::transform(&query, &fourier), &fourier);
            scores.iter().for_each(|glwe| sample.add(phase(&key, glwe)));
        }
        let ratio = sample.ratio(noise.linear(body_bits, norm));
        assert_ratio(&format!("linear, {body_bits} bits, one sign {one_sign}"), ratio, low, 1.15);
    }
}

#[test]
fn products_through_the_fourier_domain() {
    let ring = parameters().ring();
    let fourier = Fourier::new(ring);
    let stage = stage(256, 32, 31, false);
    let packing = Packing::new(ring, 8, stage.shape()).unwrap();
    let encoding = Encoding::new(stage.score_bound());
    let linear = LinearStage::new(&stage, packing, encoding, WeightForm::default(), &fourier);
    let integers = LinearStage::new(&stage, packing, encoding, WeightForm::Integers, &fourier);
    assert!(linear.bytes() >= 8 * integers.bytes(), "whole tiles are kept");
    let mut query: Vec<Glwe> = (0..packing.inputs()).map(|_| Glwe::zero(ring)).collect();
    for (j, glwe) in query.iter_mut().enumerate() {
        glwe.as_mut_slice().copy_from_slice(&uniform(j as u8, 2 * ring));
    }
    let transformed = LinearStage::transform(&query, &fourier);
    let computed = linear.evaluate(&transformed, &fourier);
    assert_eq!(integers.evaluate(&transformed, &fourier), computed, "the same products, bit for bit");
    let mut exact = Polynomial::new(0u64, PolynomialSize(ring));
    for (j, glwe) in query.iter().enumerate() {
        let mut weights = Polynomial::new(0u64, PolynomialSize(ring));
        for slot in 0..stage.outputs() {
            for i in (0..stage.input().width).filter(|&i| packing.feature(i).0 == j) {
                let (at, negative) = packing.weight(i, packing.place(0, slot).coefficient);
                let weight = i64::from(stage.row(0, slot)[i]) as u64;
                weights[at] = if negative { weight.wrapping_neg() } else { weight };
            }
        }
        let mut product = Polynomial::new(0u64, PolynomialSize(ring));
        let body = Polynomial::from_container(glwe.body());
        polynomial_algorithms::polynomial_wrapping_mul(&mut product, &body, &weights);
        polynomial_algorithms::polynomial_wrapping_add_assign(&mut exact, &product);
    }
    let mut sample = Sample::default();
    sample.add(computed[0].body().iter().zip(exact.as_ref()).map(|(c, e)| c.wrapping_sub(*e)));
    let norm = 256.0 * 32.0 * 31.0 * 31.0;
    assert_ratio("Fourier", sample.ratio(Noise::new(parameters()).fourier_coefficient(norm)), 0.1, 1.0);
}

/// The Fourier GGSW encryption of one bit.
fn encrypted_bit(
    key: &SecretKey,
    bit: bool,
    index: IndexLayout,
    seed: u64,
    fourier: &Fourier,
) -> Vec<crate::ring::ggsw::Ggsw> {
    let rows = bit_plaintexts(bit, index, key);
    select::transform(&sent(key, &rows, index.body_bits, seed), index, fourier)
}

#[test]
fn gates() {
    let (ring, noise) = (parameters().ring(), Noise::new(parameters()));
    let fourier = Fourier::new(ring);
    let mut scratch = fourier.scratch();
    let layouts = [(15, 2, 46), (13, 2, 39), (9, 4, 43), (23, 1, 64), (10, 3, 36)];
    for (base_log, levels, body_bits) in layouts {
        let index = IndexLayout { base_log, levels, body_bits };
        for bit in [false, true] {
            let mut sample = Sample::default();
            for seed in 0..KEYS {
                let key = key(seed);
                let ggsw = &encrypted_bit(&key, bit, index, seed, &fourier)[0];
                // The key's mean of 1/2 makes the coefficients of a product with it depend on each other: many inputs are needed.
                for input in 0..16 {
                    let inputs = [0, 1].map(|s| {
                        let mut glwe = Glwe::zero(ring);
                        glwe.as_mut_slice().copy_from_slice(&uniform(2 * input + s + 50 * seed as u8, 2 * ring));
                        glwe
                    });
                    let out = ggsw.cmux(&inputs[0], &inputs[1], &fourier, &mut scratch);
                    let expected = phase(&key, &inputs[usize::from(bit)]);
                    sample.add(phase(&key, &out).iter().zip(expected).map(|(o, e)| o.wrapping_sub(e)));
                }
            }
            let ratio = sample.ratio(noise.gate(index));
            // A bit of 0 multiplies the rounding of the digits by 0.
            assert_ratio(
                &format!("gate {base_log} x {levels}, {body_bits} bits, {bit}"),
                ratio,
                if bit { 0.3 } else { 0.001 },
                1.1,
            );
        }
    }
}

#[test]
fn encryptions_of_zero() {
    let (ring, noise) = (parameters().ring(), Noise::new(parameters()));
    let fourier = Fourier::new(ring);
    for key_bits in [64, 40, 25] {
        let mut sample = Sample::default();
        for seed in 0..KEYS {
            let key = key(seed);
            let zero_key = ZeroKey::new(&sent(&key, &vec![0; ring], key_bits, seed)[0], &fourier);
            for stream in 0..3 {
                let mut out = Glwe::zero(ring);
                let mut random = Random::new([seed as u8; SEED_BYTES], stream);
                zero_key.rerandomise(&mut out, parameters(), &mut random, &fourier, &mut fourier.scratch());
                sample.add(phase(&key, &out));
            }
        }
        // The fresh noise of the body is missing here: it is added where the scores are picked.
        assert_ratio(&format!("zero, {key_bits} bits"), sample.ratio(noise.zero(key_bits)), 0.4, 1.1);
    }
}

#[test]
fn whole_trips() {
    let outputs = 100;
    let weights =
        |groups: usize, width: usize| (0..groups * outputs * width).map(|i| (i * 31 % 63) as i8 - 31).collect();
    let input = VectorBound { width: 12, max_abs: 31, norm_squared: 5_000 };
    let first = Stage::new(outputs, input, weights(1, 12), vec![0; outputs], vec![outputs]).unwrap();
    let last =
        Stage::new(outputs, input, weights(outputs, 12), vec![9; outputs * outputs], vec![outputs; outputs]).unwrap();
    let hierarchy = Hierarchy::new(vec![first, last]).unwrap();
    let plan = Plan::routed(parameters(), &hierarchy, 1, PlannerOptions::default()).unwrap();
    // Without flooding, and with score units small enough that a decoded score shows the noise itself.
    let quiet = plan.trips().iter().map(|trip| TripPlan { flood: 0, score_bound: 1 << 45, ..*trip });
    let quiet = Plan::new(parameters(), quiet.collect()).unwrap();
    let unit = quiet.trips()[1].encoding().delta() as f64;
    let server = Server::of_any_plan(ModelHash([1; 32]), &hierarchy, quiet.clone(), WeightForm::default()).unwrap();
    for trip in 0..2 {
        let mut sample = Sample::default();
        for seed in 0..KEYS {
            let key = key(seed);
            let model = ModelHash([1; 32]);
            let client = Client::of_any_plan(key, quiet.clone(), model, hierarchy.shape()).unwrap();
            let mut client = client.with_insecure_seed(seed);
            for query in 0..6 {
                let groups = if trip == 0 { vec![] } else { vec![(query * 17 + 5) % outputs] };
                let reply = server.answer(&client.query(trip, &[0; 12], &groups).unwrap()).unwrap();
                for scores in client.scores(trip, &reply, &groups).unwrap() {
                    let bias = if trip == 0 { 0 } else { 9 };
                    sample.add(scores.iter().map(|score| (score - bias) as u64));
                }
            }
        }
        let predicted = quiet.trips()[trip].noise(parameters()).variance() / unit / unit;
        assert_ratio(&format!("trip {trip}"), sample.ratio(predicted), 0.5, 1.1);
    }
}
