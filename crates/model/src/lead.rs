//! [`Lead`]: what tells a track that was heard from the nearest one to a stranger, where the client sees scores.
//!
//! A stranger in a loud room scores low everywhere, and one that resembles the library scores high everywhere. What neither does is to
//! stand out. So the best track must lead the third-best song. The second does not count: it may be another version of the first.

use serde::{Deserialize, Serialize};

use crate::{Answer, Reach, Shade, Verdict};

/// By how much the best song must lead the third-best one to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lead {
    /// The least lead in score units that does not suffice. Without one, or where fewer than three songs were scored, the best score
    /// must be above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<i64>,
    /// Labels that are copies, each with the first label of its song, in ascending order: copies are one song.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<(u32, u32)>,
    /// How far leads reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads: Option<Reach>,
    /// How far best scores reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Reach>,
}

/// What a track is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The best song's lead over the third.
    Lead,
    /// The best score itself.
    Score,
}

/// What speaks for the best track: it is known where `found` is more than `above`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at.
    pub measure: Measure,
    /// How much there is, in score units.
    pub found: i64,
    /// The most that does not suffice.
    pub above: i64,
}

impl Evidence {
    /// Whether it suffices.
    pub fn suffices(&self) -> bool {
        self.found > self.above
    }
}

impl Lead {
    /// What speaks for the best of these labels and scores; nothing where there are none.
    pub fn evidence(&self, scored: impl IntoIterator<Item = (usize, i64)>) -> Option<Evidence> {
        let mut podium = Podium::default();
        scored.into_iter().for_each(|(label, score)| podium.add(self.song(label), score));
        match (self.above, podium.lead()) {
            (Some(above), Some(found)) => Some(Evidence { measure: Measure::Lead, found, above }),
            _ => podium.best().map(|found| Evidence { measure: Measure::Score, found, above: 0 }),
        }
    }

    /// Whether the best of these labels and scores is known.
    pub fn knows(&self, scored: impl IntoIterator<Item = (usize, i64)>) -> bool {
        self.evidence(scored).is_some_and(|evidence| evidence.suffices())
    }

    /// The same evidence before another threshold: one that such a share of strangers passes, from a thousandth to a half. `None` where
    /// the model does not say how far they reach.
    pub(crate) fn at(&self, evidence: Evidence, accepted: f32) -> Option<Evidence> {
        Some(Evidence { above: self.reach(evidence.measure)?.refusing(accepted), ..evidence })
    }

    /// The score that such a share of strangers exceeds, from a thousandth to a half. `None` where the model does not say.
    pub(crate) fn score_refusing(&self, accepted: f32) -> Option<i64> {
        self.scores.map(|reach| reach.refusing(accepted))
    }

    /// Share of strangers that reach as far.
    pub(crate) fn doubt(&self, evidence: &Evidence) -> Option<f32> {
        Some(self.reach(evidence.measure)?.strangers_above(evidence.found))
    }

    fn reach(&self, measure: Measure) -> Option<Reach> {
        match measure {
            Measure::Lead => self.leads,
            Measure::Score => self.scores,
        }
    }

    /// What an answer is worth: by its evidence, or where the server decided and showed none, by the threshold alone.
    pub(crate) fn verdict(&self, answer: &Answer) -> Verdict {
        let reach = self.reach(answer.evidence.map_or(Measure::Score, |evidence| evidence.measure));
        let shade = if answer.known { Shade::Named } else { Shade::Unknown };
        match (reach, &answer.evidence) {
            (Some(reach), Some(evidence)) => reach.verdict(evidence),
            (Some(reach), None) if answer.known => Verdict { shade, wrong: Some(reach.strangers_above(answer.above)) },
            (Some(reach), None) => Verdict { shade, wrong: Some(reach.known_below(answer.above)) },
            (None, _) => Verdict { shade, wrong: None },
        }
    }

    /// The labels of a label's song but itself.
    pub fn copies_of(&self, label: usize) -> impl Iterator<Item = usize> {
        let song = self.song(label);
        let copies =
            self.copies.iter().filter(move |&&(_, first)| first as usize == song).map(|&(copy, _)| copy as usize);
        std::iter::once(song).chain(copies).filter(move |&other| other != label)
    }

