//! [`EvaluationKey`]: what the client gives the server once, so that it can decide encrypted.
//!
//! All of it but the keyswitch keys is one kind of thing: GLWE encryptions, under the ring's key, of polynomials in the secret
//! keys. They are made, sent and expanded in blocks: a seed, from which the masks follow, and the bodies, cut to their 48
//! leading bits (which adds a sixteenth to the noise's variance). The server expands a block straight into the Fourier domain.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use sordino_model::layout::KEY_ID_BYTES;
use sordino_model::{Decider, Protocol};

use crate::keys::gadgets::{DecisionGadgets, RotationGadget};
use crate::keys::keyswitch::SeededKeyswitchKey;
use crate::keys::pieces::Pieces;
use crate::params::{ParameterId, ParameterSet, SmallKey};
use crate::raw::RawKey;
use crate::ring::automorphism::trace_exponents;
use crate::ring::gadget::Gadget;
use crate::ring::random::Random;
use crate::wire::checksum::Hashing;
use crate::wire::seeded;
use crate::{FheError, KeyId, SecretKey};

const MAGIC: &[u8; 8] = b"SRDNEVK\x04";
/// The same of a key with a part for samples.
const MAGIC_RAW: &[u8; 8] = b"SRDNEVR\x01";
/// Magic number, parameter set.
const HEADER_BYTES: usize = MAGIC.len() + 2;
/// Bits kept of the bodies.
pub(crate) const BODY_BITS: u32 = 48;

/// Seeded encryptions under both secret keys. Not secret, but of no use to anyone but the server.
pub struct EvaluationKey {
    pub(crate) id: KeyId,
    pub(crate) parameters: &'static ParameterSet,
    pub(crate) compare: Vec<Block>,
    pub(crate) refresh: Vec<Block>,
    pub(crate) trace: Vec<Block>,
    pub(crate) square: Block,
    pub(crate) compare_keyswitch: SeededKeyswitchKey,
    pub(crate) refresh_keyswitch: SeededKeyswitchKey,
    /// What [`crate::raw`] needs besides.
    pub(crate) raw: Option<RawKey>,
}

/// Seeded GLWE ciphertexts as they travel: the seed of the masks, and the bodies.
pub(crate) struct Block(pub(crate) Vec<u8>);

/// How many GLWE blocks, and ciphertexts in each, a section of the key has.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    pub(crate) blocks: usize,
    pub(crate) rows: usize,
}

/// The sections of a key in the order in which they are written; the keyswitch keys follow.
pub(crate) struct Sections {
    pub(crate) compare: Section,
    pub(crate) refresh: Section,
    pub(crate) trace: Section,
    pub(crate) square: Section,
}

impl Sections {
    pub(crate) fn of(p: &ParameterSet) -> Self {
        let g = DecisionGadgets::STANDARD;
        let rotation = |small: SmallKey, gadget: RotationGadget| Section {
            blocks: small.dimension.0 / gadget.bits,
            rows: gadget.patterns() * 2 * gadget.digits.levels as usize,
        };
        Self {
            compare: rotation(p.compare, g.compare),
            refresh: rotation(p.refresh, g.refresh),
            trace: Section { blocks: trace_exponents(p.ring()).len(), rows: g.trace.levels as usize },
            square: Section { blocks: 1, rows: g.square.levels as usize },
        }
    }

    fn all(&self) -> [Section; 4] {
        [self.compare, self.refresh, self.trace, self.square]
    }
}

impl EvaluationKey {
    /// Makes the key. `progress` is called from several threads with the fraction done.
    pub fn generate(secret: &SecretKey, progress: impl Fn(f64) + Sync) -> Self {
        Self::generate_from(secret, &mut Random::from_system(), progress)
    }

    /// [`EvaluationKey::generate`] with masks and noise drawn from `seed`, for tests that must be repeatable. Whoever knows the seed
    /// can compute the secret keys.
    #[cfg(any(test, feature = "insecure"))]
    pub fn generate_from_insecure_seed(secret: &SecretKey, seed: u64, progress: impl Fn(f64) + Sync) -> Self {
        Self::generate_from(secret, &mut Random::from_insecure_seed("evaluation key", seed), progress)
    }

