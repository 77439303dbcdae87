//! What is evaluated, as data: integer stages, the circuit that joins them, and the machines that need no cryptography.
//!
//! Comes in: trained weights. Goes out: a [`ClientModel`] (a [`sordino_front::Front`], shapes, labels), a [`ServerModel`]
//! (integer weights per stage), both on disk ([`save`]), and [`circuit::Circuit`]s that a [`circuit::Machine`] walks. [`circuit::Clear`] gives the answer,
//! [`circuit::Range`] proves that nothing overflows, [`cost::Cost`] counts what the encrypted run will do. This crate refuses to know how
//! weights are trained and how ciphertexts work; it has no heavy dependency.

pub mod answer;
mod card;
pub mod circuit;
pub mod cost;
pub mod files;
mod halves;
mod hash;
pub mod layout;
mod lead;
mod protocol;
pub mod raw;
mod reach;
pub mod stage;

pub use answer::{Answer, Match};
pub use card::Card;
pub use files::{Bundle, FileError, HeldOut, load_client, load_files, load_held_out, load_pair, load_server, save};
pub use halves::client::{ClientError, ClientHierarchy, ClientModel, Label};
pub use halves::library::{Library, LibraryError, NewRow, Row, Tuning};
pub use halves::pair::{Pair, PairError};
pub use halves::server::{MAX_SCORE, ServerError, ServerModel};
pub use hash::{HashError, ModelHash};
pub use lead::{Evidence, Lead, Measure, Podium};
pub use protocol::{Decider, Learns, Protocol, Resolution, Routing, UnknownProtocol};
pub use reach::{Reach, SHARES, Shade, Verdict};

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
