//! [`System`]: whatever names clips, a model of this project or a baseline.

use std::time::{Duration, Instant};

use serde::Serialize;
use sordino_learn::Answer;
use sordino_model::{Learns, Protocol};

use super::record::thousandths;
use super::{Answers, Cost, Evaluation, Method, Queries, Record};
use crate::LabError;

/// What a system says about a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The best tracks, by their place in the library.
    pub answer: Answer,
    /// Tracks of the part of the library that it looked in, by their place, if it picks one.
    pub searched: Option<Vec<u32>>,
    /// How long it took, where that is not the time of the call: a system that answers one query at a time has them wait.
    pub took: Option<Duration>,
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        Self { answer, searched: None, took: None }
    }
}

impl Response {
    /// No track, reported unknown.
    pub fn nothing() -> Self {
        Answer::default().into()
    }
}

/// In which ways a system is to answer, besides the one that it always has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AnswerSettings {
    /// Clusters followed where the client decides, in each way.
    pub probes: Vec<usize>,
    /// Queries asked encrypted where the client decides.
    pub encrypted: usize,
    /// Protocols in which the server decides.
    pub decided: Vec<Protocol>,
    /// Queries asked encrypted in each of those, seconds each.
    pub decided_queries: usize,
    /// Queries asked encrypted in [`Protocol::Raw`], many seconds each. Where there are none, nothing is asked in it: it takes the sound of all queries in memory.
    pub raw: usize,
    /// Secret keys among which encrypted queries are divided.
    pub keys: usize,
    /// Draws the encrypted queries from all.
    pub seed: u64,
}

impl Default for AnswerSettings {
    /// One and two probes, nothing encrypted.
    fn default() -> Self {
        Self { probes: vec![1, 2], encrypted: 0, decided: Vec::new(), decided_queries: 0, raw: 0, keys: 3, seed: 0 }
    }
}

/// A system that names clips.
pub trait System: Sync {
    /// Its name, as questions and results have it.
    fn name(&self) -> &str;

    /// What each side learns, were it asked over a network.
    fn learns(&self) -> Learns;

    /// The sampling rate in Hz that clips must have.
    fn rate(&self) -> u32 {
        8_000
    }

    /// Rows that a query is compared with where it is compared with all: passages and distractors, for a system that has rows.
    fn rows(&self) -> Option<usize> {
        None
    }

    /// Bytes of what it keeps of its library, if that is worth telling.
    fn index_bytes(&self) -> Option<usize> {
        None
    }

    /// Slots of every stage, for a system of several.
    fn stages(&self) -> Vec<usize> {
        Vec::new()
    }

    /// How far from the truth it may tell a place in a track, in seconds: as finely as it divides tracks.
    fn resolves(&self) -> f32 {
        0.5
    }

    /// Names a clip of mono samples at [`System::rate`].
    ///
    /// # Errors
    /// [`LabError`] where the clip cannot be used, for instance silence.
    fn respond(&self, samples: &[f32]) -> Result<Response, LabError>;

    /// Asks it everything, in every way of answering that it has. The default is one way, in the clear, query by query.
    ///
    /// # Errors
    /// [`LabError`] where queries cannot be rendered, or something encrypted is refused.
    fn evaluate(&self, queries: &Queries<'_>, _: &AnswerSettings) -> Result<Evaluation, LabError> {
        let respond = |samples: &[f32]| self.respond(samples);
        Ok(Evaluation { answers: vec![in_the_clear(self, queries, "clear", respond)?] })
    }
}

/// Asks a system in one way, query by query. What it cannot use, it does not name.
pub(crate) fn in_the_clear<S: System + ?Sized>(
    system: &S,
    queries: &Queries<'_>,
    precision: &str,
    respond: impl Fn(&[f32]) -> Result<Response, LabError> + Sync,
) -> Result<Answers, LabError> {
    let spec = queries.spec_at(system.rate());
    let method = Method { precision: precision.into(), ..Method::default() };
    let rendered = queries.render(&spec, |samples| {
        let start = Instant::now();
        let response = respond(samples).unwrap_or_else(|_| Response::nothing());
        let seconds = response.took.unwrap_or_else(|| start.elapsed()).as_secs_f64();
        (response, seconds)
    })?;
    let record = |(query, (response, seconds)): (super::Query, (Response, f64))| {
        let mut record = Record::new(queries.fold, &query, &method);
        record.top = named(&response.answer, queries.ids);
        record.reported_known = response.answer.known;
        record.locate(&query, response.answer.start, system.resolves());
        if let Some(place) = query.place {
            record.routed = response.searched.map(|tracks| tracks.contains(&place));
        }
        record.server_milliseconds = Some(thousandths(1e3 * seconds));
        record
    };
    let records = rendered.into_iter().map(record).collect();
    let Learns { server, client } = system.learns();
    let cost = Cost { server_learns: server.into(), client_learns: client.into(), ..Cost::default() };
    Ok(Answers { method, cost, margins: None, promises: Vec::new(), records })
}

/// The ids of the tracks in an answer.
pub(crate) fn named(answer: &Answer, ids: &[u32]) -> Vec<u32> {
    answer.tracks.iter().map(|&place| ids[place as usize]).collect()
}