    fn generate_from(secret: &SecretKey, random: &mut Random, progress: impl Fn(f64) + Sync) -> Self {
        let p = secret.parameters();
        let (count, done) = (Pieces::count(p), AtomicUsize::new(0));
        let tick = || progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f64 / count as f64);
        Self::assemble(p, Pieces::of(secret).draw_all(random, tick), None)
    }

    /// [`EvaluationKey::generate`] with a part for encrypted samples, which doubles the key.
    pub fn generate_for_samples(secret: &SecretKey, progress: impl Fn(f64) + Sync) -> Self {
        Self::for_samples_from(secret, &mut Random::from_system(), progress)
    }

    /// The key that a protocol takes. None where the client decides: nothing is evaluated that takes one.
    pub fn generate_for(protocol: Protocol, secret: &SecretKey) -> Option<Self> {
        match (protocol, protocol.decider()) {
            (Protocol::Raw, _) => Some(Self::generate_for_samples(secret, |_| ())),
            (_, Decider::Server) => Some(Self::generate(secret, |_| ())),
            (_, Decider::Client) => None,
        }
    }

    /// [`EvaluationKey::generate_for_samples`] from a seed, for tests that must be repeatable.
    #[cfg(any(test, feature = "insecure"))]
    pub fn generate_for_samples_from_insecure_seed(secret: &SecretKey, seed: u64) -> Self {
        Self::for_samples_from(secret, &mut Random::from_insecure_seed("evaluation key", seed), |_| {})
    }

    fn for_samples_from(secret: &SecretKey, random: &mut Random, progress: impl Fn(f64) + Sync) -> Self {
        let p = secret.parameters();
        let (count, done) = (Pieces::count(p) + RawKey::pieces(p), AtomicUsize::new(0));
        let tick = || progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f64 / count as f64);
        let pieces = Pieces::of(secret).draw_all(random, tick);
        Self::assemble(p, pieces, Some(RawKey::generate(secret, random, tick)))
    }

    /// Puts pieces together, of which there are as many as the parameter set implies, each as long as it implies.
    pub(crate) fn assemble(parameters: &'static ParameterSet, pieces: Vec<Vec<u8>>, raw: Option<RawKey>) -> Self {
        let sections = Sections::of(parameters);
        let mut pieces = pieces.into_iter();
        let mut blocks = |section: Section| -> Vec<Block> { pieces.by_ref().take(section.blocks).map(Block).collect() };
        let (compare, refresh, trace) = (blocks(sections.compare), blocks(sections.refresh), blocks(sections.trace));
        let square = blocks(sections.square).pop().unwrap_or(Block(Vec::new()));
        let mut keyswitch = || SeededKeyswitchKey::from_bytes(pieces.next().unwrap_or_default());
        let (compare_keyswitch, refresh_keyswitch) = (keyswitch(), keyswitch());
        let id = KeyId([0; KEY_ID_BYTES]);
        let mut key =
            Self { id, parameters, compare, refresh, trace, square, compare_keyswitch, refresh_keyswitch, raw };
        let mut hashing = Hashing::new(std::io::sink());
        // A sink takes everything.
        let _ = key.write_content(&mut hashing);
        key.id = KeyId(hashing.finish().1);
        key
    }

    /// The parameter set of the secret keys.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether it has a part for encrypted samples.
    pub fn hears_samples(&self) -> bool {
        self.raw.is_some()
    }

    /// Bytes that [`EvaluationKey::write`] writes of a key with a part for encrypted samples.
    pub fn wire_bytes_for_samples(parameters: &ParameterSet) -> usize {
        Self::wire_bytes(parameters) + RawKey::wire_bytes(parameters)
    }

    /// Bytes that [`EvaluationKey::write`] writes of a key without one.
    pub fn wire_bytes(parameters: &ParameterSet) -> usize {
        let block = |s: &Section| s.blocks * seeded::seeded_len(s.rows, parameters.ring(), BODY_BITS);
        let keyswitches = keyswitches().map(|gadget| SeededKeyswitchKey::wire_bytes(parameters, gadget));
        let keyswitches: usize = keyswitches.iter().sum();
        HEADER_BYTES + Sections::of(parameters).all().iter().map(block).sum::<usize>() + keyswitches + KEY_ID_BYTES
    }

    /// Bytes of the key that a client of `protocol` sends once; `None` where it sends none.
    pub fn bytes_for(protocol: Protocol, parameters: &ParameterSet) -> Option<usize> {
        match (protocol, protocol.decider()) {
            (Protocol::Raw, _) => Some(Self::wire_bytes_for_samples(parameters)),
            (_, Decider::Server) => Some(Self::wire_bytes(parameters)),
            (_, Decider::Client) => None,
        }
    }

    /// What a key of this parameter set begins with, with a part for encrypted samples or without: its magic number and the set.
    pub fn header(parameters: &ParameterSet, for_samples: bool) -> Vec<u8> {
        let magic = if for_samples { MAGIC_RAW } else { MAGIC };
        magic.iter().copied().chain(parameters.id.0.to_le_bytes()).collect()
    }

    /// Writes the key: magic number, parameter set, the sections in order, the part for samples where there is one, and SHA-256 of all that, which is the key's name.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.write_content(out)?;
        out.write_all(&self.id.0)
    }

    fn write_content(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(&Self::header(self.parameters, self.raw.is_some()))?;
        let mut blocks = self.compare.iter().chain(&self.refresh).chain(&self.trace).chain([&self.square]);
        blocks.try_for_each(|block| out.write_all(&block.0))?;
        out.write_all(self.compare_keyswitch.as_bytes())?;
        out.write_all(self.refresh_keyswitch.as_bytes())?;
        self.raw.iter().try_for_each(|raw| raw.write(out))
    }

    /// Reads a key that [`EvaluationKey::write`] wrote. Takes exactly the bytes that its parameter set implies, block by block.
    ///
    /// # Errors
    /// [`FheError::EvaluationKey`] or [`FheError::UnknownParameters`].
    pub fn read(input: &mut impl Read) -> Result<Self, FheError> {
        let mut input = Hashing::new(input);
        let (parameters, for_samples) = read_header(&mut input)?;
        let sections = Sections::of(parameters);
        let mut blocks = |section: Section| -> Result<Vec<Block>, FheError> {
            (0..section.blocks).map(|_| Block::read(&mut input, section, parameters)).collect()
        };
        let (compare, refresh, trace) = (blocks(sections.compare)?, blocks(sections.refresh)?, blocks(sections.trace)?);
        let square = Block::read(&mut input, sections.square, parameters)?;
        let (compare_keyswitch, refresh_keyswitch) = read_keyswitches(&mut input, parameters)?;
        let raw = for_samples.then(|| RawKey::read(&mut input, parameters)).transpose()?;
        let id = read_name(input)?;
        Ok(Self { id, parameters, compare, refresh, trace, square, compare_keyswitch, refresh_keyswitch, raw })
    }

    /// Whether it is one of this secret key.
    pub fn belongs_to(&self, secret: &SecretKey) -> bool {
        self.parameters.id == secret.parameters().id
            && self.compare_keyswitch.opens_under(secret, DecisionGadgets::STANDARD.compare_keyswitch)
    }
}

