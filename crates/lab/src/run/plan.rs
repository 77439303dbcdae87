//! [`Plan`]: what an experiment will run and take, before anyone pays for it.

use serde::Serialize;

/// What an experiment will run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Every unit, in the order in which they run.
    pub units: Vec<Planned>,
    /// Time of those that are not done, as far as it can be told.
    pub seconds: f64,
    /// Units among them of which nothing is known.
    pub unpredicted: usize,
    /// Most memory that any of them takes, where that can be told.
    pub gigabytes: Option<f64>,
    /// Disk that indexes of the libraries take.
    pub disk_gigabytes: f64,
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// What is run.
    pub unit: String,
    /// Part of the experiment that it belongs to.
    pub grid: String,
    /// Whether its result is in the cache.
    pub done: bool,
    /// Time that it will take, by units like it that ran with this cache.
    pub seconds: Option<f64>,
    /// Memory that it will take.
    pub gigabytes: Option<f64>,
}

impl Plan {
    pub(crate) fn of(units: Vec<Planned>, disk_gigabytes: f64) -> Self {
        let left = || units.iter().filter(|unit| !unit.done);
        Self {
            seconds: left().filter_map(|unit| unit.seconds).sum(),
            unpredicted: left().filter(|unit| unit.seconds.is_none()).count(),
            gigabytes: left().filter_map(|unit| unit.gigabytes).reduce(f64::max),
            disk_gigabytes,
            units,
        }
    }
}
