//! [`EmbeddingSettings`].

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::run::descent::Descent;

/// A convolution along time, batch normalisation, ReLU. With as many channels as came in and no stride, what came in is
/// added to the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Channels that come out.
    pub channels: usize,
    /// Taps of the convolution, odd.
    pub taps: usize,
    /// Frames between outputs.
    pub stride: usize,
    /// Frames between taps.
    pub dilation: usize,
}

/// What the network is trained to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Loss {
    /// Two clips of one passage agree, against all other clips of the batch.
    NtXent {
        /// Divides the cosines.
        temperature: f32,
    },
    /// The passage is named among all passages.
    TrackSoftmax {
        /// Inverse temperature that the softmax over cosines starts from; it is learned.
        scale: f32,
    },
}

/// The embedding network and its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingSettings {
    /// Convolutions, first to last.
    pub blocks: Vec<Block>,
    /// Numbers in the embedding.
    pub width: usize,
    /// What it is trained to do.
    pub loss: Loss,
    /// How to descend; an epoch takes two clips of every passage, and a batch of `n` holds both clips of `n / 2` passages.
    pub descent: Descent,
}

impl Default for EmbeddingSettings {
    fn default() -> Self {
        let block = |channels, taps, stride, dilation| Block { channels, taps, stride, dilation };
        let blocks = vec![block(128, 5, 2, 1), block(192, 3, 2, 1), block(192, 3, 1, 2), block(192, 3, 1, 4)];
        let descent = Descent { epochs: 200, batch: 128, learning_rate: 2e-3, weight_decay: 1e-4 };
        Self { blocks, width: 128, loss: Loss::TrackSoftmax { scale: 16.0 }, descent }
    }
}

impl EmbeddingSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.descent.validate("embedding.descent")?;
        let block = |b: &Block| b.channels > 0 && b.taps % 2 == 1 && b.stride > 0 && b.dilation > 0;
        let positive = match self.loss {
            Loss::NtXent { temperature: value } | Loss::TrackSoftmax { scale: value } => {
                value > 0.0 && value.is_finite()
            }
        };
        if self.blocks.is_empty() || !self.blocks.iter().all(block) || self.width == 0 || !positive {
            let expected = "at least one block, odd taps, and positive sizes, temperature or scale".into();
            return Err(LearnError::Setting { setting: "embedding", found: format!("{self:?}"), expected });
        }
        Ok(())
    }
}
