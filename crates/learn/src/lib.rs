//! Features to weights: everything that is learned, in floating point, before the integers.
//!
//! Comes in: cached mel power of a library's tracks, and noise to disturb it with. Goes out: a [`FloatModel`], which
//! the `model` crate turns into the two integer halves. Training is quantisation-aware, seeded, and resumable to the
//! same result. This crate is the only user of Burn; it refuses to know about ciphertexts.

mod augmented;
mod bank;
mod checkpoint;
mod clips;
mod cluster;
mod config;
mod device;
mod embedding;
mod error;
mod evaluate;
mod examples;
mod fake_quant;
mod float_model;
mod hubness;
mod passages;
mod pool;
mod product;
mod progress;
mod routing;
mod stage;
mod tensor;
mod tracks;
mod train;
mod trainer;
mod tree;
mod trunk;
mod unknown;
mod whiten;

pub use augmented::{Augmented, labels};
pub use clips::Clips;
pub use cluster::{ClusterSettings, Clusters};
pub use config::{Effort, TrainConfig};
pub use device::DeviceChoice;
pub use embedding::{Block, EmbeddingSettings, Loss, train_embedding};
pub use error::LearnError;
pub use evaluate::{Accuracy, Answer, float_answers, integer_answers};
pub use fake_quant::{Grid, GridError};
pub use float_model::{FloatModel, Scored};
pub use passages::Passages;
pub use progress::{Bars, Metric, Progress, Quiet, Report, Timed};
pub use routing::RouterSettings;
pub use stage::FloatStage;
pub use tracks::TrackSettings;
pub use train::{train, train_on};
pub use trainer::Descent;
pub use tree::Tree;
pub use trunk::Affine;
pub use unknown::{Threshold, UnknownSettings};
pub use whiten::{Whitening, WhiteningSettings};
