//! [`Record`]: one query and the answer to it, a line of `queries.csv`.

use serde::{Deserialize, Serialize};
use sordino_model::ClientModel;

use super::{Method, Query};

/// One query, asked in one way. Everything else is counted from these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which fold of the library, from 0.
    pub fold: usize,
    /// The id of the track that the query is of.
    pub track: u32,
    /// Which crop of the track, from 0.
    pub crop: usize,
    /// Where it begins, in samples from the start of the track.
    pub offset: usize,
    /// Its condition.
    pub condition: String,
    /// The impulse response that it is heard through; empty for none.
    pub room: String,
    /// Whether its track is in the library.
    pub in_library: bool,
    /// How it was answered.
    #[serde(flatten)]
    pub method: Method,
    /// Ids of the tracks in the answer, the best first, at most three.
    #[serde(with = "spaced")]
    pub top: Vec<u32>,
    /// Whether the best of them is reported known.
    pub reported_known: bool,
    /// Share of strangers that reach as far, by the model's own word; none where it says none.
    pub doubt: Option<f32>,
    /// Where a system tells where in the track a query lies: whether track and place, as finely as it divides tracks, are right.
    pub located: Option<bool>,
    /// Where a system tells in which part of the library it looked: whether the query's track is there.
    pub routed: Option<bool>,
    /// Encrypted: which secret key of the fold.
    pub key: Option<usize>,
    /// Encrypted: the answer to the same query in the clear, as `top`.
    #[serde(with = "spaced")]
    pub clear: Vec<u32>,
    /// Encrypted: whether all that came back, every score of it, is as in the clear.
    pub equal: Option<bool>,
    /// Where the server decides: how close the race was.
    #[serde(flatten)]
    pub race: Option<Race>,
    /// The server's time, or all of it for a system without a client.
    pub server_milliseconds: Option<f64>,
    /// The client's time.
    pub client_milliseconds: Option<f64>,
}

/// How close a decision of the server was, in the clear, beside how close it may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// Score units by which winners lead, stage by stage.
    #[serde(with = "spaced")]
    pub leads: Vec<u64>,
    /// Score units by which they must lead for the decision to be certain.
    #[serde(with = "spaced")]
    pub margins: Vec<u64>,
    /// Other rows of the winner's track in the race.
    pub siblings: usize,
    /// Distance of the best score from where known and unknown part; none where there is no track.
    pub threshold_distance: Option<f64>,
    /// The distance that it must have; none where no distance is certain.
    pub threshold_margin: Option<f64>,
    /// Whether all leads reach their margins.
    pub certain: bool,
}

impl Record {
    /// Columns in the order of a table.
    pub(crate) const COLUMNS: [&str; 28] = [
        "fold",
        "track",
        "crop",
        "offset",
        "condition",
        "room",
        "in_library",
        "protocol",
        "probes",
        "answers",
        "resolution",
        "precision",
        "top",
        "reported_known",
        "doubt",
        "located",
        "routed",
        "key",
        "clear",
        "equal",
        "leads",
        "margins",
        "siblings",
        "threshold_distance",
        "threshold_margin",
        "certain",
        "server_milliseconds",
        "client_milliseconds",
    ];

    /// A query that was not named.
    pub fn new(fold: usize, query: &Query, method: &Method) -> Self {
        Self {
            fold,
            track: query.track,
            crop: query.crop,
            offset: query.offset,
            condition: query.condition.clone(),
            room: query.room.clone(),
            in_library: query.place.is_some(),
            method: method.clone(),
            ..Self::default()
        }
    }

    /// Says whether track and place are right, where a query to the library was told to begin at `start`, in seconds, give or take `near`.
    pub(crate) fn locate(&mut self, query: &Query, start: Option<f32>, near: f32) {
        let right = self.names(&self.top);
        self.located = start.filter(|_| self.in_library).map(|start| right && (start - query.start).abs() <= near);
    }

    /// The same where copies of its track, by the client half of the model that answered, count as the track itself.
    pub(crate) fn with_copies(mut self, client: &ClientModel, ids: &[u32]) -> Self {
        if self.in_library && client.has_copies() {
            let own = ids.iter().position(|&id| id == self.track);
            let copies: Vec<u32> = own.into_iter().flat_map(|own| client.copies(own)).map(|copy| ids[copy]).collect();
            let named = self.top.iter_mut().chain(&mut self.clear).filter(|track| copies.contains(track));
            named.for_each(|track| *track = self.track);
        }
        self
    }

    /// Whether the best track of an answer is the right one.
    pub(crate) fn names(&self, answer: &[u32]) -> bool {
        self.in_library && answer.first() == Some(&self.track)
    }
}

/// A number rounded to thousandths: microseconds of a time in milliseconds.
pub(crate) fn thousandths(value: f64) -> f64 {
    (1e3 * value).round() / 1e3
}

/// Lists as text with spaces between, which fits a cell of a table.
mod spaced {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    pub(super) fn deserialize<'a, T: FromStr, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = |part: &str| part.parse().map_err(|_| D::Error::custom(format!("{part} is no number")));
        text.split_whitespace().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_being_written_and_every_field_is_a_column() {
        let race = Race { leads: vec![7, u64::MAX], margins: vec![3, 4], certain: true, ..Race::default() };
        let record = Record { top: vec![4, 2], race: Some(race), located: Some(false), ..Record::default() };
        let value = serde_json::to_value(&record).unwrap();
        assert_eq!((value["top"].as_str(), value["leads"].as_str()), (Some("4 2"), Some("7 18446744073709551615")));
        let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = Record::COLUMNS.to_vec();
        fields.sort_unstable();
        columns.sort_unstable();
        assert_eq!(fields, columns);
        assert_eq!(serde_json::from_value::<Record>(value).unwrap(), record);
        let plain = Record::default();
        assert_eq!(serde_json::from_str::<Record>(&serde_json::to_string(&plain).unwrap()).unwrap(), plain);
    }
}
