//! What the client decides from decrypted scores, in the protocols where it decides; the same for every machine.
//!
//! Order, everywhere: the larger score first; of equal scores, the smaller group, then the smaller slot (in a
//! [`Shortlist`]) or the smaller label (in a [`Ranking`]).

use std::cmp::Reverse;

use crate::{Circuit, CircuitError, ClientError, Outline};

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

/// The protocol in which the client picks, one trip per stage, from the client's side and without any cryptography.
///
/// Every trip after the first asks for the same number of groups whatever the scores were: a server that could count them
/// would learn something. Where fewer slots than that were scored, the best group is asked for again.
#[derive(Clone, Debug)]
pub struct Trips<'a> {
    outline: &'a Outline,
    probes: usize,
    stage: usize,
    groups: Vec<usize>,
}

/// What [`Trips`] wants next.
#[derive(Clone, Debug)]
pub enum Next<'a> {
    /// Another trip.
    Trip(Trips<'a>),
    /// Nothing: this is the answer.
    Done(Ranking),
}

impl<'a> Trips<'a> {
    /// Before the first trip. `probes` groups are followed at every stage, at least 1 and at most as many as there are.
    pub fn new(outline: &'a Outline, probes: usize) -> Self {
        Self { outline, probes, stage: 0, groups: vec![0] }
    }

    /// The stage that this trip evaluates.
    pub fn stage(&self) -> usize {
        self.stage
    }

    /// The groups that this trip asks for, the best first: the indices that travel encrypted. The first trip takes no
    /// index and gets the scores of group 0.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// What the server is to run: its inputs are the stage's vector, then the [`Trips::groups`] where the stage has more
    /// than one; its replies are the scores of each group in turn.
    ///
    /// # Errors
    /// None in practice: the stage is one of the outline's.
    pub fn circuit(&self) -> Result<Circuit, CircuitError> {
        Circuit::trip(self.outline.shape(), self.stage, self.groups.len())
    }

    /// Takes the decrypted scores of each of the [`Trips::groups`], used slots only, and decides.
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn decide(self, replies: Vec<Vec<i64>>) -> Result<Next<'a>, ClientError> {
        let Self { outline, probes, stage, groups } = self;
        if replies.len() != groups.len() {
            return Err(ClientError::Length { table: "replies", found: replies.len(), expected: groups.len() });
        }
        let scored: Vec<_> =
            groups.into_iter().zip(replies).map(|(group, scores)| GroupScores { group, scores }).collect();
        let Some(next) = outline.shape().stages().get(stage + 1) else {
            return Ok(Next::Done(outline.rank(&scored)?));
        };
        let count = probes.clamp(1, next.groups());
        let Shortlist(mut groups) = outline.shortlist(stage, &scored, count)?;
        let best = groups.first().copied().unwrap_or(0);
        groups.resize(count, best);
        Ok(Next::Trip(Self { outline, probes, stage: stage + 1, groups }))
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
        self.rank_top(scored, usize::MAX)
    }

    /// The best `top` tracks of [`Outline::rank`].
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn rank_top(&self, scored: &[GroupScores], top: usize) -> Result<Ranking, ClientError> {
        self.check_scores(self.shape().stages().len() - 1, scored)?;
        let slots =
            scored.iter().flat_map(|g| g.scores.iter().enumerate().map(|(slot, &score)| (g.group, slot, score)));
        let ranked = slots.filter_map(|(group, slot, score)| Some(Ranked { label: self.label(group, slot)?, score }));
        let mut ranked: Vec<Ranked> = ranked.collect();
        ranked.sort_unstable_by_key(|r| (r.label, Reverse(r.score)));
        ranked.dedup_by_key(|r| r.label);
        let key = |r: &Ranked| (Reverse(r.score), r.label);
        if top < ranked.len() {
            // Thousands of tracks, a handful wanted: no need to sort the rest.
            ranked.select_nth_unstable_by_key(top, key);
            ranked.truncate(top);
        }
        ranked.sort_unstable_by_key(key);
        Ok(Ranking(ranked))
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
