//! Features to weights: everything that is learned, in floating point, before the integers.
//!
//! Comes in: cached mel power of a library's tracks, and noise to disturb it with. Goes out: a [`FloatModel`], which
//! the `model` crate turns into the two integer halves. Training is quantisation-aware, seeded, and resumable to the
//! same result. This crate is the only user of Burn; it refuses to know about ciphertexts.

pub mod clusters;
mod config;
mod error;
mod evaluate;
pub mod examples;
pub mod heads;
pub mod math;
mod model;
pub mod run;
pub mod sound;
pub mod space;
mod train;
pub mod unknown;

pub use clusters::{ClusterSettings, Clusters, Tree};
pub use config::{Effort, TrainConfig};
pub use error::LearnError;
pub use evaluate::{Answer, float_answers, integer_answers};
pub use examples::Passages;
pub use heads::{Affine, FloatStage, RouterSettings, TrackSettings};
pub use math::{Grid, GridError};
pub use model::{FloatModel, Scored};
pub use run::{Bars, Descent, DeviceChoice, Metric, Progress, Quiet, Report, Timed};
pub use sound::{Augmented, Block, Clips, EmbeddingSettings, Loss, labels, train_embedding};
pub use space::{Whitening, WhiteningSettings};
pub use train::{train, train_on};
pub use unknown::{Threshold, UnknownSettings};
