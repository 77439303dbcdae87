//! [`Row`]: one line of the results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sordino_corpus::Condition;
use sordino_learn::Answer;

/// How many queries ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Queries whose track is in the library.
    pub known: usize,
    /// Of those: the best track is theirs.
    pub top_1: usize,
    /// Of those: theirs is among the best three.
    pub top_3: usize,
    /// Of those: the best track is theirs, and reported known.
    pub named: usize,
    /// Of those: reported unknown.
    pub lost: usize,
    /// Queries whose track is not in the library.
    pub strangers: usize,
    /// Of those: reported unknown.
    pub rejected: usize,
    /// Queries to known tracks for which the system said where in the track they lie.
    pub placed: usize,
    /// Of those: the best track is right and the place within half a second.
    pub located: usize,
}

impl Counts {
    /// Counts one answer; `truth` is the track's place in the library.
    pub fn add(&mut self, answer: &Answer, truth: Option<u32>) {
        match truth {
            Some(track) => {
                self.known += 1;
                let right = answer.tracks.first() == Some(&track);
                self.top_1 += usize::from(right);
                self.named += usize::from(right && answer.known);
                self.top_3 += usize::from(answer.tracks.iter().take(3).any(|&other| other == track));
                self.lost += usize::from(!answer.known);
            }
            None => {
                self.strangers += 1;
                self.rejected += usize::from(!answer.known);
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.known += other.known;
        self.top_1 += other.top_1;
        self.top_3 += other.top_3;
        self.named += other.named;
        self.lost += other.lost;
        self.strangers += other.strangers;
        self.rejected += other.rejected;
        self.placed += other.placed;
        self.located += other.located;
    }
}

/// A way of answering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Method {
    /// `flat`, `routed`, `decided`, or what a baseline does.
    pub protocol: String,
    /// Clusters followed; 0 where there are none.
    pub probes: usize,
    /// `float`, `integer` or `encrypted`.
    pub precision: String,
}

/// What a query costs, and what the way of answering keeps from whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Bytes of all messages to the server.
    pub bytes_up: Option<usize>,
    /// Bytes of all messages from it.
    pub bytes_down: Option<usize>,
    /// Bytes of the evaluation key, sent once.
    pub key_bytes: Option<usize>,
    /// Blind rotations where the server decides, or were it to decide what the client does.
    pub rotations: Option<usize>,
    /// Those of them that must follow one another.
    pub rotations_in_a_row: Option<usize>,
    /// Median time of the server a query.
    pub server_seconds: Option<f64>,
    /// Median time of the client a query.
    pub client_seconds: Option<f64>,
    /// Queries asked encrypted whose answer, or every score of it, equals the clear one.
    pub equal: Option<usize>,
    /// What the server learns.
    pub server_learns: String,
    /// What the client learns beside its answer.
    pub client_learns: String,
}

/// One line of the results: one system, library, way of answering and condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Title of the grid.
    pub grid: String,
    /// Who answers.
    pub system: String,
    /// Tracks in the library.
    pub tracks: usize,
    /// Of which recorded; the others are composed.
    pub recorded: usize,
    /// Training preset; empty for baselines.
    pub effort: String,
    /// Largest number of groups and of their slots at every stage, such as `71 x 77`.
    pub stages: String,
    /// Number of stages.
    pub depth: usize,
    /// Choices of the first stage, where there are several stages.
    pub clusters: Option<usize>,
    /// Length of a query.
    pub seconds: f32,
    /// Condition.
    pub condition: String,
    /// Its noise; none where there is none.
    pub snr_db: Option<f32>,
    /// Its kind: `clean`, `noise`, `reverb`, `noise+reverb`, each with `+band` where band-limited.
    pub disturbance: String,
    /// How it answers.
    #[serde(flatten)]
    pub method: Method,
    /// Queries to known tracks.
    pub queries: usize,
    /// Per cent of those whose best track is right, reported known or not; nothing where only an answer comes back (`decided`).
    pub top_1: Option<f64>,
    /// Per cent of those whose track is among the best three, as `top_1`.
    pub top_3: Option<f64>,
    /// Standard error of `top_1` in points, over queries; noise and rooms are a sample too, and not counted in it.
    pub top_1_error: Option<f64>,
    /// Per cent of those whose best track is right and reported known.
    pub named: Option<f64>,
    /// Per cent of those reported unknown.
    pub lost: Option<f64>,
    /// Queries to tracks outside the library.
    pub strangers: usize,
    /// Per cent of those reported unknown.
    pub rejected: Option<f64>,
    /// Per cent of queries whose track and place in it, where the system tells, are right.
    pub located: Option<f64>,
    /// Costs.
    #[serde(flatten)]
    pub price: Price,
    /// Time of training.
    pub training_seconds: Option<f64>,
    /// Most memory that the process held while training, libraries and all.
    pub training_gigabytes: Option<f64>,
    /// What varies within the grid.
    #[serde(flatten)]
    pub knobs: BTreeMap<String, String>,
}

