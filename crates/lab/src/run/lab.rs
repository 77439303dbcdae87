//! [`Lab`]: runs an experiment, unit by unit, and remembers every unit that is done.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sordino_corpus::SoundOptions;
use sordino_model::ModelHash;
use sordino_model::files::{read_file, write_file};

use crate::evaluate::{Evaluation, Finding, Queries, Subject};
use crate::key::key;
use crate::machine::{peak_gigabytes, reset_peak};
use crate::music::library::{LibraryStore, Placement};
use crate::question::unit::Unit;
use crate::question::{Grid, Question};
use crate::system::registry::Recipe;
use crate::system::{Construction, Networks};
use crate::{DisturbanceCache, LabError, Monitor, Music};

/// Raise it when results of old units must not be used any more.
const REVISION: u32 = 6;
/// Seed of what is asked.
const SEED: u64 = 1;
/// Steps of a bar that shows a fraction.
const STEPS: f32 = 1_000.0;

/// Where experiments are run.
pub struct Lab<'a> {
    music: &'a Music,
    cache: PathBuf,
    monitor: &'a dyn Monitor,
    disturbances: DisturbanceCache,
    networks: Networks,
}

/// Largest result of a unit that is read, in bytes.
const MOST_UNIT: u64 = 4 << 30;

/// What came of a unit. Its file is a line with the SHA-256 of what follows, and the outcome as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    /// Recorded tracks in the library.
    recorded: usize,
    /// Slots of every stage.
    slots: Vec<usize>,
    index_bytes: Option<usize>,
    training_seconds: Option<f64>,
    training_gigabytes: Option<f64>,
    evaluation: Evaluation,
}

impl<'a> Lab<'a> {
    /// A lab that works on `music` and keeps indexes, models and the results of finished units in `cache`.
    pub fn new(music: &'a Music, cache: &Path, monitor: &'a dyn Monitor) -> Self {
        let disturbances = DisturbanceCache::new(music.disturbances.clone());
        Self { music, cache: cache.to_owned(), monitor, disturbances, networks: Networks::default() }
    }

    /// Runs what has not been run before, and returns one finding for every setting, all folds of it together.
    ///
    /// # Errors
    /// [`LabError`] from the first unit that fails; those before it are remembered.
    pub fn run(&self, question: &Question) -> Result<Vec<Finding>, LabError> {
        let units = question.grids.iter().map(Grid::units).collect::<Result<Vec<_>, _>>();
        let units = units.map_err(|reason| LabError::Setting {
            setting: "a grid".into(),
            found: reason,
            expected: "settings that fit together".into(),
        })?;
        let units: Vec<Unit> = units.concat();
        // The place of an unknown track in the library is taken by a further one.
        let largest = units.iter().map(|unit| unit.library.tracks + unit.library.asked).max().unwrap_or(0);
        let store = LibraryStore::new(self.music, &self.cache.join("indexes"), largest, self.monitor);
        let mut findings: Vec<(Unit, Finding)> = Vec::new();
        for (place, unit) in units.iter().enumerate() {
            self.monitor.note(&format!("[{}/{}] {}", place + 1, units.len(), unit.describe()));
            let outcome = self.outcome(unit, &store)?;
            // Folds of one setting are one finding.
            let whole = unit.without_fold();
            match findings.iter_mut().find(|(other, _)| *other == whole) {
                Some((_, finding)) => add(finding, outcome),
                None => findings.push((whole, finding(unit, outcome))),
            }
        }
        Ok(findings.into_iter().map(|(_, finding)| finding).collect())
    }

