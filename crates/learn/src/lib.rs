#![doc = include_str!("../README.md")]

pub mod clusters;
mod config;
pub mod distractors;
mod error;
pub mod examples;
pub mod heads;
mod math;
mod model;
pub mod raw;
pub mod run;
pub mod sound;
mod space;
mod train;
pub mod unknown;

pub use config::{Effort, TrainConfig, overlay};
pub use error::LearnError;
pub use model::{Answer, FloatModel, Match, float_answers, integer_answers};
pub use train::{
    Added, Change, Merged, NewTracks, Shares, Step, Surroundings, Tuned, add_tracks, merge_parts, merge_vectors, train,
    train_on, train_part, train_vectors, train_vectors_part, tune,
};
