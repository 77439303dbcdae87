//! What the client decides from decrypted scores, in the protocols where it decides; the same for every machine.
//!
//! Whether the best track is the one that was heard is told by [`crate::Lead`].
//! Order, everywhere: the larger score first; of equal scores, the smaller group, then the smaller slot (in a [`Shortlist`]) or the
//! smaller label (in a [`Ranking`]).

use std::cmp::Reverse;
use std::time::Duration;

use crate::circuit::{Circuit, CircuitError};
use crate::{ClientError, ClientHierarchy, Evidence};

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
    /// Score in integer units.
    pub score: i64,
    /// Where in the track the passage with that score begins, where the model says.
    pub start: Option<Duration>,
}

/// Tracks by falling score, each once, and whether the best is the one that was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The tracks.
    pub tracks: Vec<Ranked>,
    /// What speaks for the best.
    pub evidence: Option<Evidence>,
}

impl Ranking {
    /// The best track, known or not.
    pub fn best(&self) -> Option<Ranked> {
        self.tracks.first().copied()
    }

    /// The answer: the best track, `None` for an unknown song.
    pub fn known(&self) -> Option<Ranked> {
        self.best().filter(|_| self.evidence.is_some_and(|evidence| evidence.suffices()))
    }

    /// The labels of the best `count` tracks.
    pub fn top(&self, count: usize) -> impl Iterator<Item = usize> {
        self.tracks.iter().take(count).map(|ranked| ranked.label)
    }
}

/// A track in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index into the model's labels.
    pub label: usize,
    /// Its score in integer units, where the client sees scores.
    pub score: Option<i64>,
    /// Where in the track the passage that was found begins, where the model says: as near as passages lie.
    pub start: Option<Duration>,
}

/// What a query gives, whoever decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether the song is in the library, as far as the decider can tell.
    pub known: bool,
    /// What speaks for the best track, where the client decides.
    pub evidence: Option<Evidence>,
    /// Where the server decided, the score that the best track had to exceed: 0 unless the client asked for another.
    pub above: i64,
    /// Tracks, the best first, each once. Where the client decides these are all tracks it saw scores of; where the server decides,
    /// only those that it returned, and none for an unknown song.
    pub matches: Vec<Match>,
}

impl Answer {
    /// The answer of a server that returned these slots of the last stage, by their numbers among those of all groups, whose scores are
    /// above `above`.
    pub fn of_slots(outline: &ClientHierarchy, slots: impl IntoIterator<Item = usize>, above: i64) -> Self {
        let mut matches: Vec<Match> = Vec::new();
        for slot in slots {
            let Some(label) = outline.label_at(slot) else { continue };
            // A track that lives in several clusters is named once.
            if matches.iter().all(|other| other.label != label) {
                matches.push(Match { label, score: None, start: outline.start_at(slot) });
            }
        }
        Self { known: !matches.is_empty(), evidence: None, above, matches }
    }

    /// Whether another answer says the same of the same tracks, every score of them. Which passage of a track was found may differ: its
    /// passages are no rivals where the server decides.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let tracks = |answer: &Self| answer.matches.iter().map(|found| (found.label, found.score)).collect::<Vec<_>>();
        (self.known, self.evidence) == (other.known, other.evidence) && tracks(self) == tracks(other)
    }

    /// The track, `None` for an unknown song.
    pub fn best(&self) -> Option<Match> {
        self.matches.first().copied().filter(|_| self.known)
    }

    /// The labels of the best `count` tracks, known or not.
    pub fn top(&self, count: usize) -> impl Iterator<Item = usize> {
        self.matches.iter().take(count).map(|found| found.label)
    }
}

impl From<Ranking> for Answer {
    fn from(ranking: Ranking) -> Self {
        let found = |&Ranked { label, score, start }: &Ranked| Match { label, score: Some(score), start };
        let (known, evidence) = (ranking.known().is_some(), ranking.evidence);
        Self { known, evidence, above: 0, matches: ranking.tracks.iter().map(found).collect() }
    }
}