    /// The result of a unit, from the cache where it is there.
    fn outcome(&self, unit: &Unit, store: &LibraryStore<'_>) -> Result<Outcome, LabError> {
        let folder = self.cache.join("units");
        let origin = self.origin()?;
        let name = key(&(origin.as_str(), REVISION, env!("CARGO_PKG_VERSION"), unit.work()))?;
        let path = folder.join(format!("{name}.unit"));
        let format = |error: serde_json::Error| LabError::Format {
            path: path.clone(),
            reason: format!("{error}; delete the file, and it is made again"),
        };
        match read_file(&path, MOST_UNIT) {
            Ok(file) => match signed(&file) {
                Some(text) => return serde_json::from_slice(text).map_err(format),
                None => self.monitor.note(&format!("{}: damaged; the unit is run again", path.display())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(LabError::io(&path, "read")(error)),
        }
        let outcome = self.evaluate(unit, &store.place(&unit.library)?, &origin)?;
        let text = serde_json::to_string(&outcome).map_err(format)?;
        let file = format!("{}\n{text}", ModelHash::of(text.as_bytes()));
        write_file(&path, file.as_bytes()).map_err(LabError::io(&path, "write"))?;
        // As a later run will read it: the last bit of a number with seventeen digits does not always survive the file.
        serde_json::from_str(&text).map_err(format)
    }

    /// A name for where music, noise and impulse responses come from.
    fn origin(&self) -> Result<String, LabError> {
        let Music { recorded, disturbances, .. } = self.music;
        key(&(recorded.state(), disturbances.listing()?, disturbances.seed))
    }

    /// Builds a unit's system and asks it.
    fn evaluate(&self, unit: &Unit, placement: &Placement, origin: &str) -> Result<Outcome, LabError> {
        let Placement { table, asked, recorded } = placement;
        let (catalogue, sound, split) = (table.catalogue(), SoundOptions::default(), unit.queries.split());
        let disturbances = self.disturbances.at(table.spec().sample_rate, self.monitor)?;
        let recipe = Recipe::find(&unit.system.name, unit.system.effort).map_err(|reason| LabError::Setting {
            setting: "systems".into(),
            found: unit.system.name.clone(),
            expected: reason,
        })?;
        let bar = self.monitor.bar(STEPS as u64, recipe.name);
        let progress = |phase: &str, part: f32| {
            bar.set_message(phase.to_owned());
            bar.set_position((STEPS * part) as u64);
        };
        let construction = Construction {
            table,
            catalogue: &catalogue,
            sound: &sound,
            split,
            seconds: unit.queries.seconds,
            training: &disturbances.training,
            origin,
            source: format!("{} tracks, {recorded} recorded", table.len()),
            cache: &self.cache,
            networks: &self.networks,
            monitor: self.monitor,
            progress: &progress,
        };
        reset_peak();
        let start = Instant::now();
        let system = recipe.build(&construction, &unit.system.settings)?;
        let training_seconds = Some(start.elapsed().as_secs_f64());
        let training_gigabytes = peak_gigabytes();
        bar.finish_and_clear();

        let ids: Vec<u32> = catalogue.tracks.iter().map(|track| track.id).collect();
        let place = |track: &sordino_corpus::Track| Some((track.id, table.position(track.id)? as u32));
        let places: HashMap<u32, u32> = asked.tracks.iter().filter_map(place).collect();
        let fold = unit.library.draw();
        let queries = Queries {
            asked,
            ids: &ids,
            places: &places,
            spec: table.spec(),
            seconds: unit.queries.seconds,
            conditions: &unit.queries.conditions,
            crops: unit.queries.crops,
            split,
            // Every fold hears other places, noise and rooms, so that its queries are not those of another fold asked again.
            seed: SEED + fold as u64,
            fold,
            disturbances: &self.disturbances,
            monitor: self.monitor,
        };
        Ok(Outcome {
            recorded: *recorded,
            slots: system.stages(),
            index_bytes: system.index_bytes(),
            training_seconds,
            training_gigabytes,
            evaluation: system.evaluate(&queries, &unit.answers)?,
        })
    }
}

/// The outcome in the file of a unit, if it is what was written.
fn signed(file: &[u8]) -> Option<&[u8]> {
    let end = file.iter().position(|&byte| byte == b'\n')?;
    let (hash, text) = (&file[..end], &file[end + 1..]);
    (hash == ModelHash::of(text).to_string().as_bytes()).then_some(text)
}

fn finding(unit: &Unit, outcome: Outcome) -> Finding {
    let Outcome { recorded, slots, index_bytes, training_seconds, training_gigabytes, evaluation } = outcome;
    let subject = Subject {
        grid: unit.grid.clone(),
        system: unit.system.name.clone(),
        tracks: unit.library.tracks,
        recorded,
        effort: unit.system.effort(),
        slots,
        seconds: unit.queries.seconds,
        heard_seconds: unit.queries.heard_seconds,
        index_bytes,
        training_seconds,
        training_gigabytes,
        settings: unit.columns.iter().cloned().collect(),
    };
    Finding { subject, evaluation }
}

/// Adds another fold: its queries and its time, and its memory where that is more.
fn add(finding: &mut Finding, fold: Outcome) {
    let Subject { training_seconds, training_gigabytes, .. } = &mut finding.subject;
    *training_seconds = training_seconds.zip(fold.training_seconds).map(|(a, b)| a + b);
    *training_gigabytes = [*training_gigabytes, fold.training_gigabytes].into_iter().flatten().reduce(f64::max);
    finding.evaluation.merge(fold.evaluation);
}
