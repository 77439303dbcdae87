//! What is evaluated, as data: integer stages, the circuit that joins them, and the machines that need no cryptography.
//!
//! Comes in: trained weights. Goes out: a [`ClientModel`] (a [`sordino_front::Front`], shapes, labels), a [`ServerModel`]
//! (integer weights per stage), both on disk ([`save`]), and [`Circuit`]s that a [`Machine`] walks. [`Clear`] gives the answer,
//! [`Range`] proves that nothing overflows, [`Cost`] counts what the encrypted run will do. This crate refuses to know how
//! weights are trained and how ciphertexts work; it has no heavy dependency.

mod card;
mod circuit;
mod clear;
mod client;
mod cost;
mod counts;
mod decide;
mod files;
mod hash;
mod layout;
mod packing;
mod pair;
mod protocol;
mod range;
mod server;
mod shape;
mod stage;
mod timings;
mod tournament;
mod tournament_layout;

pub use card::Card;
pub use circuit::{Circuit, CircuitError, Entry, Input, Machine, Op, Register, StageId};
pub use clear::{Clear, ClearError, ClearValue, ScoredPath};
pub use client::{ClientError, ClientHierarchy, ClientModel, Label};
pub use cost::{Choice, Cost, CostValue};
pub use counts::{CostReport, Counts};
pub use decide::{Answer, GroupScores, Match, Next, Ranked, Ranking, Shortlist, Trips};
pub use files::{Bundle, FileError, load_client, load_pair, load_server, save};
pub use hash::{HashError, ModelHash};
pub use layout::{
    Envelope, IndexLayout, KEY_ID_BYTES, MESSAGE_HEADER, SEED_BYTES, StageLayout, body_bytes, fourier_bytes,
};
pub use packing::{Packing, PackingError, Place, bits_below};
pub use pair::{Pair, PairError};
pub use protocol::{Decider, Learns, Protocol, Resolution, Routing, UnknownProtocol};
pub use range::{Range, RangeError, RangeValue};
pub use server::{MAX_SCORE, ServerError, ServerModel};
pub use shape::{HierarchyShape, StageError, StageShape};
pub use stage::{Hierarchy, Stage};
pub use timings::{Batched, CostStep, Schedule, Timings, batches};
pub use tournament::{DecisionCounts, Tournament};
pub use tournament_layout::{TournamentLayout, TournamentStage};
