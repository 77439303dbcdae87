//! What is particular to sound: disturbed clips of tracks, and networks on their frames.

pub(crate) mod augmented;
pub(crate) mod clips;
pub(crate) mod embedding;

pub use augmented::{Augmented, labels};
pub use clips::Clips;
pub use embedding::{Block, EmbeddingSettings, Loss, train_embedding};
