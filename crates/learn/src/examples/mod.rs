//! What is learned from: examples of classes, as base vectors of one width.
//!
//! A *class* has a row of its own in every classifier. A *label* is what an answer names. Several classes may share a label,
//! as the passages of a track do. [`Examples`] gives base vectors of classes: [`LabelledVectors`] has them ready, and
//! [`crate::sound`] makes them from clips.

pub(crate) mod classes;
pub(crate) mod labelled;
pub(crate) mod places;
pub(crate) mod rounds;
pub(crate) mod songs;

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use sordino_front::{Front, FrontError, Head};

use crate::LearnError;

pub use classes::Classes;
pub use labelled::{LabelledVectors, titles};
pub use songs::Songs;

/// What examples are drawn for. Those of one purpose should not be seen for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// To learn from.
    Training,
    /// To choose the unknown threshold by.
    Calibration,
}

/// Where examples of classes come from.
pub trait Examples: Sync {
    /// The classes, and the label of each.
    fn classes(&self) -> &Classes;

    /// Numbers in a base vector.
    fn width(&self) -> usize;

    /// Where in its label's sound `class` begins; by default that is not said.
    fn start(&self, _class: usize) -> Option<Duration> {
        None
    }

    /// How much the examples of `label` count where the space is made, a positive number; all alike by default.
    fn weight(&self, _label: usize) -> f32 {
        1.0
    }

    /// Which labels are copies of each other; none by default.
    fn songs(&self) -> Songs {
        Songs::distinct(self.classes().labels())
    }

    /// Which labels are of one song, as copies and parts of one recording are, where `songs` are copies: by default copies alone. A part of
    /// a song is no stranger to the others.
    fn works(&self, songs: &Songs) -> Songs {
        songs.clone()
    }

    /// Rounds after which training would see the same examples again; by default it never does.
    fn distinct_rounds(&self) -> usize {
        usize::MAX
    }

    /// One base vector of `class`, shape `[width]`. `round` counts the examples of every class that are drawn for one purpose.
    /// All randomness comes from `rng`.
    ///
    /// # Errors
    /// [`LearnError`] where there is no usable example.
    fn example(
        &self,
        class: usize,
        purpose: Purpose,
        round: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, LearnError>;

    /// The client's front end that makes such vectors and hands them to `heads`.
    ///
    /// # Errors
    /// [`FrontError`] for heads that do not take vectors of this width.
    fn front(&self, heads: Vec<Head>) -> Result<Front, FrontError>;
}
