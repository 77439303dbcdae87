//! [`EvaluationKey`]: what the client gives the server once, so that it can decide encrypted; [`ServerKey`]: the same, ready for use.
//!
//! All of it but the keyswitch key is one kind of thing: GLWE encryptions, under the ring's key, of polynomials in the secret
//! keys. They are made, sent and expanded in blocks: a block is a seed, from which the masks follow, and the bodies, cut to their
//! 48 leading bits (the cut is a sixteenth of the noise's variance). The server expands a block straight into the Fourier domain.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aligned_vec::ABox;
use rayon::prelude::*;
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed};
use tfhe::core_crypto::prelude::*;
use tfhe_fft::c64;

use crate::blind_rotation::RotationKey;
use crate::circuit_bootstrap::{CircuitBootstrapKey, automorphism, trace_exponents};
use crate::fourier::Fourier;
use crate::gadget::{Gadget, GadgetKey, transform};
use crate::keyswitch::KeyswitchKey;
use crate::params::{ParameterId, ParameterSet};
use crate::{FheError, SecretKey};

const MAGIC: &[u8; 8] = b"SRDNEVK\x01";
/// Bytes of a body coefficient: its leading 48 bits.
const BODY_BYTES: usize = 6;
/// Bytes of a keyswitch body: the server keeps that key modulo 2^32.
const KEYSWITCH_BODY_BYTES: usize = 4;
const SEED_BYTES: usize = 16;

/// The gadgets of the encrypted decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionGadgets {
    /// LWE keyswitch from the ring's key to the small key.
    pub keyswitch: Gadget,
    /// Blind rotations that compare.
    pub compare: Gadget,
    /// Blind rotations that make selectors.
    pub refresh: Gadget,
    /// Keyswitches of the trace.
    pub trace: Gadget,
    /// Product with the key's square.
    pub square: Gadget,
    /// Selectors themselves.
    pub selector: Gadget,
}

impl DecisionGadgets {
    /// The comparison is that of the standard set; the others keep a selector's noise below that of a
    /// comparison (`docs/one-trip.md` has the table they were chosen from).
    pub const STANDARD: Self = Self {
        keyswitch: Gadget::new(3, 6),
        compare: Gadget::new(23, 1),
        refresh: Gadget::new(15, 2),
        trace: Gadget::new(7, 6),
        square: Gadget::new(7, 6),
        selector: Gadget::new(4, 4),
    };
}

/// Seeded encryptions under both secret keys. Not secret, but of no use to anyone but the server.
pub struct EvaluationKey {
    parameters: &'static ParameterSet,
    compare: Vec<Block>,
    refresh: Vec<Block>,
    trace: Vec<Block>,
    square: Block,
    keyswitch: KeyswitchBodies,
}

/// Seeded GLWE ciphertexts: a seed for the masks, and the bodies one after the other.
struct Block {
    seed: Seed,
    bodies: Vec<u64>,
}

struct KeyswitchBodies {
    seed: Seed,
    bodies: Vec<u64>,
}

/// An [`EvaluationKey`] expanded, for [`crate::OneTripServer`]. Shared by all queries under its secret key.
pub struct ServerKey {
    pub(crate) parameters: &'static ParameterSet,
    pub(crate) fourier: Fourier,
    pub(crate) keyswitch: KeyswitchKey,
    pub(crate) compare: RotationKey,
    pub(crate) refresh: RotationKey,
    pub(crate) circuit: CircuitBootstrapKey,
}

/// How many GLWE blocks, and ciphertexts in each, a section of the key has.
#[derive(Clone, Copy)]
struct Shape {
    blocks: usize,
    rows: usize,
}

struct Layout {
    compare: Shape,
    refresh: Shape,
    trace: Shape,
    square: Shape,
}

impl Layout {
    fn of(p: &ParameterSet) -> Self {
        let g = DecisionGadgets::STANDARD;
        let bits = p.lwe_dimension.0;
        Self {
            compare: Shape { blocks: bits, rows: 2 * g.compare.levels as usize },
            refresh: Shape { blocks: bits, rows: 2 * g.refresh.levels as usize },
            trace: Shape { blocks: p.ring().ilog2() as usize, rows: g.trace.levels as usize },
            square: Shape { blocks: 1, rows: g.square.levels as usize },
        }
    }

    fn blocks(&self) -> usize {
        self.compare.blocks + self.refresh.blocks + self.trace.blocks + self.square.blocks
    }

