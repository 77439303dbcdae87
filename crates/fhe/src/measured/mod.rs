//! Encrypted decisions against clear ones, and every noise formula against what is measured, on several keys.

mod decisions;
mod exact;
mod malicious;
mod raw;
mod scores;
mod tournaments;

use std::sync::LazyLock;

use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use crate::bootstrap::evaluator::Evaluator;
use crate::noise::decision::DecisionNoise;
use crate::params::{INSECURE_N512, ParameterSet, STANDARD};
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::{Glwe, Lwe};
use sordino_model::Resolution;

use crate::{EvaluationKey, SecretKey, ServerKey};

const TORUS: f64 = 18_446_744_073_709_551_616.0;

struct Keys {
    secret: SecretKey,
    server: ServerKey,
}

impl Keys {
    fn new(parameters: &'static ParameterSet, seed: u64) -> Self {
        let secret = SecretKey::generate_from_insecure_seed(parameters, seed);
        let server = EvaluationKey::generate_from_insecure_seed(&secret, seed, |_| {}).expand();
        Self { secret, server }
    }

    /// The same with a part for encrypted samples.
    fn hearing(parameters: &'static ParameterSet, seed: u64) -> Self {
        let secret = SecretKey::generate_from_insecure_seed(parameters, seed);
        let server = EvaluationKey::generate_for_samples_from_insecure_seed(&secret, seed).expand();
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
        noise.with_weights(
            weight(self.secret.glwe().as_ref()),
            weight(self.secret.compare()),
            weight(self.secret.refresh()),
        )
    }

    fn phase(&self, lwe: &Lwe) -> u64 {
        decrypt_lwe_ciphertext(&self.secret.glwe().as_lwe_secret_key(), lwe).0
    }

    fn phases(&self, glwe: &Glwe) -> Vec<u64> {
        let mut out = PlaintextList::new(0, PlaintextCount(glwe.size()));
        decrypt_glwe_ciphertext(self.secret.glwe(), &glwe.as_tfhe(), &mut out);
        out.into_container()
    }

    /// The phase of a ciphertext under a small key of the given bits.
    fn small_phase(&self, lwe: &[u32], bits: &[u64]) -> u32 {
        let (mask, body) = lwe.split_at(lwe.len() - 1);
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
static REAL: LazyLock<Keys> = LazyLock::new(|| Keys::hearing(&STANDARD, 7));
