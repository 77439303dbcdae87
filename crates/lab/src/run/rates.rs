//! [`Rates`]: how long units took, and what others like them will take.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sordino_learn::TrainConfig;

use crate::LabError;
use crate::question::unit::Unit;
use crate::system::Sordino;

/// What a unit took, a line of `rates.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    system: String,
    effort: String,
    /// What there was to learn: clips, or tracks of a system that does not count in clips.
    work: f64,
    tracks: f64,
    building_seconds: f64,
    gigabytes: Option<f64>,
    /// What was asked in the clear.
    queries: f64,
    /// Encrypted queries, by what they cost: those in which the server decides count a hundred times.
    encrypted: f64,
    asking_seconds: f64,
}

/// What a unit will take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Forecast {
    pub(crate) seconds: f64,
    pub(crate) gigabytes: Option<f64>,
}

/// Everything that was measured in a cache, by whatever machine uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates(Vec<Rate>);

/// How much longer it takes to ask a query where the server decides than where the client does.
const DECIDED: f64 = 100.0;

impl Rate {
    /// What a unit is, without what it took.
    fn of(unit: &Unit) -> Self {
        let tracks = unit.library.tracks as f64;
        let clips = || {
            let config: TrainConfig = unit.system.settings.clone().try_into().ok()?;
            Some(tracks * config.clips(unit.library.tracks) as f64)
        };
        let (asked, _) = unit.library.at_most();
        let answers = &unit.answers;
        let protocols = (1 + answers.probes.len()) as f64;
        Self {
            system: unit.system.name.clone(),
            effort: unit.system.effort(),
            work: if unit.system.name == Sordino::NAME { clips().unwrap_or(tracks) } else { tracks },
            tracks,
            building_seconds: 0.0,
            gigabytes: None,
            queries: (asked * unit.queries.crops * unit.queries.conditions.len()) as f64,
            encrypted: answers.encrypted as f64 * protocols
                + DECIDED * (answers.decided_queries * answers.decided.len()) as f64,
            asking_seconds: 0.0,
        }
    }
}

impl Rates {
    /// Those of a cache.
    pub(crate) fn read(cache: &Path) -> Self {
        // What cannot be read predicts nothing, and stops nothing.
        let text = fs::read_to_string(path(cache)).unwrap_or_default();
        Self(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Remembers what a unit took.
    pub(crate) fn add(
        &mut self,
        cache: &Path,
        unit: &Unit,
        building_seconds: f64,
        gigabytes: Option<f64>,
        asking_seconds: f64,
    ) -> Result<(), LabError> {
        let rate = Rate { building_seconds, gigabytes, asking_seconds, ..Rate::of(unit) };
        let path = path(cache);
        let line = serde_json::to_string(&rate)
            .map_err(|error| LabError::Format { path: path.clone(), reason: error.to_string() })?;
        let appended = File::options().create(true).append(true).open(&path);
        // One write, so that lines of several machines do not mix.
        appended
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(LabError::io(&path, "write"))?;
        self.0.push(rate);
        Ok(())
    }

    /// What a unit will take, by those that are most like it; nothing where there is none.
    pub(crate) fn forecast(&self, unit: &Unit) -> Option<Forecast> {
        let wanted = Rate::of(unit);
        let alike = |rate: &&Rate| rate.system == wanted.system && rate.effort == wanted.effort && rate.work > 0.0;
        let distance = |rate: &Rate| (rate.work / wanted.work).ln().abs();
        // Of equals, the latest.
        let nearest = self.0.iter().rev().filter(alike).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let building = nearest.building_seconds * wanted.work / nearest.work;
        let cost = |rate: &Rate| rate.queries + rate.encrypted;
        let asking = nearest.asking_seconds * cost(&wanted) / cost(nearest).max(1.0);
        // What a small library takes is the program itself, and says nothing of a large one.
        let near = (0.2..=5.0).contains(&(wanted.work / nearest.work));
        let gigabytes =
            nearest.gigabytes.filter(|_| near).map(|gigabytes| gigabytes * (wanted.work / nearest.work).max(1.0));
        Some(Forecast { seconds: building + asking, gigabytes })
    }
}

fn path(cache: &Path) -> PathBuf {
    cache.join("rates.jsonl")
}
