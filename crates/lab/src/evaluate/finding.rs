//! [`Finding`]: an evaluation, and of what.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::row::Grouping;
use super::table::columns;
use super::{Columns, Evaluation, Row};

/// What was asked: a system, its library and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Subject {
    /// Title of the part of an experiment.
    pub grid: String,
    /// Who answers.
    pub system: String,
    /// Tracks in the library.
    pub tracks: usize,
    /// Of which recorded; the others are composed.
    pub recorded: usize,
    /// Rows that a query is compared with where it is compared with all, for a system that has rows.
    pub rows: Option<usize>,
    /// Training preset; empty for baselines.
    pub effort: String,
    /// Slots of every stage.
    #[serde(skip)]
    pub slots: Vec<usize>,
    /// Length of a query in seconds.
    pub seconds: f32,
    /// The system hears so many seconds of every track, and queries lie behind them; it hears all without a number.
    pub heard_seconds: Option<f32>,
    /// Bytes of what a system keeps of its library, where that is worth telling.
    pub index_bytes: Option<usize>,
    /// Time of training.
    pub training_seconds: Option<f64>,
    /// Most memory that the process held while training, libraries and all.
    pub training_gigabytes: Option<f64>,
    /// What varies within the grid.
    #[serde(flatten)]
    pub settings: BTreeMap<String, String>,
}

/// An evaluation, and of what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// Of what.
    pub subject: Subject,
    /// All answers.
    pub evaluation: Evaluation,
}

impl Finding {
    /// One row per way of answering and condition.
    pub fn rows(&self) -> Vec<Row> {
        let rows = |answers| Row::of(&self.subject, answers, Grouping::Condition);
        self.evaluation.answers.iter().flat_map(rows).collect()
    }

    /// One row per way of answering, condition and impulse response, by its name: known tracks only, in the clear.
    pub fn rooms(&self) -> Vec<Row> {
        let clear = self.evaluation.answers.iter().filter(|answers| answers.margins.is_none());
        let mut rows: Vec<Row> = clear.flat_map(|answers| Row::of(&self.subject, answers, Grouping::Room)).collect();
        rows.retain(|row| {
            row.equal.is_none() && row.queries > 0 && row.room.as_ref().is_some_and(|room| !room.is_empty())
        });
        rows.sort_by(|a, b| a.room.cmp(&b.room));
        rows
    }

    /// Every record by its columns, with those that tell what was asked.
    pub(crate) fn queries(&self) -> Result<Vec<Columns>, serde_json::Error> {
        let Subject { grid, system, tracks, seconds, settings, .. } = &self.subject;
        let mut of = Columns::new();
        of.extend(settings.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))));
        of.extend([("grid", Value::from(grid.clone())), ("system", system.clone().into())].map(named));
        of.extend([("tracks", Value::from(*tracks)), ("seconds", f64::from(*seconds).into())].map(named));
        let with = |record| {
            let mut columns = columns(record)?;
            columns.extend(of.clone());
            Ok(columns)
        };
        self.evaluation.records().map(with).collect()
    }
}

fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.into(), value)
}
