//! [`Evaluation`]: everything that a system answered.

use serde::{Deserialize, Serialize};

use super::{Agreement, Cost, Margins, Method, Record};

/// The answers in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// The way.
    pub method: Method,
    /// What it costs.
    pub cost: Cost,
    /// Where the server decides: by how much winners must lead.
    pub margins: Option<Margins>,
    /// What the model promised of its unknown test, one for each fold; none of a system without such a promise.
    #[serde(default)]
    pub promises: Vec<Promise>,
    /// Every query and its answer.
    pub records: Vec<Record>,
}

/// What a model says of its unknown test, before anyone asks: shares of held-out clips and of imitated strangers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// Share of known clips that are called unknown.
    pub lost: f32,
    /// Share of strangers that are called unknown.
    pub rejected: f32,
}

/// Everything that a system answered, way by way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// One entry a way.
    pub answers: Vec<Answers>,
}

impl Evaluation {
    /// Adds another fold; costs stay those of the first.
    pub fn merge(&mut self, other: Self) {
        for more in other.answers {
            match self.answers.iter_mut().find(|answers| answers.method == more.method) {
                Some(answers) => {
                    answers.promises.extend(more.promises);
                    answers.records.extend(more.records);
                }
                None => self.answers.push(more),
            }
        }
    }

    /// All records, way by way.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.answers.iter().flat_map(|answers| &answers.records)
    }

    /// How the encrypted answers compare with the clear ones, way by way.
    pub fn agreements(&self) -> Vec<Agreement> {
        self.answers.iter().filter_map(Agreement::of).collect()
    }
}
