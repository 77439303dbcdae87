//! What the client decides from decrypted scores, in the protocols where it decides; the same for every machine.
//!
//! Order, everywhere: the larger score first; of equal scores, the smaller group, then the smaller slot (in a
//! [`Shortlist`]) or the smaller label (in a [`Ranking`]).

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::client::{ClientError, Outline};

/// Decrypted scores of one group of a stage, used slots only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupScores {
    /// The group.
    pub group: usize,
    /// One score per used slot.
    pub scores: Vec<i64>,
}

/// Groups of the next stage to ask for, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortlist(pub Vec<usize>);

/// One track and its best score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Index into the model's labels.
    pub label: usize,
    /// Score in integer units, above zero for a known track.
    pub score: i64,
}

/// Tracks by falling score, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking(pub Vec<Ranked>);

impl Ranking {
    /// The best track, known or not.
    pub fn best(&self) -> Option<Ranked> {
        self.0.first().copied()
    }

    /// The answer: the best track if its score is above zero, `None` for an unknown song.
    pub fn known(&self) -> Option<Ranked> {
        self.best().filter(|best| best.score > 0)
    }

    /// The labels of the best `count` tracks.
    pub fn top(&self, count: usize) -> impl Iterator<Item = usize> {
        self.0.iter().take(count).map(|ranked| ranked.label)
    }
}

impl Outline {
    /// Groups of stage `stage + 1` below the `probes` best slots of stage `stage`; fewer where fewer slots were scored.
    ///
    /// The slot `t` of group `g` leads to group `g outputs + t`.
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn shortlist(&self, stage: usize, scored: &[GroupScores], probes: usize) -> Result<Shortlist, ClientError> {
        self.check_scores(stage, scored)?;
        let outputs = self.stage(stage)?.outputs();
        let slots = scored.iter().flat_map(|g| {
            let path = g.group * outputs;
            g.scores.iter().enumerate().map(move |(slot, &score)| (Reverse(score), path + slot))
        });
        let mut slots: Vec<_> = slots.collect();
        slots.sort_unstable();
        slots.dedup();
        Ok(Shortlist(slots.into_iter().take(probes).map(|(_, group)| group).collect()))
    }

    /// Tracks by falling score, from scores of some or all groups of the last stage. A track with several slots keeps its
    /// best score.
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn rank(&self, scored: &[GroupScores]) -> Result<Ranking, ClientError> {
        self.check_scores(self.shape().stages().len() - 1, scored)?;
        let mut best: HashMap<usize, i64> = HashMap::new();
        for g in scored {
            for (slot, &score) in g.scores.iter().enumerate() {
                let Some(label) = self.label(g.group, slot) else { continue };
                best.entry(label).and_modify(|s| *s = score.max(*s)).or_insert(score);
            }
        }
        let mut ranking: Vec<Ranked> = best.into_iter().map(|(label, score)| Ranked { label, score }).collect();
        ranking.sort_unstable_by_key(|r| (Reverse(r.score), r.label));
        Ok(Ranking(ranking))
    }

    fn check_scores(&self, stage: usize, scored: &[GroupScores]) -> Result<(), ClientError> {
        let shape = self.stage(stage)?;
        for GroupScores { group, scores } in scored {
            let absent = ClientError::Absent { what: "group", found: *group, bound: shape.groups() };
            let expected = *shape.counts().get(*group).ok_or(absent)?;
            if scores.len() != expected {
                return Err(ClientError::Scores { group: *group, found: scores.len(), expected });
            }
        }
        Ok(())
    }
}