impl Row {
    /// Columns in the order of a table; what varies within a grid comes after the first of them.
    pub(crate) const COLUMNS: [&str; 36] = [
        "grid",
        "system",
        "tracks",
        "recorded",
        "effort",
        "stages",
        "depth",
        "clusters",
        "seconds",
        "condition",
        "snr_db",
        "disturbance",
        "protocol",
        "probes",
        "precision",
        "queries",
        "top_1",
        "top_1_error",
        "top_3",
        "named",
        "lost",
        "strangers",
        "rejected",
        "located",
        "equal",
        "rotations",
        "rotations_in_a_row",
        "bytes_up",
        "bytes_down",
        "key_bytes",
        "server_seconds",
        "client_seconds",
        "training_seconds",
        "training_gigabytes",
        "server_learns",
        "client_learns",
    ];
}

/// The condition of a row over queries under all conditions.
pub(crate) const MIXED: &str = "mixed";

/// What a condition is, in columns.
pub(crate) fn disturbance(condition: &str) -> (Option<f32>, String) {
    let Ok(parsed) = condition.parse::<Condition>() else { return (None, condition.to_owned()) };
    let parts = [parsed.noise_db.map(|_| "noise"), parsed.reverb.then_some("reverb"), parsed.band_hz.map(|_| "band")];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (parsed.noise_db, if parts.is_empty() { "clean".into() } else { parts.join("+") })
}

/// A share in per cent, or nothing of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| (1_000.0 * part as f64 / whole as f64).round() / 10.0)
}

/// The standard error of a share, in points.
pub(crate) fn standard_error(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| {
        let share = part as f64 / whole as f64;
        (1_000.0 * (share * (1.0 - share) / whole as f64).sqrt()).round() / 10.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_apart() {
        let mut counts = Counts::default();
        let answer = |tracks: &[u32], known| Answer { tracks: tracks.to_vec(), known };
        counts.add(&answer(&[4, 2, 9], true), Some(4));
        counts.add(&answer(&[2, 9, 4], false), Some(4));
        counts.add(&answer(&[], false), None);
        counts.add(&answer(&[1], true), None);
        let once =
            Counts { known: 2, top_1: 1, top_3: 2, named: 1, lost: 1, strangers: 2, rejected: 1, ..Counts::default() };
        assert_eq!(counts, once);
        counts.merge(once);
        assert_eq!((counts.known, counts.rejected), (4, 2));
        assert_eq!((percent(1, 3), percent(1, 0)), (Some(33.3), None));
        assert_eq!(standard_error(50, 100), Some(5.0));
    }

    #[test]
    fn every_field_is_a_column() {
        let method = Method { protocol: "flat".into(), probes: 0, precision: "float".into() };
        let row = Row {
            grid: String::new(),
            system: String::new(),
            tracks: 0,
            recorded: 0,
            effort: String::new(),
            stages: String::new(),
            depth: 1,
            clusters: None,
            seconds: 10.0,
            condition: "clean".into(),
            snr_db: None,
            disturbance: "clean".into(),
            method,
            queries: 0,
            top_1: None,
            top_3: None,
            top_1_error: None,
            named: None,
            lost: None,
            strangers: 0,
            rejected: None,
            located: None,
            price: Price::default(),
            training_seconds: None,
            training_gigabytes: None,
            knobs: BTreeMap::new(),
        };
        let value = serde_json::to_value(row).unwrap();
        let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = Row::COLUMNS.to_vec();
        fields.sort_unstable();
        columns.sort_unstable();
        assert_eq!(fields, columns);
    }

    #[test]
    fn conditions_are_columns() {
        assert_eq!(disturbance("clean"), (None, "clean".into()));
        assert_eq!(disturbance(MIXED), (None, MIXED.into()));
        assert_eq!(disturbance("-5dB+reverb"), (Some(-5.0), "noise+reverb".into()));
        assert_eq!(disturbance("0dB+300-3400Hz"), (Some(0.0), "noise+band".into()));
    }
}
