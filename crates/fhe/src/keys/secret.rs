//! [`SecretKey`]: what only the client holds.

use std::fmt;
use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use crate::FheError;
use crate::params::{ParameterId, ParameterSet, SmallKey};
use crate::ring::random::system_bytes;

const MAGIC: &[u8; 8] = b"SRDNKEY\x02";
/// Bytes of a key's public name.
const NAME: usize = 16;
const HEADER: usize = MAGIC.len() + 2 + NAME;

/// A binary GLWE key, which encrypts queries and decrypts replies, and two small binary LWE keys, which only bootstrapping
/// uses. Overwritten with zeros when dropped, and never printed.
pub struct SecretKey {
    parameters: &'static ParameterSet,
    name: [u8; NAME],
    glwe: GlweSecretKeyOwned<u64>,
    compare: LweSecretKeyOwned<u64>,
    refresh: LweSecretKeyOwned<u64>,
}

impl SecretKey {
    /// Draws a key from the system's randomness.
    pub fn generate(parameters: &'static ParameterSet) -> Self {
        Self::draw(parameters, system_bytes(), Seed(u128::from_le_bytes(system_bytes())))
    }

    /// Draws a key from `seed`: for tests and benches that must be repeatable. Whoever knows the seed knows the key.
    pub fn generate_from_seed(parameters: &'static ParameterSet, seed: Seed) -> Self {
        Self::draw(parameters, seed.0.to_le_bytes(), seed)
    }

    fn draw(parameters: &'static ParameterSet, name: [u8; NAME], seed: Seed) -> Self {
        let mut generator = SecretRandomGenerator::<DefaultRandomGenerator>::new(seed);
        let glwe = allocate_and_generate_new_binary_glwe_secret_key(
            parameters.glwe_dimension(),
            parameters.polynomial_size,
            &mut generator,
        );
        let mut small = |key: SmallKey| allocate_and_generate_new_binary_lwe_secret_key(key.dimension, &mut generator);
        let (compare, refresh) = (small(parameters.compare), small(parameters.refresh));
        Self { parameters, name, glwe, compare, refresh }
    }

    /// What the key is called in public: random, and drawn apart from its bits, of which it tells nothing.
    pub(crate) fn name(&self) -> [u8; NAME] {
        self.name
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

    /// Writes the key, one bit per coefficient, to a new file that only its owner can read (mode 0600 on Unix).
    ///
    /// # Errors
    /// [`FheError::Io`]; a file that exists is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), FheError> {
        let io = |source| FheError::Io { path: path.display().to_string(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let mut bytes = self.to_bytes();
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        wipe(&mut bytes);
        written.map_err(io)
    }

    /// Reads a key that [`SecretKey::save`] wrote.
    ///
    /// # Errors
    /// [`FheError::Io`], [`FheError::KeyFile`] or [`FheError::UnknownParameters`].
    pub fn load(path: &Path) -> Result<Self, FheError> {
        let mut bytes =
            std::fs::read(path).map_err(|source| FheError::Io { path: path.display().to_string(), source })?;
        let key = Self::from_bytes(&bytes);
        wipe(&mut bytes);
        key
    }

    /// The key as bytes, which are as secret as the key: to keep where there are no files.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.parameters.id.0.to_le_bytes());
        bytes.extend(self.name);
        for bits in self.bits().chunks(8) {
            bytes.push(bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | (bit as u8) << i));
        }
        bytes
    }

    /// Reads [`SecretKey::to_bytes`].
    ///
    /// # Errors
    /// [`FheError::KeyFile`] or [`FheError::UnknownParameters`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        let damaged = |what| FheError::KeyFile { what };
        let header = bytes.get(..HEADER).ok_or(damaged("it is too short"))?;
        let (magic, id) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged("its first bytes are not those of a key of this version"));
        }
        let (id, name) = id.split_at(2);
        let parameters = ParameterSet::by_id(ParameterId(u16::from_le_bytes([id[0], id[1]])))?;
        let name = std::array::from_fn(|i| name[i]);
        let (ring, compare) = (parameters.ring(), parameters.compare.dimension.0);
        let all = ring + compare + parameters.refresh.dimension.0;
        let packed = &bytes[HEADER..];
        if packed.len() != all.div_ceil(8) {
            return Err(damaged("its length does not fit its parameter set"));
        }
        let mut bits: Vec<u64> = (0..all).map(|i| u64::from(packed[i / 8] >> (i % 8) & 1)).collect();
        let glwe = GlweSecretKey::from_container(bits[..ring].to_vec(), parameters.polynomial_size);
        let refresh = LweSecretKey::from_container(bits[ring + compare..].to_vec());
        let compare = LweSecretKey::from_container(bits[ring..ring + compare].to_vec());
        wipe(&mut bits);
        Ok(Self { parameters, name, glwe, compare, refresh })
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
    fn a_saved_key_loads_as_itself_and_is_private() {
        let directory = std::env::temp_dir().join(format!("sordino-key-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("key");
        let _ = std::fs::remove_file(&path);
        let key = SecretKey::generate_from_seed(&INSECURE_N256, Seed(1));
        key.save(&path).unwrap();
        let loaded = SecretKey::load(&path).unwrap();
        assert_eq!((loaded.bits(), loaded.name()), (key.bits(), key.name()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(key.save(&path), Err(FheError::Io { .. })), "an existing key must not be overwritten");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn damaged_key_files_are_refused() {
        let bytes = SecretKey::generate_from_seed(&INSECURE_N256, Seed(2)).to_bytes();
        for length in 0..bytes.len() {
            assert!(SecretKey::from_bytes(&bytes[..length]).is_err());
        }
        for byte in 0..HEADER - NAME {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 0x40;
            assert!(SecretKey::from_bytes(&damaged).is_err());
        }
    }

    #[test]
    fn debug_shows_no_bits() {
        let key = SecretKey::generate_from_seed(&INSECURE_N256, Seed(3));
        assert_eq!(format!("{key:?}"), "SecretKey { parameters: \"insecure-n256\", .. }");
    }
}
