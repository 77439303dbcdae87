//! [`Work`]: what the server did for one query, and how long it took.

use std::time::Duration;

use sordino_model::cost::Counts;
use sordino_model::layout::DecisionCounts;

/// What the server did for one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Steps of decisions, by kind.
    pub decisions: DecisionCounts,
    /// Operations of the linear stages.
    pub counts: Counts,
    /// Time spent on reading the query.
    pub read: Duration,
    /// Time spent on making selectors of the bits by which the client asked for groups.
    pub unpack: Duration,
    /// Time spent on linear stages.
    pub linear: Duration,
    /// Time spent on selecting groups.
    pub select: Duration,
    /// Time spent on tournaments, stage by stage.
    pub play: Vec<Duration>,
    /// Time spent on reading the winners' positions, on telling known from unknown, and on passing winners over, stage by stage.
    pub index: Vec<Duration>,
    /// Time spent on putting answers together, and on withholding unknown ones.
    pub threshold: Duration,
    /// Time spent on writing the reply.
    pub reply: Duration,
}

impl Work {
    /// All of the time.
    pub fn total(&self) -> Duration {
        let stages: Duration = self.play.iter().chain(&self.index).sum();
        self.read + self.unpack + self.linear + self.select + stages + self.threshold + self.reply
    }
}
