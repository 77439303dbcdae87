//! [`SecretKey`]: what only the client holds.

use std::fmt;
use std::hint::black_box;

use sha2::{Digest, Sha256};
use tfhe::core_crypto::prelude::*;

use crate::FheError;
use crate::params::{ParameterId, ParameterSet};
use crate::ring::random::Random;
use crate::wire::checksum;

const MAGIC: &[u8; 8] = b"SRDNKEY\x03";
const HEADER: usize = MAGIC.len() + 2;
/// What the seed of a key of samples is for.
const PURPOSE_OF_SAMPLES: &[u8] = b"sordino key of samples 1";
/// More than any key takes.
pub(crate) const MOST_BYTES: u64 = 1 << 12;

/// A binary GLWE key, which encrypts queries and decrypts replies, and two small binary LWE keys, which only bootstrapping
/// uses. Overwritten with zeros when dropped, and never printed.
pub struct SecretKey {
    parameters: &'static ParameterSet,
    glwe: GlweSecretKeyOwned<u64>,
    compare: LweSecretKeyOwned<u64>,
    refresh: LweSecretKeyOwned<u64>,
}

impl SecretKey {
    /// Draws a key from the system's randomness.
    pub fn generate(parameters: &'static ParameterSet) -> Self {
        Self::draw(parameters, Random::from_system())
    }

    /// Draws a key from `seed`, for tests that must be repeatable. Whoever knows the seed knows the key.
    #[cfg(any(test, feature = "insecure"))]
    pub fn generate_from_insecure_seed(parameters: &'static ParameterSet, seed: u64) -> Self {
        Self::draw(parameters, Random::from_insecure_seed("secret key", seed))
    }

    fn draw(parameters: &'static ParameterSet, mut random: Random) -> Self {
        let glwe = GlweSecretKey::from_container(binary(parameters.ring(), &mut random), parameters.polynomial_size);
        let mut small = |dimension: LweDimension| LweSecretKey::from_container(binary(dimension.0, &mut random));
        let (compare, refresh) = (small(parameters.compare.dimension), small(parameters.refresh.dimension));
        Self { parameters, glwe, compare, refresh }
    }

    /// The key under which this client encrypts samples, [`crate::raw`]. It follows from this one, so that there is one key to keep: its bits are those that
    /// ChaCha20 gives for SHA-256 of a purpose and [`SecretKey::to_bytes`], and tell nothing of it.
    pub fn for_samples(&self) -> Self {
        let mut bytes = self.to_bytes();
        let seed = Sha256::new_with_prefix(PURPOSE_OF_SAMPLES).chain_update(&bytes).finalize().into();
        wipe(&mut bytes);
        Self::draw(self.parameters.of_samples(), Random::new(seed, 0))
    }

    /// The set this key belongs to.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// The GLWE key, one polynomial of degree below `N`.
    pub(crate) fn glwe(&self) -> &GlweSecretKeyOwned<u64> {
        &self.glwe
    }

    /// `polynomial * s`, exactly, modulo `X^N + 1` and 2^64.
    pub(crate) fn times(&self, polynomial: &Polynomial<impl Container<Element = u64>>) -> Vec<u64> {
        let mut product = Polynomial::new(0, self.parameters.polynomial_size);
        polynomial_algorithms::polynomial_wrapping_mul(
            &mut product,
            polynomial,
            &self.glwe.as_polynomial_list().get(0),
        );
        product.into_container()
    }

    /// The bits of the small key of comparisons.
    pub(crate) fn compare(&self) -> &[u64] {
        self.compare.as_ref()
    }

    /// The bits of the small key of refreshes.
    pub(crate) fn refresh(&self) -> &[u64] {
        self.refresh.as_ref()
    }

