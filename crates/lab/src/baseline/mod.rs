//! Systems that this project is compared with, built on the same libraries and asked the same queries.

mod centroid;
mod cepstral;
mod kind;
mod landmarks;
mod library;
mod neural;
mod softmax;
mod vote;

use sordino_learn::Answer;

use crate::LabError;

pub use centroid::{CentroidRouting, CentroidSettings};
pub use cepstral::MfccSettings;
pub use cepstral::encrypted::{EncryptedClip, EncryptedRegression};
pub use cepstral::regression::{FlatRegression, RegressionSettings};
pub use cepstral::tree::{DecisionTree, TreeSettings};
pub use kind::Kind;
pub use landmarks::{LandmarkSettings, Landmarks};
pub use library::{Library, Tell};
pub use neural::ivf_pq::{IvfPq, IvfPqSettings};
pub use neural::{NeuralFingerprint, NeuralSettings, SegmentEmbedder, SegmentSearch};
pub use softmax::SoftmaxSettings;

/// What a system keeps from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Privacy {
    /// What the server learns about the query and its answer.
    pub server_learns: &'static str,
    /// What the client learns beyond its answer.
    pub client_learns: &'static str,
}

/// A system that names clips.
pub trait Baseline: Sync {
    /// What it keeps from whom.
    fn privacy(&self) -> Privacy;

    /// The sampling rate in Hz that clips must have.
    fn rate(&self) -> u32 {
        8_000
    }

    /// The best tracks, by their place in the library it was built from, for a clip of mono samples at [`Baseline::rate`].
    ///
    /// # Errors
    /// [`LabError`] where the clip cannot be used, for instance silence.
    fn answer(&self, samples: &[f32]) -> Result<Answer, LabError>;

    /// The same, with where in the best track the clip begins, in seconds, if the system can tell.
    ///
    /// # Errors
    /// As [`Baseline::answer`].
    fn locate(&self, samples: &[f32]) -> Result<(Answer, Option<f32>), LabError> {
        Ok((self.answer(samples)?, None))
    }
}
