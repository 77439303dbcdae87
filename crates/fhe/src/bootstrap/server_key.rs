//! [`ServerKey`]: an evaluation key ready for use, expanded once and shared by all queries under its secret key.

use std::io::Read;
use std::path::Path;

use aligned_vec::ABox;
use rayon::prelude::*;
use sordino_model::layout::KEY_ID_BYTES;
use tfhe_fft::c64;

use crate::bootstrap::blind_rotation::RotationKey;
use crate::bootstrap::circuit_bootstrap::CircuitBootstrapKey;
use crate::bootstrap::keyswitch::KeyswitchKey;
use crate::bootstrap::lookup::Lookup;
use crate::keys::evaluation::{BODY_BITS, Block, Section, Sections, read_header, read_keyswitches, read_name};
use crate::keys::file::read_whole;
use crate::keys::gadgets::DecisionGadgets;
use crate::keys::keyswitch::SeededKeyswitchKey;
use crate::params::ParameterSet;
use crate::raw::{RawKey, RawServerKey};
use crate::ring::fourier::Fourier;
use crate::ring::ggsw::{GadgetKey, transform};
use crate::ring::glwe::Glwe;
use crate::wire::checksum::Hashing;
use crate::wire::expansion;
use crate::{EvaluationKey, FheError, KeyId, SecretKey};

/// Blocks that are read before they are expanded, on all threads: 1.6 to 3.2 MB.
const READ_AHEAD: usize = 64;

/// An [`EvaluationKey`] expanded, for [`crate::decision::Server`].
pub struct ServerKey {
    id: KeyId,
    pub(crate) parameters: &'static ParameterSet,
    pub(crate) fourier: Fourier,
    pub(crate) compare: Lookup,
    pub(crate) refresh: Lookup,
    pub(crate) circuit: CircuitBootstrapKey,
    /// What [`crate::raw`] needs besides.
    pub(crate) raw: Option<RawServerKey>,
}

/// The blocks of every section, in the Fourier domain.
pub(crate) struct Expanded {
    pub(crate) compare: Vec<ABox<[c64]>>,
    pub(crate) refresh: Vec<ABox<[c64]>>,
    pub(crate) trace: Vec<ABox<[c64]>>,
    pub(crate) square: ABox<[c64]>,
}

impl EvaluationKey {
    /// Expands the key for use: masks from seeds, GLWE rows into the Fourier domain.
    pub fn expand(&self) -> ServerKey {
        let (p, sections, fourier) =
            (self.parameters, Sections::of(self.parameters), Fourier::new(self.parameters.ring()));
        let all =
            |section: Section, blocks: &[Block]| blocks.par_iter().map(|b| b.expand(section, p, &fourier)).collect();
        let expanded = Expanded {
            compare: all(sections.compare, &self.compare),
            refresh: all(sections.refresh, &self.refresh),
            trace: all(sections.trace, &self.trace),
            square: self.square.expand(sections.square, p, &fourier),
        };
        let raw = self.raw.as_ref().map(|raw| raw.expand(&fourier));
        let key = ServerKey::new(self.id, p, fourier, expanded, &self.compare_keyswitch, &self.refresh_keyswitch);
        ServerKey { raw, ..key }
    }
}

impl Block {
    /// The block in the Fourier domain.
    fn expand(&self, section: Section, p: &ParameterSet, fourier: &Fourier) -> ABox<[c64]> {
        let rows = expansion::expand(&self.0, section.rows, p.ring(), BODY_BITS);
        transform(rows.iter().map(Glwe::as_slice), fourier, &mut fourier.scratch())
    }
}

impl ServerKey {
    pub(crate) fn new(
        id: KeyId,
        parameters: &'static ParameterSet,
        fourier: Fourier,
        expanded: Expanded,
        compare_keyswitch: &SeededKeyswitchKey,
        refresh_keyswitch: &SeededKeyswitchKey,
    ) -> Self {
        let gadgets = DecisionGadgets::STANDARD;
        let trace = expanded.trace.into_iter().map(|rows| GadgetKey::new(gadgets.trace, rows)).collect();
        let square = GadgetKey::new(gadgets.square, expanded.square);
        Self {
            id,
            parameters,
            compare: Lookup {
                keyswitch: KeyswitchKey::expand(
                    compare_keyswitch,
                    parameters,
                    parameters.compare,
                    gadgets.compare_keyswitch,
                ),
                rotation: RotationKey::new(gadgets.compare, expanded.compare),
            },
            refresh: Lookup {
                keyswitch: KeyswitchKey::expand(
                    refresh_keyswitch,
                    parameters,
                    parameters.refresh,
                    gadgets.refresh_keyswitch,
                ),
                rotation: RotationKey::new(gadgets.refresh, expanded.refresh),
            },
            circuit: CircuitBootstrapKey::new(gadgets.selector, trace, square),
            fourier,
            raw: None,
        }
    }

    /// Reads what [`EvaluationKey::write`] wrote and expands it on the way: of the key as it travels, no more than a few blocks are
    /// in memory at a time, but for its part for samples, which is there whole.
    ///
    /// # Errors
    /// [`FheError::EvaluationKey`] or [`FheError::UnknownParameters`].
    pub fn read(input: &mut impl Read) -> Result<Self, FheError> {
        let mut input = Hashing::new(input);
        let key = Self::read_unnamed(&mut input)?;
        Ok(Self { id: read_name(input)?, ..key })
    }

    /// Reads a key without the name at its end.
    pub(crate) fn read_unnamed(input: &mut impl Read) -> Result<Self, FheError> {
        let (parameters, for_samples) = read_header(input)?;
        let (sections, fourier) = (Sections::of(parameters), Fourier::new(parameters.ring()));
        let mut expand = |section: Section| -> Result<Vec<ABox<[c64]>>, FheError> {
            let mut out = Vec::with_capacity(section.blocks);
            while out.len() < section.blocks {
                let ahead = READ_AHEAD.min(section.blocks - out.len());
                let blocks: Vec<Block> =
                    (0..ahead).map(|_| Block::read(input, section, parameters)).collect::<Result<_, _>>()?;
                out.par_extend(blocks.par_iter().map(|block| block.expand(section, parameters, &fourier)));
            }
            Ok(out)
        };
        let expanded = Expanded {
            compare: expand(sections.compare)?,
            refresh: expand(sections.refresh)?,
            trace: expand(sections.trace)?,
            square: Block::read(input, sections.square, parameters)?.expand(sections.square, parameters, &fourier),
        };
        let (compare, refresh) = read_keyswitches(input, parameters)?;
        let raw =
            for_samples.then(|| Ok::<_, FheError>(RawKey::read(input, parameters)?.expand(&fourier))).transpose()?;
        let key = Self::new(KeyId([0; KEY_ID_BYTES]), parameters, fourier, expanded, &compare, &refresh);
        Ok(Self { raw, ..key })
    }

    /// [`ServerKey::read`] from a file that [`EvaluationKey::write`] wrote.
    ///
    /// # Errors
    /// [`FheError::Io`], or [`FheError::InFile`] for what is no evaluation key.
    pub fn load(path: &Path) -> Result<Self, FheError> {
        read_whole(path, Self::read)
    }

    /// Whether it is one of this secret key.
    pub fn belongs_to(&self, secret: &SecretKey) -> bool {
        self.parameters.id == secret.parameters().id && self.compare.keyswitch.opens_under(secret)
    }

    /// The parameter set of the secret keys.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Memory that the key takes.
    pub fn bytes(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, RawServerKey::bytes);
        self.compare.bytes() + self.refresh.bytes() + self.circuit.bytes() + raw
    }
}
