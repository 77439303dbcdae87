//! [`Work`]: what the server did for one trip, and how long it took.

use std::time::Duration;

use sordino_model::cost::Counts;

/// What the server did for one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Operations, by kind.
    pub counts: Counts,
    /// Time spent on reading the query: checking it, expanding its masks, and bringing it to the Fourier domain.
    pub read: Duration,
    /// Time spent on linear stages.
    pub linear: Duration,
    /// Time spent on selections.
    pub select: Duration,
    /// Time spent on re-randomising and writing the reply.
    pub reply: Duration,
}

impl Work {
    /// All of the time.
    pub fn total(&self) -> Duration {
        self.read + self.linear + self.select + self.reply
    }
}
