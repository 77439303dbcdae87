//! Systems that this project is compared with, built on the same libraries and asked the same queries.

mod centroid;
mod cepstral;
mod landmarks;
mod library;
mod neural;
mod softmax;
mod vote;

pub use centroid::{CentroidRouting, CentroidSettings};
pub use cepstral::MfccSettings;
pub use cepstral::encrypted::{EncryptedClip, EncryptedRegression};
pub use cepstral::pairs::{PairRegression, PairSettings};
pub use cepstral::regression::{FlatRegression, RegressionSettings};
pub use cepstral::tree::{DecisionTree, TreeSettings};
pub use landmarks::{LandmarkSettings, Landmarks};
pub use library::{Library, PhaseProgress};
pub use neural::ivf_pq::{IvfPq, IvfPqSettings};
pub use neural::{NeuralFingerprint, NeuralSettings, SegmentEmbedder, SegmentSearch};
pub use softmax::SoftmaxSettings;