/// The protocol `routed` from the client's side and without any cryptography: one trip per stage, in which the client picks.
///
/// Every trip after the first asks for the same number of groups whatever the scores were: a server that could count them
/// would learn something. Where fewer slots than that were scored, the best group is asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trips {
    probes: usize,
    stage: usize,
    groups: Vec<usize>,
}

/// What [`Trips`] wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another trip.
    Trip(Trips),
    /// Nothing: this is the answer.
    Done(Ranking),
}

impl Trips {
    /// Before the first trip. `probes` groups are followed at every stage, at least 1 and at most as many as there are.
    pub fn new(probes: usize) -> Self {
        Self { probes, stage: 0, groups: vec![0] }
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

    /// The groups that this trip asks for by encrypted indices: none in the first trip.
    pub fn indices(&self) -> &[usize] {
        if self.stage == 0 { &[] } else { &self.groups }
    }

    /// What the server is to run: its inputs are the stage's vector, then the [`Trips::indices`]; its replies are the scores of
    /// each of the [`Trips::groups`] in turn.
    ///
    /// # Errors
    /// [`CircuitError::NoStage`] for a hierarchy of fewer stages.
    pub fn circuit(&self, hierarchy: &ClientHierarchy) -> Result<Circuit, CircuitError> {
        Circuit::trip(hierarchy.shape(), self.stage, self.groups.len())
    }

    /// Takes the decrypted scores of each of the [`Trips::groups`], used slots only, and decides.
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn decide(self, hierarchy: &ClientHierarchy, replies: Vec<Vec<i64>>) -> Result<Next, ClientError> {
        let Self { probes, stage, groups } = self;
        if replies.len() != groups.len() {
            return Err(ClientError::Length { table: "replies", found: replies.len(), expected: groups.len() });
        }
        let scored: Vec<_> =
            groups.into_iter().zip(replies).map(|(group, scores)| GroupScores { group, scores }).collect();
        let Some(next) = hierarchy.shape().stages().get(stage + 1) else {
            return Ok(Next::Done(hierarchy.rank(&scored)?));
        };
        let count = probes.clamp(1, next.groups());
        let Shortlist(mut groups) = hierarchy.shortlist(stage, &scored, count)?;
        let best = groups.first().copied().unwrap_or(0);
        groups.resize(count, best);
        Ok(Next::Trip(Self { probes, stage: stage + 1, groups }))
    }
}

impl ClientHierarchy {
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

    /// The best `top` tracks of [`ClientHierarchy::rank`].
    ///
    /// # Errors
    /// [`ClientError`] for scores that do not fit the stage.
    pub fn rank_top(&self, scored: &[GroupScores], top: usize) -> Result<Ranking, ClientError> {
        self.check_scores(self.shape().stages().len() - 1, scored)?;
        let slots =
            scored.iter().flat_map(|g| g.scores.iter().enumerate().map(|(slot, &score)| (g.group, slot, score)));
        let ranked = slots.filter_map(|(group, slot, score)| {
            Some(Ranked { label: self.label(group, slot)?, score, start: self.start(group, slot) })
        });
        let mut ranked: Vec<Ranked> = ranked.collect();
        ranked.sort_unstable_by_key(|r| (r.label, Reverse(r.score), r.start));
        ranked.dedup_by_key(|r| r.label);
        let evidence = self.lead().evidence(ranked.iter().map(|r| (r.label, r.score)));
        let key = |r: &Ranked| (Reverse(r.score), r.label);
        if top < ranked.len() {
            // Thousands of tracks, a handful wanted: no need to sort the rest.
            ranked.select_nth_unstable_by_key(top, key);
            ranked.truncate(top);
        }
        ranked.sort_unstable_by_key(key);
        Ok(Ranking { tracks: ranked, evidence })
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