    fn bytes(&self, p: &ParameterSet) -> usize {
        let shapes = [self.compare, self.refresh, self.trace, self.square];
        let glwe: usize = shapes.iter().map(|s| s.blocks * (SEED_BYTES + s.rows * p.ring() * BODY_BYTES)).sum();
        glwe + SEED_BYTES + keyswitch_bodies(p) * KEYSWITCH_BODY_BYTES
    }
}

fn keyswitch_bodies(p: &ParameterSet) -> usize {
    p.ring() * DecisionGadgets::STANDARD.keyswitch.levels as usize
}

impl EvaluationKey {
    /// Makes the key. `progress` is called from several threads with the fraction done.
    pub fn generate(secret: &SecretKey, progress: impl Fn(f64) + Sync) -> Self {
        Self::generate_from_seeder(secret, new_seeder().as_mut(), progress)
    }

    /// The same with a chosen source of seeds: for tests and benches that must be repeatable.
    pub fn generate_from_seeder(secret: &SecretKey, seeder: &mut dyn Seeder, progress: impl Fn(f64) + Sync) -> Self {
        let p = secret.parameters();
        let (gadgets, layout) = (DecisionGadgets::STANDARD, Layout::of(p));
        let done = AtomicUsize::new(0);
        let tick = || progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f64 / layout.blocks() as f64);
        let ring_key: Vec<u64> = secret.glwe().as_ref().to_vec();
        let mut encrypt = |messages: &(dyn Fn(usize) -> Vec<u64> + Sync), blocks: usize| -> Vec<Block> {
            let seeds: Vec<(Seed, Seed)> = (0..blocks).map(|_| (seeder.seed(), seeder.seed())).collect();
            let blocks = seeds.into_par_iter().enumerate().map(|(i, (masks, noise))| {
                let block = Block::encrypt(secret, messages(i), masks, noise);
                tick();
                block
            });
            blocks.collect()
        };
        let minus_key: Vec<u64> = ring_key.iter().map(|s| s.wrapping_neg()).collect();
        let bits = secret.lwe().as_ref();
        let ggsw = |gadget: Gadget| {
            let minus_key = &minus_key;
            move |bit: usize| -> Vec<u64> {
                let rows = (1..=gadget.levels).flat_map(|level| {
                    let weight = gadget.weight(level).wrapping_mul(bits[bit]);
                    let constant = (0..minus_key.len()).map(move |i| if i == 0 { weight } else { 0 });
                    minus_key.iter().map(move |s| s.wrapping_mul(weight)).chain(constant)
                });
                rows.collect()
            }
        };
        let turned = |step: usize| -> Vec<u64> {
            let mut out = vec![0; minus_key.len()];
            let exponent = trace_exponents(minus_key.len()).nth(step).unwrap_or(1);
            automorphism(&minus_key, exponent, &mut out);
            at_every_level(&out, gadgets.trace)
        };
        let square = |_: usize| at_every_level(&negacyclic_square(&ring_key), gadgets.square);
        let compare = encrypt(&ggsw(gadgets.compare), layout.compare.blocks);
        let refresh = encrypt(&ggsw(gadgets.refresh), layout.refresh.blocks);
        let trace = encrypt(&turned, layout.trace.blocks);
        let square = encrypt(&square, 1).swap_remove(0);
        let keyswitch = KeyswitchBodies::encrypt(secret, seeder);
        Self { parameters: p, compare, refresh, trace, square, keyswitch }
    }

    /// The parameter set of the secret keys.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// Bytes that [`EvaluationKey::write`] writes.
    pub fn wire_bytes(parameters: &ParameterSet) -> usize {
        MAGIC.len() + 2 + Layout::of(parameters).bytes(parameters)
    }

    /// Writes the key: magic number, parameter set, then the sections in order.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&self.parameters.id.0.to_le_bytes())?;
        let blocks = self.compare.iter().chain(&self.refresh).chain(&self.trace).chain([&self.square]);
        for block in blocks {
            write_block(out, block.seed, &block.bodies, BODY_BYTES)?;
        }
        write_block(out, self.keyswitch.seed, &self.keyswitch.bodies, KEYSWITCH_BODY_BYTES)
    }

    /// Reads a key that [`EvaluationKey::write`] wrote. Takes exactly the bytes that its parameter set implies.
    ///
    /// # Errors
    /// [`FheError::EvaluationKey`] or [`FheError::UnknownParameters`].
    pub fn read(input: &mut impl Read) -> Result<Self, FheError> {
        let mut header = [0; MAGIC.len() + 2];
        fill(input, &mut header)?;
        let (magic, id) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(FheError::EvaluationKey { what: "its first bytes are not those of a key of this version" });
        }
        let parameters = ParameterSet::by_id(ParameterId(u16::from_le_bytes([id[0], id[1]])))?;
        let layout = Layout::of(parameters);
        let mut blocks = |shape: Shape| -> Result<Vec<Block>, FheError> {
            let block = |_| {
                let (seed, bodies) = read_block(input, shape.rows * parameters.ring(), BODY_BYTES)?;
                Ok(Block { seed, bodies })
            };
            (0..shape.blocks).map(block).collect()
        };
        let (compare, refresh, trace) = (blocks(layout.compare)?, blocks(layout.refresh)?, blocks(layout.trace)?);
        let square = blocks(layout.square)?.swap_remove(0);
        let (seed, bodies) = read_block(input, keyswitch_bodies(parameters), KEYSWITCH_BODY_BYTES)?;
        Ok(Self { parameters, compare, refresh, trace, square, keyswitch: KeyswitchBodies { seed, bodies } })
    }

    /// Writes the key to a file.
    ///
    /// # Errors
    /// [`FheError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), FheError> {
        let io = |source| FheError::Io { path: path.display().to_string(), source };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
        self.write(&mut out).and_then(|()| out.flush()).map_err(io)
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// [`FheError::Io`], [`FheError::EvaluationKey`] or [`FheError::UnknownParameters`].
    pub fn load(path: &Path) -> Result<Self, FheError> {
        let io = |source| FheError::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let key = Self::read(&mut BufReader::with_capacity(1 << 20, file))?;
        if length != Self::wire_bytes(key.parameters) as u64 {
            return Err(FheError::EvaluationKey { what: "it is longer than its parameter set implies" });
        }
        Ok(key)
    }

    /// Expands the key for use: masks from seeds, GLWE rows into the Fourier domain.
    pub fn expand(&self) -> ServerKey {
        let (p, gadgets) = (self.parameters, DecisionGadgets::STANDARD);
        let fourier = Fourier::new(p.ring());
        let gadget_key = |gadget: Gadget, block: &Block| GadgetKey::new(gadget, block.expand(p, &fourier));
        let rotation = |gadget: Gadget, blocks: &[Block]| {
            let blocks: Vec<ABox<[c64]>> = blocks.par_iter().map(|b| b.expand(p, &fourier)).collect();
            RotationKey::new(gadget, blocks)
        };
        let trace = self.trace.iter().map(|b| gadget_key(gadgets.trace, b)).collect();
        ServerKey {
            parameters: p,
            keyswitch: self.keyswitch.expand(p),
            compare: rotation(gadgets.compare, &self.compare),
            refresh: rotation(gadgets.refresh, &self.refresh),
            circuit: CircuitBootstrapKey::new(gadgets.selector, trace, gadget_key(gadgets.square, &self.square)),
            fourier,
        }
    }
}

