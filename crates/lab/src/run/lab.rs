//! [`Lab`]: runs an experiment, unit by unit, and remembers every unit that is done.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sordino_model::{Decider, Protocol};

use crate::evaluate::row::{Counts, Method, Price, Row, disturbance, percent, standard_error};
use crate::music::Shelf;
use crate::question::unit::{System, Unit};
use crate::question::{Grid, Question};
use crate::run::bench::{Bench, Done};
use crate::system::{opponent, ours};
use crate::{LabError, Music, Watch};

/// Raise it when results of old units must not be used any more.
const REVISION: u32 = 3;

/// Where experiments are run.
pub struct Lab<'a>(Bench<'a>);

impl<'a> Lab<'a> {
    /// A lab that works on `music` and keeps indexes, models and the results of finished units in `cache`.
    pub fn new(music: &'a Music, cache: &Path, watch: &'a dyn Watch) -> Self {
        Self(Bench { music, cache: cache.to_owned(), watch, disturbances: RefCell::default() })
    }

    /// Runs what has not been run before, and returns all rows.
    ///
    /// # Errors
    /// [`LabError`] from the first unit that fails; those before it are remembered.
    pub fn run(&self, question: &Question) -> Result<Vec<Row>, LabError> {
        let units: Vec<Unit> = question
            .grids
            .iter()
            .map(Grid::units)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| LabError::Setting {
                setting: "a grid".into(),
                found: reason,
                expected: "settings that fit together".into(),
            })?
            .concat();
        // A stranger's place in the library is taken by a further track.
        let largest = units.iter().map(|unit| unit.library.tracks + unit.library.asked).max().unwrap_or(0);
        let Bench { music, cache, watch, .. } = &self.0;
        let shelf = Shelf::new(music, &cache.join("indexes"), largest, *watch);
        let mut results: Vec<(Unit, Vec<Done>)> = Vec::new();
        for (place, unit) in units.iter().enumerate() {
            watch.note(&format!("[{}/{}] {}", place + 1, units.len(), unit.describe()));
            let done = self.done(unit, &shelf)?;
            // Folds of one setting are one result.
            let whole = unit.without_fold();
            match results.iter_mut().find(|(other, _)| *other == whole) {
                Some((_, folds)) => folds.push(done),
                None => results.push((whole, vec![done])),
            }
        }
        Ok(results.iter().flat_map(|(unit, folds)| rows(unit, folds)).collect())
    }

    /// The result of a unit, from the cache where it is there.
    fn done(&self, unit: &Unit, shelf: &Shelf<'_>) -> Result<Done, LabError> {
        let bench = &self.0;
        let folder = bench.cache.join("units");
        let path = folder.join(format!("{}.json", bench.key(&(REVISION, env!("CARGO_PKG_VERSION"), unit.work()))?));
        let format = |error: serde_json::Error| LabError::Format {
            path: path.clone(),
            reason: format!("{error}; delete the file, and it is made again"),
        };
        if let Ok(text) = fs::read_to_string(&path) {
            return serde_json::from_str(&text).map_err(format);
        }
        let put = shelf.put(&unit.library)?;
        let done = match &unit.system {
            System::Sordino(training) => ours::run(bench, unit, training, &put)?,
            System::Baseline(kind) => opponent::run(bench, unit, *kind, &put)?,
        };
        fs::create_dir_all(&folder).map_err(LabError::io(&folder, "make"))?;
        let text = serde_json::to_string_pretty(&done).map_err(format)?;
        // Written aside and renamed: an interrupted run leaves no half of a result.
        let aside = path.with_extension("part");
        fs::write(&aside, &text).map_err(LabError::io(&aside, "write"))?;
        fs::rename(&aside, &path).map_err(LabError::io(&path, "write"))?;
        // As a later run will read it: the last bit of a number with seventeen digits does not always survive the file.
        serde_json::from_str(&text).map_err(format)
    }
}

/// A unit's rows; folds are added up, and their times too.
fn rows(unit: &Unit, folds: &[Done]) -> Vec<Row> {
    let Some(first) = folds.first() else { return Vec::new() };
    let mut merged: BTreeMap<(usize, Method), (Counts, Price)> = BTreeMap::new();
    for (place, outcome) in folds.iter().flat_map(|fold| fold.outcomes.iter().enumerate()) {
        let entry = merged.entry((place, outcome.method.clone()));
        let nothing = || (Counts::default(), Price { equal: None, ..outcome.price.clone() });
        let (counts, price) = entry.or_insert_with(nothing);
        counts.merge(outcome.counts);
        price.equal = outcome.price.equal.map(|equal| equal + price.equal.unwrap_or(0));
    }
    let total = |of: fn(&Done) -> Option<f64>| folds.iter().map(of).sum::<Option<f64>>();
    let largest = |of: fn(&Done) -> Option<f64>| folds.iter().filter_map(of).reduce(f64::max);
    let (effort, stages) = match &unit.system {
        System::Sordino(training) => (format!("{:?}", training.effort).to_lowercase(), first.stages.clone()),
        System::Baseline(_) => (String::new(), Vec::new()),
    };
    let row = |((place, method), (counts, price)): ((usize, Method), (Counts, Price))| {
        let condition = first.outcomes[place].condition.clone();
        let (snr_db, disturbance) = disturbance(&condition);
        // Where the server decides, the client sees an answer and no ranking.
        let decided = method.protocol.parse::<Protocol>().is_ok_and(|p| p.decider() == Decider::Server);
        let ranked = !decided;
        let stages: &[usize] = if method.protocol == "flat" { &[] } else { &stages };
        Row {
            grid: unit.grid.clone(),
            system: unit.system.name().into(),
            tracks: unit.library.tracks,
            recorded: first.recorded,
            effort: effort.clone(),
            stages: stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x "),
            depth: stages.len().max(1),
            clusters: stages.first().copied().filter(|_| stages.len() > 1),
            seconds: unit.asking.seconds,
            condition,
            snr_db,
            disturbance,
            method,
            queries: counts.known,
            // Where the server decides, nothing is ranked behind the threshold.
            top_1: percent(counts.top_1, counts.known).filter(|_| ranked),
            top_3: percent(counts.top_3, counts.known).filter(|_| ranked),
            top_1_error: standard_error(counts.top_1, counts.known).filter(|_| ranked),
            named: percent(counts.named, counts.known),
            lost: percent(counts.lost, counts.known),
            strangers: counts.strangers,
            rejected: percent(counts.rejected, counts.strangers),
            located: percent(counts.located, counts.placed),
            price,
            training_seconds: total(|fold| fold.training_seconds),
            training_gigabytes: largest(|fold| fold.training_gigabytes),
            knobs: unit.knobs.iter().cloned().collect(),
        }
    };
    merged.into_iter().map(row).collect()
}
