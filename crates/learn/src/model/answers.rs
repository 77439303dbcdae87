//! [`Answer`]: what a model says, in floating point and in integers, to whole batches of queries.

use ndarray::ArrayView2;
use sordino_model::{Pair, Protocol};

use crate::{FloatModel, LearnError};

/// Tracks kept of every answer.
const TOP: usize = 3;

/// What a model says about one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The best tracks by their place in the library, best first, at most three.
    pub tracks: Vec<u32>,
    /// Whether the best is good enough to be named.
    pub known: bool,
    /// Where in the best track the query begins, in seconds, where that is said.
    pub start: Option<f32>,
    /// Share of strangers that reach as far as the best track, where that is said.
    pub doubt: Option<f32>,
}

impl From<sordino_model::Answer> for Answer {
    fn from(found: sordino_model::Answer) -> Self {
        Self {
            tracks: found.top(TOP).map(|label| label as u32).collect(),
            known: found.known,
            start: found.matches.first().and_then(|best| best.start).map(|start| start.as_secs_f32()),
            doubt: None,
        }
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
    // As many as it takes to see three songs, even if copies of one come first.
    let enough = TOP + model.songs.copies().count();
    let answer = |ranked: Vec<crate::Match>| {
        let known = model.knows(probes.is_none(), &ranked)?;
        Ok(Answer {
            tracks: ranked.iter().take(TOP).map(|scored| scored.label).collect(),
            known,
            start: None,
            doubt: None,
        })
    };
    model.rank(features, probes, enough)?.into_iter().map(answer).collect()
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
    let answer = |found| Answer { doubt: pair.client().doubt(protocol, &found), ..found.into() };
    Ok(pair.identify_batch(protocol, features, TOP)?.into_iter().map(answer).collect())
}
