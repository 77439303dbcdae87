//! [`Lab`]: runs an experiment, unit by unit, and remembers every unit that is done.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sordino_corpus::{Part, SoundOptions};
use sordino_model::ModelHash;
use sordino_model::files::{read_file, write_file};

use crate::evaluate::{Evaluation, Finding, Queries, Subject};
use crate::key::key;
use crate::machine::{peak_gigabytes, reset_peak};
use crate::music::library::{LibraryStore, Placement};
use crate::question::unit::Unit;
use crate::question::{Grid, Question};
use crate::run::plan::{Plan, Planned};
use crate::run::rates::Rates;
use crate::system::{Construction, Networks};
use crate::{DisturbanceCache, LabError, Monitor, Music};

/// Raise it when results of old units must not be used any more.
const REVISION: u32 = 7;
/// Seed of what is asked.
const SEED: u64 = 1;
/// Folder of the cache that holds the results of units.
const UNITS: &str = "units";
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
    /// Rows that a query is compared with where it is compared with all.
    #[serde(default)]
    rows: Option<usize>,
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
        let units = units(question)?;
        let outcomes = self.run_those(&units, |_| true)?;
        Ok(findings(units.iter().zip(outcomes)))
    }

    /// Runs what is in a part of it and has not been run before; returns how many units the part has.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub fn run_part(&self, question: &Question, part: Part) -> Result<usize, LabError> {
        Ok(self.run_those(&units(question)?, |place| part.has(place))?.len())
    }

    /// The findings of an experiment that was run, all of it; nothing is run.
    ///
    /// # Errors
    /// [`LabError::Setting`] where a unit has no result in the cache.
    pub fn merge(&self, question: &Question) -> Result<Vec<Finding>, LabError> {
        let units = units(question)?;
        let origin = self.origin()?;
        let kept = units.iter().map(|unit| self.kept(&self.file(unit, &origin)?));
        let kept: Vec<Option<Outcome>> = kept.collect::<Result<_, LabError>>()?;
        let missing = || units.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        if let Some((first, _)) = missing().next() {
            return Err(LabError::Setting {
                setting: "what is done".into(),
                found: format!(
                    "incomplete: {} of {} units are without a result, such as: {}",
                    missing().count(),
                    units.len(),
                    first.describe()
                ),
                expected: format!(
                    "all results in {}: run the parts that are left, on the same music, noise and rooms",
                    self.cache.join(UNITS).display()
                ),
            });
        }
        Ok(findings(units.iter().zip(kept.into_iter().flatten())))
    }

    /// What would be run, and what that would take by the units that have run with this cache.
    ///
    /// # Errors
    /// [`LabError`] where a grid does not fit together, or the cache cannot be read.
    pub fn plan(&self, question: &Question) -> Result<Plan, LabError> {
        /// Mel power of 30 s at the default spec in float16.
        const BYTES_A_TRACK: f64 = 120e3;
        let units = units(question)?;
        let (origin, rates) = (self.origin()?, Rates::read(&self.cache));
        let planned = |unit: &Unit| {
            let forecast = rates.forecast(unit);
            Ok(Planned {
                unit: unit.describe(),
                grid: unit.grid.clone(),
                done: self.file(unit, &origin)?.exists(),
                seconds: forecast.map(|forecast| forecast.seconds),
                gigabytes: forecast.and_then(|forecast| forecast.gigabytes),
            })
        };
        let planned = units.iter().map(planned).collect::<Result<_, LabError>>()?;
        Ok(Plan::of(planned, BYTES_A_TRACK * largest(&units) as f64 / 1e9))
    }

    /// Runs some units, by their places. A line before each says what is left.
    fn run_those(&self, units: &[Unit], wanted: impl Fn(usize) -> bool) -> Result<Vec<Outcome>, LabError> {
        let store = LibraryStore::new(self.music, &self.cache.join("indexes"), largest(units), self.monitor);
        let origin = self.origin()?;
        let mut rates = Rates::read(&self.cache);
        let chosen: Vec<&Unit> =
            units.iter().enumerate().filter(|(place, _)| wanted(*place)).map(|(_, unit)| unit).collect();
        let files: Vec<PathBuf> = chosen.iter().map(|unit| self.file(unit, &origin)).collect::<Result<_, _>>()?;
        let mut outcomes = Vec::with_capacity(chosen.len());
        for (place, (unit, file)) in chosen.iter().zip(&files).enumerate() {
            let left = left(chosen[place..].iter().zip(&files[place..]), &rates);
            self.monitor.note(&format!("[{}/{}] {}{left}", place + 1, chosen.len(), unit.describe()));
            outcomes.push(match self.kept(file)? {
                Some(outcome) => outcome,
                None => {
                    let start = Instant::now();
                    let leftovers = Mutex::default();
                    let outcome = self.evaluate(unit, &store.place(&unit.library)?, &origin, &leftovers)?;
                    let building = outcome.training_seconds.unwrap_or(0.0);
                    let asking = (start.elapsed().as_secs_f64() - building).max(0.0);
                    let kept = keep(file, &outcome)?;
                    leftovers.into_inner().unwrap_or_default().iter().try_for_each(|folder| remove(folder))?;
                    rates.add(&self.cache, unit, building, outcome.training_gigabytes, asking)?;
                    kept
                }
            });
        }
        Ok(outcomes)
    }

    /// The file of a unit's result.
    fn file(&self, unit: &Unit, origin: &str) -> Result<PathBuf, LabError> {
        let name = key(&(origin, REVISION, env!("CARGO_PKG_VERSION"), unit.work()))?;
        Ok(self.cache.join(UNITS).join(format!("{name}.unit")))
    }

    /// A result that is there and whole.
    fn kept(&self, path: &Path) -> Result<Option<Outcome>, LabError> {
        match read_file(path, MOST_UNIT) {
            Ok(file) => match signed(&file) {
                Some(text) => serde_json::from_slice(text).map(Some).map_err(not_json(path)),
                None => {
                    self.monitor.note(&format!("{}: damaged; the unit is run again", path.display()));
                    Ok(None)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LabError::io(path, "read")(error)),
        }
    }

    /// A name for where music, noise and impulse responses come from.
    fn origin(&self) -> Result<String, LabError> {
        let Music { recorded, disturbances, .. } = self.music;
        key(&(recorded.state(), disturbances.listing()?, disturbances.seed))
    }

    /// Builds a unit's system and asks it.
    fn evaluate(
        &self,
        unit: &Unit,
        placement: &Placement,
        origin: &str,
        leftovers: &Mutex<Vec<PathBuf>>,
    ) -> Result<Outcome, LabError> {
        let Placement { table, asked, recorded } = placement;
        let (catalogue, sound, split) = (table.catalogue(), SoundOptions::default(), unit.queries.split());
        let disturbances = self.disturbances.at(table.spec().sample_rate, self.monitor)?;
        let recipe = unit.system.recipe().map_err(|reason| LabError::Setting {
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
            leftovers,
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
            rows: system.rows(),
            index_bytes: system.index_bytes(),
            training_seconds,
            training_gigabytes,
            evaluation: system.evaluate(&queries, &unit.answers)?,
        })
    }
}

