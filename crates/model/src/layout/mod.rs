//! [`StageLayout`] and [`Envelope`]: how the values of a stage and the messages are written.

mod packing;
mod sparse_packing;
mod tournament;
mod tournament_layout;

pub use packing::{Packing, PackingError, Place, bits_below};
pub use sparse_packing::SparsePacking;
pub use tournament::{DecisionCounts, Tournament};
pub use tournament_layout::{TournamentLayout, TournamentStage};

use serde::{Deserialize, Serialize};

/// Bytes of every message before its payload.
pub const MESSAGE_HEADER: usize = 106;

/// Bytes of the SHA-256 with which every message and every key ends.
pub const CHECKSUM_BYTES: usize = 32;

/// Bytes of the name of an evaluation key, in a query that the server decides.
pub const KEY_ID_BYTES: usize = CHECKSUM_BYTES;

/// Bytes of a seed from which the masks of a list of ciphertexts are expanded.
pub const SEED_BYTES: usize = 32;

/// Bytes of a single encrypted number: a seed and one coefficient of a body.
pub const NUMBER_BYTES: usize = SEED_BYTES + 8;

/// Bytes of a polynomial in the Fourier domain: `N/2` complex numbers of two 8-byte floats.
pub fn fourier_bytes(ring: usize) -> usize {
    ring / 2 * 16
}

/// How an encrypted index bit is written: as a GGSW ciphertext of `2 levels` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexLayout {
    /// Digits are in base `2^base_log`.
    pub base_log: u32,
    /// Number of digits.
    pub levels: u32,
    /// Bits kept of every body coefficient.
    pub body_bits: u32,
}

impl IndexLayout {
    /// GLWE ciphertexts in one encrypted bit.
    pub fn rows(&self) -> usize {
        2 * self.levels as usize
    }
}

/// How the values of one stage are written and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageLayout {
    /// Where features and scores are.
    pub packing: Packing,
    /// Bits kept of every body coefficient of the query.
    pub body_bits: u32,
    /// How the index bits are written, where the stage's groups are selected from.
    pub index: Option<IndexLayout>,
    /// Used slots of all groups: what a reply without selection carries.
    pub used: usize,
}

/// How messages are written, beside the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Bits kept of every body coefficient of the zero key that re-randomises replies.
    pub zero_key_bits: u32,
    /// Bits of every coefficient of a reply.
    pub reply_bits: u32,
}

/// Bytes of the bodies of `ciphertexts` seeded ciphertexts, `bits` bits kept of each coefficient.
pub fn body_bytes(ciphertexts: usize, ring: usize, bits: u32) -> usize {
    // In 64 bits: the count of bits may not fit a `usize` of 32.
    (ciphertexts as u64 * ring as u64 * u64::from(bits)).div_ceil(8) as usize
}
