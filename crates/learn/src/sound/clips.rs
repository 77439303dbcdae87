//! [`Clips`]: where disturbed training clips come from.

use std::time::Duration;

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;

use crate::LearnError;
use crate::examples::{Classes, Songs};

/// A library that gives out clips as they might be heard: a random excerpt of a passage of a track, disturbed.
pub trait Clips: Sync {
    /// Number of tracks.
    fn tracks(&self) -> usize;

    /// Which passages have rows of their own, as classes with their track as label: by default one for every track.
    fn passages(&self) -> Classes {
        Classes::one_per_label(self.tracks())
    }

    /// Where in its track `passage` begins; by default that is not said.
    fn start(&self, _passage: usize) -> Option<Duration> {
        None
    }

    /// Which tracks are copies of each other; none by default.
    fn songs(&self) -> Songs {
        Songs::distinct(self.tracks())
    }

    /// Which tracks are of one song, the copies that `songs` says and parts of it; copies alone by default.
    fn works(&self, songs: &Songs) -> Songs {
        songs.clone()
    }

    /// How much the clips of `track` count where the space is made, a positive number; all alike by default.
    fn weight(&self, _track: usize) -> f32 {
        1.0
    }

    /// Mel power of one clip of `passage`, shape `[frames, bands]`, with as many frames as a query has. All randomness comes
    /// from `rng`.
    ///
    /// # Errors
    /// [`LearnError`] where the track's sound cannot be had.
    fn draw(&self, passage: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError>;
}
