//! [`tally`]: answers to outcomes.

use serde::{Deserialize, Serialize};
use sordino_learn::Answer;

use crate::evaluate::row::{Counts, Method, Price};
use crate::question::unit::Asking;

/// One way of answering under one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) condition: String,
    pub(crate) method: Method,
    pub(crate) counts: Counts,
    pub(crate) price: Price,
}

/// What was asked: the condition's place in the list, and the track's place in the library, if it is in it.
pub(crate) type Asked = (usize, Option<u32>);

/// One outcome per condition.
pub(crate) fn tally<'a>(
    asking: &Asking,
    answered: impl IntoIterator<Item = (&'a Asked, &'a Answer)>,
    method: &Method,
    price: &Price,
) -> Vec<Outcome> {
    let mut counts = vec![Counts::default(); asking.conditions.len()];
    for (&(condition, truth), answer) in answered {
        counts[condition].add(answer, truth);
    }
    let outcome = |(condition, counts): (&String, Counts)| Outcome {
        condition: condition.clone(),
        method: method.clone(),
        counts,
        price: price.clone(),
    };
    asking.conditions.iter().zip(counts).map(outcome).collect()
}
