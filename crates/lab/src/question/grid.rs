//! [`Grid`]: a part of an experiment, all combinations of the lists in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sordino_audio::{AugmentSpec, Level};
use sordino_corpus::{Condition, QuerySpec};
use sordino_learn::{Effort, TrainConfig, overlay};
use sordino_model::{Protocol, Resolution};
use toml::{Table, Value};

use super::setting::{Columns, Setting, combinations};
use super::unit::{QuerySettings, SystemSettings, Unit};
use crate::evaluate::AnswerSettings;
use crate::music::library::LibrarySettings;
use crate::system::Sordino;
use crate::system::external::Program;
use crate::system::registry::Recipe;

/// The column of results that says how hard training clips are disturbed.
const AUGMENTATION: &str = "augmentation";
/// The column that says how many rows of songs that do not exist are drawn beside the library's.
const DISTRACTORS: &str = "distractors";

/// All combinations of the lists in it. Everything but `title` has a default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Grid {
    /// What this part of the experiment is about; a column of the results.
    pub title: String,
    /// Tracks in the library: the real ones, as far as there are any, and composed ones.
    pub tracks: Vec<usize>,
    /// Fewest real tracks in a library, for which composed ones stand in where there are not enough.
    pub asked: usize,
    /// `sordino`, or the name of a baseline.
    pub systems: Vec<String>,
    /// Preset of the training settings.
    pub effort: Vec<Effort>,
    /// How hard training clips are disturbed; as the preset says where there is none.
    pub augmentation: Vec<Level>,
    /// Rows of songs that do not exist, drawn beside those of the library for this project's own models; none where there is no number.
    pub distractors: Vec<usize>,
    /// Slots of every routing stage, as in the training settings: `[[]]` is flat, `[[0]]` two stages.
    pub stages: Vec<Vec<usize>>,
    /// Length of a query in seconds.
    pub seconds: Vec<f32>,
    /// Whether queries lie in sound that systems never heard; a number is the second up to which they hear.
    pub heard_seconds: Option<f32>,
    /// Whether queries are the very start of every track, as it was heard in training: what a published figure on training clips means.
    pub aligned: bool,
    /// Conditions of the queries.
    pub conditions: Vec<String>,
    /// Queries a track and condition.
    pub crops: usize,
    /// Clusters followed.
    pub probes: Vec<usize>,
    /// Share of the asked tracks that is left out of the library, to be reported unknown.
    pub unknown: f32,
    /// Parts of which each in turn is unknown; 1 means no folds.
    pub folds: usize,
    /// Queries that are also asked encrypted, in every protocol in which the client decides.
    pub encrypted: usize,
    /// Queries that are also asked where the server decides, seconds each.
    #[serde(alias = "one_trip")]
    pub decided: usize,
    /// Clusters followed where the server decides.
    pub decided_probes: Vec<usize>,
    /// Tracks returned where the server decides.
    pub answers: Vec<usize>,
    /// How finely the server compares scores where it decides.
    pub resolution: Vec<Resolution>,
    /// Secret keys among which encrypted queries are divided.
    pub keys: usize,
    /// Settings of systems, by the name of the system: what is not named keeps its default.
    pub settings: BTreeMap<String, Table>,
    /// Further settings that vary, each with its values: of this project's models where the grid has them, else of every system.
    #[serde(alias = "knob")]
    pub setting: Vec<Setting>,
    /// Programs that the question names.
    #[serde(skip)]
    pub(super) programs: Vec<Program>,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            title: String::new(),
            tracks: vec![400],
            asked: 298,
            systems: vec![Sordino::NAME.into()],
            effort: vec![Effort::Standard],
            augmentation: Vec::new(),
            distractors: Vec::new(),
            stages: vec![vec![0]],
            seconds: vec![10.0],
            heard_seconds: None,
            aligned: false,
            conditions: ["clean", "10dB", "5dB", "0dB", "5dB+reverb"].map(Into::into).to_vec(),
            crops: 2,
            probes: vec![1, 2],
            unknown: 0.0,
            folds: 1,
            encrypted: 0,
            decided: 0,
            decided_probes: vec![1],
            answers: vec![1],
            resolution: vec![Resolution::Standard],
            keys: 3,
            settings: BTreeMap::new(),
            setting: Vec::new(),
            programs: Vec::new(),
        }
    }
}

