//! [`Accuracy`]: how often a model is right, in floating point and in integers, on whole batches of queries.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use sordino_model::{Pair, Protocol};

use crate::{FloatModel, LearnError};

/// Tracks kept of every answer.
const TOP: usize = 3;

/// What a model says about one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The best tracks by their place in the library, best first, at most three.
    pub tracks: Vec<u32>,
    /// Whether the best is good enough to be named.
    pub known: bool,
}

/// Shares of queries, each from 0 to 1; shares of nothing are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Queries whose track is in the library.
    pub known_queries: usize,
    /// Queries whose track is not.
    pub unknown_queries: usize,
    /// Of the known: the best track is the right one, named or not.
    pub top_1: f32,
    /// Of the known: the right track is among the best three.
    pub top_3: f32,
    /// Of the known: the right track is best, and named.
    pub named: f32,
    /// Of the known: another track is named.
    pub misnamed: f32,
    /// Of the unknown: nothing is named.
    pub rejected: f32,
}

impl Accuracy {
    /// Compares answers with the truth: the right track's place in the library, or `None` for an unknown song.
    ///
    /// # Errors
    /// [`LearnError::Shape`] where there is not one truth for each answer.
    pub fn of(answers: &[Answer], truths: &[Option<u32>]) -> Result<Self, LearnError> {
        if answers.len() != truths.len() {
            let (found, expected) = (vec![truths.len()], vec![answers.len()]);
            return Err(LearnError::Shape { what: "truths", found, expected });
        }
        let known = || answers.iter().zip(truths).filter_map(|(answer, truth)| truth.map(|truth| (answer, truth)));
        let strange = || answers.iter().zip(truths).filter(|(_, truth)| truth.is_none());
        let (known_queries, unknown_queries) = (known().count(), strange().count());
        let share = |test: &dyn Fn(&Answer, u32) -> bool| {
            known().filter(|&(answer, truth)| test(answer, truth)).count() as f32 / known_queries.max(1) as f32
        };
        let best = |answer: &Answer, truth: u32| answer.tracks.first() == Some(&truth);
        Ok(Self {
            known_queries,
            unknown_queries,
            top_1: share(&best),
            top_3: share(&|answer, truth| answer.tracks.contains(&truth)),
            named: share(&|answer, truth| answer.known && best(answer, truth)),
            misnamed: share(&|answer, truth| answer.known && !best(answer, truth)),
            rejected: strange().filter(|(answer, _)| !answer.known).count() as f32 / unknown_queries.max(1) as f32,
        })
    }
}

/// Answers in floating point to base features `[queries, features]`.
///
/// # Errors
/// [`LearnError::Front`] for features of another width or that are not finite.
pub fn float_answers(
    model: &FloatModel,
    protocol: Protocol,
    features: ArrayView2<f32>,
) -> Result<Vec<Answer>, LearnError> {
    let probes = match protocol {
        Protocol::Flat => None,
        other => Some(other.probes()),
    };
    let threshold = model.known_above(probes.is_none())?;
    let answer = |ranked: Vec<crate::Scored>| Answer {
        tracks: ranked.iter().map(|scored| scored.track).collect(),
        known: ranked.first().is_some_and(|best| best.score > threshold),
    };
    Ok(model.rank(features, probes, TOP)?.into_iter().map(answer).collect())
}

/// Answers in integers, as the encrypted protocols give them, to base features `[queries, features]`.
///
/// # Errors
/// [`LearnError::Pair`] for features of another width or that are not finite.
pub fn integer_answers(
    pair: &Pair<'_>,
    protocol: Protocol,
    features: ArrayView2<f32>,
) -> Result<Vec<Answer>, LearnError> {
    let answer = |found: sordino_model::Answer| Answer {
        tracks: found.top(TOP).map(|label| label as u32).collect(),
        known: found.known,
    };
    Ok(pair.identify_batch(protocol, features, TOP)?.into_iter().map(answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_apart() {
        let answer = |tracks: &[u32], known| Answer { tracks: tracks.to_vec(), known };
        let answers = [
            answer(&[1, 2, 3], true),
            answer(&[2, 1, 3], true),
            answer(&[1], false),
            answer(&[5], true),
            answer(&[], false),
        ];
        let truths = [Some(1), Some(1), Some(1), None, None];
        let accuracy = Accuracy::of(&answers, &truths).unwrap();
        let third = 1.0 / 3.0;
        let expected = Accuracy {
            known_queries: 3,
            unknown_queries: 2,
            top_1: 2.0 * third,
            top_3: 1.0,
            named: third,
            misnamed: third,
            rejected: 0.5,
        };
        assert_eq!(accuracy, expected);
        assert!(Accuracy::of(&answers, &truths[1..]).is_err());
    }
}
