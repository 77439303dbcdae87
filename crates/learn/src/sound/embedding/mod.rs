//! The learned embedding: a small convolutional network over log-mel frames, trained on disturbed clips.
//!
//! Two losses: normalised temperature-scaled cross entropy between two clips of one track (NT-Xent; Chen et al., 2020,
//! arXiv 2002.05709; for music by Chang et al., 2021, arXiv 2010.11910), and classification of the track by a cosine
//! softmax (Wang et al., 2018, arXiv 1801.09414).

mod encoder;
mod loss;
mod settings;
mod train;

pub use settings::{Block, EmbeddingSettings, Loss};
pub(crate) use train::train;
pub use train::train_embedding;
