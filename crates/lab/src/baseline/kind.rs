//! [`Kind`]: baselines by name, with the settings that experiments use.

use serde::Serialize;

use super::{
    Baseline, CentroidRouting, CentroidSettings, DecisionTree, FlatRegression, Landmarks, Library, NeuralFingerprint,
    NeuralSettings, SegmentSearch, Tell,
};
use crate::{Disturbances, LabError};

/// Which baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Logistic regression on half-seconds of MFCC, and a vote: the winning entry of the bounty.
    MfccRegression,
    /// A decision tree on the same: that entry's first approach.
    MfccTree,
    /// Pairs of spectral peaks (Wang, 2003).
    Landmarks,
    /// Neural fingerprints of single seconds, each neighbour voting for its track.
    NeuralVote,
    /// The same, the best sequence of them winning.
    NeuralSequence,
    /// Two stages as first proposed: clusters of embeddings, the nearest centroid first, no trunk.
    CentroidRouting,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::MfccRegression,
        Self::MfccTree,
        Self::Landmarks,
        Self::NeuralVote,
        Self::NeuralSequence,
        Self::CentroidRouting,
    ];

    /// Its name in a question and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::MfccRegression => "mfcc-regression",
            Self::MfccTree => "mfcc-tree",
            Self::Landmarks => "landmarks",
            Self::NeuralVote => "neural-vote",
            Self::NeuralSequence => "neural-sequence",
            Self::CentroidRouting => "centroid-routing",
        }
    }

    /// Builds it for a library and queries of `seconds`; `training` is what it may be disturbed with.
    ///
    /// # Errors
    /// [`LabError`] where a track cannot be read or training fails.
    pub fn fit(
        self,
        library: &Library<'_>,
        training: &Disturbances,
        seconds: f32,
        seed: u64,
        tell: Tell<'_>,
    ) -> Result<Box<dyn Baseline>, LabError> {
        let Disturbances { noise, impulses } = training;
        let neural = |search| {
            let settings = NeuralSettings { search, ..NeuralSettings::default() };
            NeuralFingerprint::fit(library, noise, impulses, &settings, seed, tell)
        };
        Ok(match self {
            Self::MfccRegression => Box::new(FlatRegression::fit(library, Default::default(), seed, tell)?),
            Self::MfccTree => Box::new(DecisionTree::fit(library, Default::default(), tell)?),
            Self::Landmarks => Box::new(Landmarks::fit(library, Default::default(), tell)?),
            Self::NeuralVote => Box::new(neural(SegmentSearch::Vote)?),
            Self::NeuralSequence => Box::new(neural(SegmentSearch::Sequence)?),
            Self::CentroidRouting => {
                let settings = CentroidSettings { clip_seconds: seconds, ..CentroidSettings::default() };
                Box::new(CentroidRouting::fit(library, noise, impulses, &settings, seed, tell)?)
            }
        })
    }
}
