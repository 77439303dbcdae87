//! What is particular to sound: disturbed clips of tracks and passages, and networks on their frames.

pub(crate) mod augmented_clips;
pub(crate) mod clip_examples;
pub(crate) mod clips;
pub(crate) mod copies;
pub(crate) mod embedding;
pub(crate) mod passages;

pub use augmented_clips::{AugmentedClips, labels};
pub use clips::Clips;
pub use copies::songs;
pub use embedding::{Block, EmbeddingSettings, Loss, train_embedding};
