//! [`Bench`]: what a unit is run with, and what comes of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::evaluate::tally::Outcome;
use crate::music::disturbances::SplitDisturbances;
use crate::question::unit::key;
use crate::{LabError, Music, Watch};

/// What a unit is run with.
pub(crate) struct Bench<'a> {
    pub(crate) music: &'a Music,
    pub(crate) cache: PathBuf,
    pub(crate) watch: &'a dyn Watch,
    /// Noise and rooms by their rate, loaded once.
    pub(crate) disturbances: RefCell<HashMap<u32, Rc<SplitDisturbances>>>,
}

/// What came of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Recorded tracks in the library.
    pub(crate) recorded: usize,
    /// Slots of every stage.
    pub(crate) stages: Vec<usize>,
    pub(crate) training_seconds: Option<f64>,
    pub(crate) training_gigabytes: Option<f64>,
    /// One per condition and way of answering, in the same order for every fold.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Bench<'_> {
    /// Noise and rooms at `rate` Hz.
    pub(crate) fn disturbances(&self, rate: u32) -> Result<Rc<SplitDisturbances>, LabError> {
        if let Some(loaded) = self.disturbances.borrow().get(&rate) {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(self.music.disturbances.load(rate)?);
        for file in &loaded.rejected {
            self.watch.note(&format!("left out: {}: {}", file.path.display(), file.error));
        }
        self.disturbances.borrow_mut().insert(rate, Rc::clone(&loaded));
        Ok(loaded)
    }

    /// A name for what follows from a value, from this music and these disturbances.
    pub(crate) fn key<T: Serialize>(&self, value: &T) -> Result<String, LabError> {
        let disturbances = &self.music.disturbances;
        let all = (self.music.recorded.fingerprint(), disturbances.listing()?, disturbances.seed, value);
        key(&all).map_err(|error| LabError::Format { path: self.cache.clone(), reason: error.to_string() })
    }
}
