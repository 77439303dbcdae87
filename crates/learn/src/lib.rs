//! Features to weights: everything that is learned, in floating point, before the integers.
//!
//! Comes in: cached mel power of a library's tracks, and noise to disturb it with. Goes out: a [`FloatModel`], which
//! the `model` crate turns into the two integer halves. Training is quantisation-aware, seeded, and resumable to the
//! same result. This crate is the only user of Burn; it refuses to know about ciphertexts.

mod bank;
mod checkpoint;
mod cluster;
mod error;
mod fake_quant;
mod whiten;

pub use cluster::{Clusters, ClusterSettings};
pub use error::LearnError;
pub use fake_quant::{Grid, GridError};
pub use whiten::{Whitening, WhiteningSettings};