    /// The first label of a label's song.
    pub(crate) fn song(&self, label: usize) -> usize {
        let copy = self.copies.binary_search_by_key(&label, |&(copy, _)| copy as usize);
        copy.map_or(label, |place| self.copies[place].1 as usize)
    }
}

/// The three best scores of different songs.
#[derive(Clone, Copy, Debug)]
pub struct Podium<T> {
    places: [Option<(usize, T)>; 3],
}

impl<T> Default for Podium<T> {
    fn default() -> Self {
        Self { places: [None, None, None] }
    }
}

impl<T: PartialOrd + Copy + std::ops::Sub<Output = T>> Podium<T> {
    /// Takes one score of a song.
    pub fn add(&mut self, song: usize, score: T) {
        if self.places[2].is_some_and(|(_, third)| score <= third) {
            return;
        }
        let own = self.places.iter().position(|place| place.is_none_or(|(other, _)| other == song)).unwrap_or(2);
        // An earlier place of the same song is better already.
        if self.places[own].is_some_and(|(other, before)| other == song && score <= before) {
            return;
        }
        self.places[own] = Some((song, score));
        for place in (1..=own).rev() {
            let (above, below) = (self.places[place - 1], self.places[place]);
            if above.zip(below).is_some_and(|((_, above), (_, below))| below > above) {
                self.places.swap(place - 1, place);
            }
        }
    }

    /// The best score.
    pub fn best(&self) -> Option<T> {
        self.places[0].map(|(_, score)| score)
    }

    /// The songs of the best scores, the best first.
    pub fn winners(&self) -> impl Iterator<Item = usize> {
        self.places.into_iter().flatten().map(|(song, _)| song)
    }

    /// The best score less that of the third song, where there are three.
    pub fn lead(&self) -> Option<T> {
        self.places[0].zip(self.places[2]).map(|((_, best), (_, third))| best - third)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_podium_holds_the_best_of_different_songs() {
        // Every order of seven scores of four songs, against sorting.
        let scores = [(0, 5), (1, 9), (0, 7), (2, 7), (3, 1), (1, 2), (2, 8)];
        for shift in 0..scores.len() {
            for step in [1, 2, 3, 4, 5, 6] {
                let mut podium = Podium::default();
                (0..7).map(|i| scores[(shift + i * step) % 7]).for_each(|(song, score)| podium.add(song, score));
                assert_eq!((podium.winners().next(), podium.best(), podium.lead()), (Some(1), Some(9), Some(2)));
            }
        }
        let mut podium = Podium::default();
        assert_eq!((podium.winners().next(), podium.lead()), (None, None));
        podium.add(4, 1.0);
        podium.add(4, 2.0);
        podium.add(5, 0.5);
        assert_eq!((podium.best(), podium.lead()), (Some(2.0), None));
    }

    #[test]
    fn the_best_must_lead_the_third_song() {
        let lead = Lead { above: Some(10), copies: vec![(4, 1), (5, 1)], ..Lead::default() };
        assert!(lead.knows([(0, -80), (1, -60), (2, -71), (3, -75)]));
        assert!(!lead.knows([(0, 80), (1, 83), (2, 71), (3, 75)]));
        // A twin does not stand in the way, and copies of one song are one.
        assert!(lead.knows([(0, 80), (1, 80), (2, 60)]));
        assert!(lead.knows([(0, 60), (1, 80), (4, 80), (5, 79), (2, 61)]));
        // Of fewer than three songs the best must do by itself, as without any lead.
        assert!(lead.knows([(1, 3), (4, 1)]) && !lead.knows([(1, -3), (4, -30)]) && !lead.knows([]));
        let by_score = Evidence { measure: Measure::Score, found: 3, above: 0 };
        assert_eq!((lead.evidence([(1, 3), (4, 1)]), lead.evidence([])), (Some(by_score), None));
        let by_lead = Evidence { measure: Measure::Lead, found: 8, above: 10 };
        assert_eq!(lead.evidence([(0, 80), (1, 83), (3, 75)]), Some(by_lead));
        assert!(Lead::default().knows([(0, 1), (1, 1), (2, 1)]) && !Lead::default().knows([(0, 0), (1, -9), (2, -9)]));
    }
}