impl ServerKey {
    /// The parameter set of the secret keys.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// Memory that the key takes.
    pub fn bytes(&self) -> usize {
        self.keyswitch.bytes() + self.compare.bytes() + self.refresh.bytes() + self.circuit.bytes()
    }
}

impl Block {
    /// Encrypts polynomials, given one after the other.
    fn encrypt(secret: &SecretKey, messages: Vec<u64>, masks: Seed, noise: Seed) -> Self {
        let p = secret.parameters();
        let count = GlweCiphertextCount(messages.len() / p.ring());
        let modulus = CiphertextModulus::new_native();
        let mut list = SeededGlweCiphertextList::new(0, p.glwe_size(), p.polynomial_size, count, masks.into(), modulus);
        encrypt_seeded_glwe_ciphertext_list(
            secret.glwe(),
            &mut list,
            &PlaintextList::from_container(messages),
            p.glwe_noise(),
            &mut DeterministicSeeder::<DefaultRandomGenerator>::new(noise),
        );
        Self { seed: masks, bodies: list.into_container().into_iter().map(|x| cut(x, BODY_BYTES)).collect() }
    }

    fn expand(&self, p: &ParameterSet, fourier: &Fourier) -> ABox<[c64]> {
        let seed = CompressionSeed::from(self.seed);
        let modulus = CiphertextModulus::new_native();
        let list = SeededGlweCiphertextList::from_container(
            self.bodies.as_slice(),
            p.glwe_size(),
            p.polynomial_size,
            seed,
            modulus,
        );
        let mut rows =
            GlweCiphertextList::new(0, p.glwe_size(), p.polynomial_size, list.glwe_ciphertext_count(), modulus);
        decompress_seeded_glwe_ciphertext_list::<_, _, _, DefaultRandomGenerator>(&mut rows, &list);
        transform(rows.as_ref().chunks_exact(2 * p.ring()), fourier, &mut fourier.scratch())
    }
}

