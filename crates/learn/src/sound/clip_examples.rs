//! [`ClipExamples`]: base vectors of disturbed clips.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sordino_front::{FeatureSpec, Front, FrontError, Head, Layer, Network, Quantiser};

use crate::LearnError;
use crate::examples::{Classes, Examples, Purpose, Songs};
use crate::sound::clips::Clips;

/// Clips of a library through the front end that a client will have.
pub(crate) struct ClipExamples<'a> {
    clips: &'a dyn Clips,
    passages: Classes,
    /// Is only asked for base features; its head is never used.
    front: Front,
}

impl<'a> ClipExamples<'a> {
    /// Base features are the hand-made statistics (if `statistics`), then the network's embedding (if any).
    pub(crate) fn new(
        clips: &'a dyn Clips,
        spec: &FeatureSpec,
        statistics: bool,
        network: Option<Network>,
    ) -> Result<Self, LearnError> {
        let width = Front::features_width(spec, statistics, network.as_ref());
        let quantiser = Quantiser::for_unit_vectors(width, 8, 1.0)?;
        let head = Head::new("features", width, vec![Layer::UnitNorm], quantiser)?;
        let front = Front::new(spec.clone(), statistics, network, vec![head])?;
        Ok(Self { clips, passages: clips.passages(), front })
    }
}

impl Examples for ClipExamples<'_> {
    fn classes(&self) -> &Classes {
        &self.passages
    }

    fn width(&self) -> usize {
        self.front.width()
    }

    fn start(&self, passage: usize) -> Option<Duration> {
        self.clips.start(passage)
    }

    fn songs(&self) -> Songs {
        self.clips.songs()
    }

    fn works(&self, songs: &Songs) -> Songs {
        self.clips.works(songs)
    }

    fn weight(&self, track: usize) -> f32 {
        self.clips.weight(track)
    }

    /// Every draw is another excerpt, so purpose and round do not matter. A track may fall silent for longer than a query, so a few
    /// excerpts of the passage are tried, and where it is silent throughout, excerpts of the whole track.
    fn example(
        &self,
        passage: usize,
        _purpose: Purpose,
        _round: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, LearnError> {
        const TRIES: usize = 16;
        let mut tried = 1;
        loop {
            let from = if tried <= TRIES { passage } else { rng.random_range(self.passages.siblings(passage)) };
            let power = self.clips.draw(from, rng)?;
            match self.front.features_of_mel(power.view()) {
                Err(FrontError::NotFinite { .. }) if tried < 4 * TRIES => tried += 1,
                features => return Ok(features?),
            }
        }
    }

    fn front(&self, heads: Vec<Head>) -> Result<Front, FrontError> {
        let front = &self.front;
        Front::new(front.spec()?.clone(), front.has_statistics(), front.network().cloned(), heads)
    }
}
