//! [`Work`]: what the server did for one query, and how long it took.

use std::time::Duration;

use sordino_model::layout::DecisionCounts;

/// What the server did for one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Steps by kind.
    pub decisions: DecisionCounts,
    /// Time spent on reading the query.
    pub read: Duration,
    /// On autocorrelations and bands.
    pub spectrum: Duration,
    /// On levels.
    pub levels: Duration,
    /// On differences.
    pub differences: Duration,
    /// On the length that scores are held against.
    pub length: Duration,
    /// On scores.
    pub scores: Duration,
    /// On the tournament.
    pub play: Duration,
    /// On reading the winner's position, telling known from unknown, and putting the answer together.
    pub index: Duration,
    /// On writing the reply.
    pub reply: Duration,
}

impl Work {
    /// The steps by name, in order.
    pub fn steps(&self) -> [(&'static str, Duration); 9] {
        [
            ("read", self.read),
            ("spectrum", self.spectrum),
            ("levels", self.levels),
            ("differences", self.differences),
            ("length", self.length),
            ("scores", self.scores),
            ("play", self.play),
            ("index", self.index),
            ("reply", self.reply),
        ]
    }

    /// All of the time.
    pub fn total(&self) -> Duration {
        self.steps().iter().map(|(_, time)| *time).sum()
    }
}