/// Everything that a question runs, in order.
fn units(question: &Question) -> Result<Vec<Unit>, LabError> {
    let units = question.grids.iter().map(Grid::units).collect::<Result<Vec<_>, _>>();
    let units = units.map_err(|reason| LabError::Setting {
        setting: "a grid".into(),
        found: reason,
        expected: "settings that fit together".into(),
    })?;
    Ok(units.concat())
}

/// Tracks of the largest library: the place of an unknown track in the library is taken by a further one.
fn largest(units: &[Unit]) -> usize {
    units.iter().map(|unit| unit.library.tracks + unit.library.asked).max().unwrap_or(0)
}

/// What is left, in words, of units of which some may be done, each with the file of its result; nothing where nothing is known.
fn left<'u>(units: impl Iterator<Item = (&'u &'u Unit, &'u PathBuf)>, rates: &Rates) -> String {
    let mut seconds = 0.0;
    for (unit, _) in units.filter(|(_, file)| !file.exists()) {
        let Some(forecast) = rates.forecast(unit) else { return String::new() };
        seconds += forecast.seconds;
    }
    match seconds {
        0.0 => String::new(),
        s if s < 120.0 => format!("; about {s:.0} s left"),
        s if s < 7_200.0 => format!("; about {:.0} min left", s / 60.0),
        s => format!("; about {:.1} h left", s / 3_600.0),
    }
}

/// One finding for every setting: folds of one setting are one finding.
fn findings<'u>(outcomes: impl Iterator<Item = (&'u Unit, Outcome)>) -> Vec<Finding> {
    let mut findings: Vec<(Unit, Finding)> = Vec::new();
    for (unit, outcome) in outcomes {
        let whole = unit.without_fold();
        match findings.iter_mut().find(|(other, _)| *other == whole) {
            Some((_, finding)) => add(finding, outcome),
            None => findings.push((whole, finding(unit, outcome))),
        }
    }
    findings.into_iter().map(|(_, finding)| finding).collect()
}

fn remove(folder: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LabError::io(folder, "remove")(error)),
        _ => Ok(()),
    }
}

/// Writes a result; returns it as a later run will read it: the last bit of a number with seventeen digits does not always survive.
fn keep(path: &Path, outcome: &Outcome) -> Result<Outcome, LabError> {
    let text = serde_json::to_string(outcome).map_err(not_json(path))?;
    let file = format!("{}\n{text}", ModelHash::of(text.as_bytes()));
    write_file(path, file.as_bytes()).map_err(LabError::io(path, "write"))?;
    serde_json::from_str(&text).map_err(not_json(path))
}

fn not_json(path: &Path) -> impl Fn(serde_json::Error) -> LabError {
    let path = path.to_owned();
    move |error| LabError::Format {
        path: path.clone(),
        reason: format!("{error}; delete the file, and it is made again"),
    }
}

/// The outcome in the file of a unit, if it is what was written.
fn signed(file: &[u8]) -> Option<&[u8]> {
    let end = file.iter().position(|&byte| byte == b'\n')?;
    let (hash, text) = (&file[..end], &file[end + 1..]);
    (hash == ModelHash::of(text).to_string().as_bytes()).then_some(text)
}

fn finding(unit: &Unit, outcome: Outcome) -> Finding {
    let Outcome { recorded, slots, rows, index_bytes, training_seconds, training_gigabytes, evaluation } = outcome;
    let subject = Subject {
        grid: unit.grid.clone(),
        system: unit.system.name.clone(),
        tracks: unit.library.tracks,
        recorded,
        rows,
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