impl Block {
    /// The next block of a section.
    pub(crate) fn read(input: &mut impl Read, section: Section, p: &ParameterSet) -> Result<Self, FheError> {
        take(input, seeded::seeded_len(section.rows, p.ring(), BODY_BITS)).map(Self)
    }
}

/// The parameter set of the key that follows, and whether it has a part for samples.
pub(crate) fn read_header(input: &mut impl Read) -> Result<(&'static ParameterSet, bool), FheError> {
    let header = take(input, HEADER_BYTES)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC && magic != MAGIC_RAW {
        return Err(FheError::EvaluationKey { what: "its first bytes are not those of a key of this version" });
    }
    Ok((ParameterSet::by_id(ParameterId(u16::from_le_bytes([rest[0], rest[1]])))?, magic == MAGIC_RAW))
}

/// The name with which a key ends, if everything before it is as it was written.
pub(crate) fn read_name(input: Hashing<impl Read>) -> Result<KeyId, FheError> {
    let (mut input, checksum) = input.finish();
    if take(&mut input, KEY_ID_BYTES)? != checksum {
        return Err(FheError::EvaluationKey { what: "its checksum does not fit it, so it was damaged" });
    }
    Ok(KeyId(checksum))
}

/// The last sections of a key: the keyswitch to the small key of comparisons, and to that of refreshes.
pub(crate) fn read_keyswitches(
    input: &mut impl Read,
    p: &ParameterSet,
) -> Result<(SeededKeyswitchKey, SeededKeyswitchKey), FheError> {
    let mut next = |gadget| take(input, SeededKeyswitchKey::wire_bytes(p, gadget)).map(SeededKeyswitchKey::from_bytes);
    let [compare, refresh] = keyswitches();
    Ok((next(compare)?, next(refresh)?))
}

/// The gadgets of both keyswitches, in the order in which their keys are written.
fn keyswitches() -> [Gadget; 2] {
    [DecisionGadgets::STANDARD.compare_keyswitch, DecisionGadgets::STANDARD.refresh_keyswitch]
}

/// So many bytes of a key.
pub(crate) fn take(input: &mut impl Read, bytes: usize) -> Result<Vec<u8>, FheError> {
    let mut buffer = vec![0; bytes];
    let short = |_| FheError::EvaluationKey { what: "it is shorter than its parameter set implies" };
    input.read_exact(&mut buffer).map_err(short)?;
    Ok(buffer)
}
