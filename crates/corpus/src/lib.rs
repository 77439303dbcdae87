//! Libraries of tracks: where they come from, their cached mel power, and the queries asked of them.
//!
//! Comes in: a folder in FMA's published layout, a folder of music, or a number of tracks to compose. Goes out: a
//! [`Catalogue`], a [`MelTable`] of cached mel power in Parquet, and query sets that never share an offset, a noise file or
//! an impulse response with training. This crate refuses to know about models and cryptography.

mod cached;
mod catalogue;
mod condition;
mod error;
mod files;
pub mod fma;
pub mod folder;
mod ids;
pub mod index;
mod part;
mod queries;
mod seed;
mod sound;
mod sounds;
mod split;
mod stamp;
pub mod synth;
mod table;

pub use cached::CachedMel;
pub use catalogue::{Catalogue, Rejected, Source, Track, is_unprintable, printable};
pub use condition::Condition;
pub use error::CorpusError;
pub use ids::{follows_from_sound, part_ids};
pub use index::{IndexOptions, IndexReport};
pub use part::Part;
pub use queries::{CropSplit, Query, QuerySet, QuerySpec};
pub use sound::SoundOptions;
pub use sounds::Sounds;
pub use split::{Fold, Holdout, excerpts, folds, parts, split_unknown};
pub use table::{MelStream, MelTable};

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