    /// The key as bytes, which are as secret as the key: to keep where there are no files. Magic number and format version (8), parameter
    /// set (2), one bit per coefficient, SHA-256 of all that (32).
    pub fn to_bytes(&self) -> Vec<u8> {
        // With room for everything: bytes that move leave a copy behind.
        let mut bytes = Vec::with_capacity(MOST_BYTES as usize);
        bytes.extend(MAGIC);
        bytes.extend(self.parameters.id.0.to_le_bytes());
        let mut bits = self.bits();
        for bits in bits.chunks(8) {
            bytes.push(bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | (bit as u8) << i));
        }
        wipe(&mut bits);
        checksum::seal(&mut bytes);
        bytes
    }

    /// Reads [`SecretKey::to_bytes`].
    ///
    /// # Errors
    /// [`FheError::KeyFile`] or [`FheError::UnknownParameters`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        let refuse = |what| FheError::KeyFile { what };
        if !bytes.starts_with(MAGIC) {
            return Err(refuse(match bytes.starts_with(&MAGIC[..7]) {
                true => "it is of another version of sordino; make a new key",
                false => "its first bytes are not those of a secret key",
            }));
        }
        let (content, _) = checksum::open(bytes).ok_or(refuse("its checksum does not fit it, so it was damaged"))?;
        let (header, packed) = content.split_at_checked(HEADER).ok_or(refuse("it is too short"))?;
        let parameters = ParameterSet::by_id(ParameterId(u16::from_le_bytes([header[8], header[9]])))?;
        let (ring, compare) = (parameters.ring(), parameters.compare.dimension.0);
        let all = ring + compare + parameters.refresh.dimension.0;
        if packed.len() != all.div_ceil(8) {
            return Err(refuse("its length does not fit its parameter set"));
        }
        let bits = |range: std::ops::Range<usize>| -> Vec<u64> {
            range.map(|i| u64::from(packed[i / 8] >> (i % 8) & 1)).collect()
        };
        let glwe = GlweSecretKey::from_container(bits(0..ring), parameters.polynomial_size);
        let refresh = LweSecretKey::from_container(bits(ring + compare..all));
        let compare = LweSecretKey::from_container(bits(ring..ring + compare));
        Ok(Self { parameters, glwe, compare, refresh })
    }

    fn bits(&self) -> Vec<u64> {
        [self.glwe.as_ref(), self.compare(), self.refresh()].concat()
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        wipe(self.glwe.as_mut());
        wipe(self.compare.as_mut());
        wipe(self.refresh.as_mut());
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("parameters", &self.parameters.name).finish_non_exhaustive()
    }
}

/// Uniform bits, one to an element.
fn binary(count: usize, random: &mut Random) -> Vec<u64> {
    let mut words = vec![0; count.div_ceil(64)];
    random.uniform(&mut words);
    let bits = (0..count).map(|i| words[i / 64] >> (i % 64) & 1).collect();
    wipe(&mut words);
    bits
}

/// Overwrites secret data; `black_box` keeps the compiler from dropping writes that nothing reads.
pub(crate) fn wipe<T: Default + Copy>(secret: &mut [T]) {
    secret.fill(T::default());
    black_box(secret);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::INSECURE_N256;

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_key_is_refused() {
        let key = SecretKey::generate_from_insecure_seed(&INSECURE_N256, 2);
        let bytes = key.to_bytes();
        assert_eq!(SecretKey::from_bytes(&bytes).unwrap().bits(), key.bits());
        for length in 0..bytes.len() {
            assert!(SecretKey::from_bytes(&bytes[..length]).is_err());
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(SecretKey::from_bytes(&damaged), Err(FheError::KeyFile { .. })), "bit {bit}");
        }
        let earlier = [b"SRDNKEY\x02", &bytes[8..]].concat();
        assert!(SecretKey::from_bytes(&earlier).unwrap_err().to_string().contains("make a new key"));
    }

    #[test]
    fn no_key_takes_more_than_is_read() {
        for set in [&crate::params::STANDARD, &INSECURE_N256] {
            assert!((SecretKey::generate(set).to_bytes().len() as u64) < MOST_BYTES);
        }
    }

    #[test]
    fn debug_shows_no_bits() {
        let key = SecretKey::generate_from_insecure_seed(&INSECURE_N256, 3);
        assert_eq!(format!("{key:?}"), "SecretKey { parameters: \"insecure-n256\", .. }");
    }
}
