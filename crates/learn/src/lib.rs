#![doc = include_str!("../README.md")]

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
mod space;
mod train;
pub mod unknown;

pub use clusters::{ClusterSettings, Tree};
pub use config::{Effort, TrainConfig};
pub use error::LearnError;
pub use evaluate::{Answer, float_answers, integer_answers};
pub use examples::{Classes, Examples, LabelledVectors, Purpose};
pub use heads::{FloatStage, LastStageSettings, RouterSettings};
pub use math::{GridError, UniformGrid};
pub use model::{FloatModel, Match};
pub use run::{Bars, Descent, DeviceChoice, Metric, Progress, Quiet, Report, Stopwatch};
pub use sound::{AugmentedClips, Block, Clips, EmbeddingSettings, Loss, labels, train_embedding};
pub use train::{train, train_on, train_vectors};
pub use unknown::{Threshold, UnknownSettings};