impl Grid {
    /// The same with every condition as results write it.
    ///
    /// # Errors
    /// A sentence about a condition that is none, or is there twice.
    pub(super) fn canonical(mut self) -> Result<Self, String> {
        let mut seen = BTreeSet::new();
        for text in &mut self.conditions {
            let condition = text.parse::<Condition>().map_err(|error| format!("grid \"{}\": {error}", self.title))?;
            *text = condition.to_string();
            if !seen.insert(text.clone()) {
                return Err(format!("grid \"{}\": conditions have {text} twice", self.title));
            }
        }
        Ok(self)
    }

    /// Columns of results that tell its settings apart.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let level = (!self.augmentation.is_empty()).then_some(AUGMENTATION);
        let drawn = (!self.distractors.is_empty()).then_some(DISTRACTORS);
        self.setting.iter().map(|setting| setting.name.as_str()).chain(level).chain(drawn)
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let wrong = |what: String| Err(format!("grid \"{}\": {what}", self.title));
        let lists = [
            ("tracks", self.tracks.len()),
            ("systems", self.systems.len()),
            ("effort", self.effort.len()),
            ("stages", self.stages.len()),
            ("seconds", self.seconds.len()),
            ("conditions", self.conditions.len()),
        ];
        if let Some((field, _)) = lists.iter().find(|(_, length)| *length == 0) {
            return wrong(format!("{field} is empty, expected at least one value"));
        }
        if let Some(setting) = self.setting.iter().find(|setting| setting.values.is_empty() || setting.sets.is_empty())
        {
            return wrong(format!("setting {} needs paths and values", setting.name));
        }
        for name in self.settings.keys().filter(|name| self.programs.iter().all(|program| program.name != **name)) {
            Recipe::find(name, None).map_err(|reason| format!("grid \"{}\": settings: {reason}", self.title))?;
        }
        let probes = self.probes.contains(&0) || self.decided_probes.contains(&0);
        if self.crops == 0 || self.folds == 0 || self.asked == 0 || probes || self.answers.contains(&0) {
            return wrong("crops, folds, asked, probes and answers must be at least 1".into());
        }
        if self.tracks.contains(&0) || self.seconds.iter().any(|seconds| !(*seconds > 0.0 && seconds.is_finite())) {
            return wrong("tracks and seconds must be above 0".into());
        }
        if self.crops > QuerySpec::MOST_CROPS {
            return wrong(format!("crops is {}, expected at most {}", self.crops, QuerySpec::MOST_CROPS));
        }
        if !(0.0..1.0).contains(&self.unknown) || (self.folds > 1 && self.unknown > 0.0) {
            return wrong("unknown must be from 0 to below 1, and 0 where there are folds".into());
        }
        if self.aligned && self.heard_seconds.is_some() {
            return wrong("queries that are aligned lie where systems hear, so heard_seconds must not be set".into());
        }
        // Every combination must give settings that can be trained with; better now than after an hour.
        self.units().map(|_| ())
    }

    /// Everything that is to be run, in order.
    ///
    /// # Errors
    /// A sentence about the first setting that is wrong.
    pub(crate) fn units(&self) -> Result<Vec<Unit>, String> {
        let mut units = Vec::new();
        for &tracks in &self.tracks {
            for fold in 0..self.folds {
                let folds = (self.folds > 1).then_some((fold, self.folds));
                let library = LibrarySettings { tracks, asked: self.asked, unknown: self.unknown, fold: folds };
                for &seconds in &self.seconds {
                    let queries = QuerySettings {
                        seconds,
                        conditions: self.conditions.clone(),
                        crops: self.crops,
                        heard_seconds: self.heard_seconds,
                        aligned: self.aligned,
                    };
                    for (system, columns) in self.systems()? {
                        self.fits(&system, tracks)?;
                        units.push(Unit {
                            grid: self.title.clone(),
                            library: library.clone(),
                            queries: queries.clone(),
                            system,
                            answers: self.answers(library.draw()),
                            columns,
                        });
                    }
                }
            }
        }
        Ok(units)
    }

    /// Refuses more clusters than a library has rows, where a track has one row.
    fn fits(&self, system: &SystemSettings, tracks: usize) -> Result<(), String> {
        let Ok(config) = system.settings.clone().try_into::<TrainConfig>() else { return Ok(()) };
        let clusters: usize = config.stages.iter().product();
        if config.passage_hop == 0.0 && clusters > tracks {
            return Err(format!("grid \"{}\": {clusters} clusters of {tracks} tracks, expected fewer", self.title));
        }
        Ok(())
    }

    /// In which ways systems answer; every fold draws the queries that are asked encrypted anew.
    fn answers(&self, fold: usize) -> AnswerSettings {
        let mut decided = Vec::new();
        for &probes in self.decided_probes.iter().filter(|_| self.decided > 0) {
            for &answers in &self.answers {
                // A model whose routing layers are not public leaves out the second.
                decided.extend(self.resolution.iter().flat_map(|&resolution| {
                    [
                        Protocol::Decided { probes, answers, resolution },
                        Protocol::PickedDecided { probes, answers, resolution },
                    ]
                }));
            }
        }
        AnswerSettings {
            probes: self.probes.clone(),
            encrypted: self.encrypted,
            decided,
            decided_queries: self.decided,
            keys: self.keys.max(1),
            seed: fold as u64,
            ..AnswerSettings::default()
        }
    }

    /// Every system with its settings, and the columns that tell them apart.
    fn systems(&self) -> Result<Vec<(SystemSettings, Columns)>, String> {
        let mut systems = Vec::new();
        // Beside this project's own models, a baseline is a line to compare with and does not vary.
        let mixed = self.systems.iter().any(|name| name == Sordino::NAME);
        for name in &self.systems {
            let sordino = name == Sordino::NAME;
            // Presets and stages are those of this project's own models.
            let efforts = if sordino { self.effort.iter().copied().map(Some).collect() } else { vec![None] };
            for effort in efforts {
                let program = self.programs.iter().find(|program| program.name == *name).cloned();
                let recipe = Recipe::of(name, effort, program.as_ref())?;
                let wrong = |reason: String| format!("grid \"{}\": {name}: {reason}", self.title);
                let mut settings = recipe.settings.clone().map_err(wrong)?;
                if let Some(over) = self.settings.get(name) {
                    overlay(&mut settings, over);
                }
                let staged = if sordino { self.staged(&settings)? } else { vec![(settings, Columns::new())] };
                let varied = if sordino || !mixed { &self.setting[..] } else { &[] };
                for (settings, level) in staged {
                    for (settings, columns) in combinations(&settings, varied).map_err(wrong)? {
                        recipe.check(&settings).map_err(wrong)?;
                        let system = SystemSettings { name: name.clone(), effort, settings, program: program.clone() };
                        systems.push((system, [level.clone(), columns].concat()));
                    }
                }
            }
        }
        Ok(systems)
    }

    /// Training settings with every list of stages, at every level of augmentation and with every number of distractors.
    fn staged(&self, settings: &Table) -> Result<Vec<(Table, Columns)>, String> {
        let mut all = Vec::new();
        for stages in &self.stages {
            let mut settings = settings.clone();
            settings.insert("stages".into(), value(stages)?);
            if let Some(seconds) = self.heard_seconds {
                settings.insert("train_seconds".into(), value(seconds)?);
            }
            all.push((settings, Columns::new()));
        }
        let level = |&level: &Level| {
            let over = [("augment".into(), value(AugmentSpec::level(level))?)];
            Ok((Table::from_iter(over), (AUGMENTATION.into(), format!("{level:?}").to_lowercase())))
        };
        let drawn = |&rows: &usize| {
            let over = Table::from_iter([("rows".into(), value(rows)?)]);
            Ok((Table::from_iter([("distractors".into(), over.into())]), (DISTRACTORS.into(), rows.to_string())))
        };
        let all = varied(all, self.augmentation.iter().map(level).collect::<Result<_, String>>()?);
        Ok(varied(all, self.distractors.iter().map(drawn).collect::<Result<_, String>>()?))
    }
}

fn value(of: impl Serialize) -> Result<Value, String> {
    Value::try_from(of).map_err(|error| error.to_string())
}

/// All settings with each of the values laid over them and a column that names it; as they are where there is no value.
fn varied(all: Vec<(Table, Columns)>, values: Vec<(Table, (String, String))>) -> Vec<(Table, Columns)> {
    if values.is_empty() {
        return all;
    }
    let with = |(settings, columns): (Table, Columns)| {
        let laid = move |(over, column): &(Table, (String, String))| {
            let mut settings = settings.clone();
            overlay(&mut settings, over);
            (settings, [&columns[..], std::slice::from_ref(column)].concat())
        };
        values.iter().map(laid).collect::<Vec<_>>()
    };
    all.into_iter().flat_map(with).collect()
}