impl KeyswitchBodies {
    fn encrypt(secret: &SecretKey, seeder: &mut dyn Seeder) -> Self {
        let (p, gadget) = (secret.parameters(), DecisionGadgets::STANDARD.keyswitch);
        let seed = seeder.seed();
        let mut key = SeededLweKeyswitchKey::new(
            0u64,
            DecompositionBaseLog(gadget.base_log as usize),
            DecompositionLevelCount(gadget.levels as usize),
            LweDimension(p.ring()),
            p.lwe_dimension,
            seed.into(),
            CiphertextModulus::new_native(),
        );
        generate_seeded_lwe_keyswitch_key(
            &secret.glwe().as_lwe_secret_key(),
            secret.lwe(),
            &mut key,
            p.lwe_noise(),
            seeder,
        );
        Self { seed, bodies: key.into_container().into_iter().map(|x| cut(x, KEYSWITCH_BODY_BYTES)).collect() }
    }

    fn expand(&self, p: &ParameterSet) -> KeyswitchKey {
        let gadget = DecisionGadgets::STANDARD.keyswitch;
        let key = SeededLweKeyswitchKey::from_container(
            self.bodies.clone(),
            DecompositionBaseLog(gadget.base_log as usize),
            DecompositionLevelCount(gadget.levels as usize),
            p.lwe_dimension.to_lwe_size(),
            self.seed.into(),
            CiphertextModulus::new_native(),
        );
        KeyswitchKey::from_tfhe(gadget, &key.par_decompress_into_lwe_keyswitch_key())
    }
}

/// `p` times the weight of every level, most significant first.
fn at_every_level(p: &[u64], gadget: Gadget) -> Vec<u64> {
    let levels = (1..=gadget.levels).map(|level| gadget.weight(level));
    levels.flat_map(|weight| p.iter().map(move |x| x.wrapping_mul(weight))).collect()
}

/// `p^2` modulo `X^N + 1`.
fn negacyclic_square(p: &[u64]) -> Vec<u64> {
    let mut out = vec![0u64; p.len()];
    for (i, x) in p.iter().enumerate().filter(|(_, x)| **x != 0) {
        let (high, low) = p.split_at(p.len() - i);
        for (out, y) in out[i..].iter_mut().zip(high) {
            *out = out.wrapping_add(x.wrapping_mul(*y));
        }
        for (out, y) in out.iter_mut().zip(low) {
            *out = out.wrapping_sub(x.wrapping_mul(*y));
        }
    }
    out
}

/// Rounds to the leading `bytes` bytes.
fn cut(x: u64, bytes: usize) -> u64 {
    let dropped = 64 - 8 * bytes;
    x.wrapping_add(1 << (dropped - 1)) >> dropped << dropped
}

fn write_block(out: &mut impl Write, seed: Seed, bodies: &[u64], bytes: usize) -> std::io::Result<()> {
    out.write_all(&seed.0.to_le_bytes())?;
    let packed: Vec<u8> = bodies.iter().flat_map(|x| x.to_le_bytes().into_iter().skip(8 - bytes)).collect();
    out.write_all(&packed)
}

fn read_block(input: &mut impl Read, bodies: usize, bytes: usize) -> Result<(Seed, Vec<u64>), FheError> {
    let mut seed = [0; SEED_BYTES];
    fill(input, &mut seed)?;
    let mut packed = vec![0; bodies * bytes];
    fill(input, &mut packed)?;
    let body = |x: &[u8]| x.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) << (64 - 8 * bytes);
    Ok((Seed(u128::from_le_bytes(seed)), packed.chunks_exact(bytes).map(body).collect()))
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), FheError> {
    input
        .read_exact(buffer)
        .map_err(|_| FheError::EvaluationKey { what: "it is shorter than its parameter set implies" })
}
