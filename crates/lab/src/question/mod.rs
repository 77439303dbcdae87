//! [`Question`]: an experiment as data, the `run.toml` of a folder under `experiments/`.

pub(crate) mod knob;
pub(crate) mod unit;

use std::path::Path;

use serde::Deserialize;
use sordino_audio::{AugmentSpec, Level};
use sordino_corpus::{Condition, CropSplit};
use sordino_learn::{Effort, TrainConfig};

use crate::LabError;
use crate::question::knob::{Columns, Knob, Turned, turn};
use crate::question::unit::{Answering, Asking, Library, System, Training, Unit};
use crate::report::figure::Figure;

/// How much of an experiment to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Under a minute: does everything work?
    Smoke,
    /// Minutes: what does it look like?
    Small,
    /// As long as it takes: the answer.
    Full,
}

impl Size {
    /// Every size, the smallest first.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Small, Self::Full];

    /// `smoke`, `small` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Small => "small",
            Self::Full => "full",
        }
    }
}

/// A question: grids of systems, libraries and queries, and how their results are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The question, as a person would ask it.
    pub question: String,
    /// What is run.
    pub grids: Vec<Grid>,
    /// What is drawn.
    pub figures: Vec<Figure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    question: String,
    grid: Vec<toml::Table>,
    #[serde(default)]
    figure: Vec<Figure>,
}

/// All combinations of the lists in it. Everything but `title` has a default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// Slots of every routing stage, as in the training settings: `[[]]` is flat, `[[0]]` two stages.
    pub stages: Vec<Vec<usize>>,
    /// Length of a query in seconds.
    pub seconds: Vec<f32>,
    /// Whether queries lie in sound that training never heard; a number is the second up to which it hears.
    pub heard_seconds: Option<f32>,
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
    /// Queries that are also asked encrypted, in every protocol.
    pub encrypted: usize,
    /// Queries that are also asked in `decided`, where the server decides, seconds each.
    pub one_trip: usize,
    /// Secret keys among which encrypted queries are divided.
    pub keys: usize,
    /// Further settings of the training, each with its values.
    pub knob: Vec<Knob>,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            title: String::new(),
            tracks: vec![400],
            asked: 298,
            systems: vec!["sordino".into()],
            effort: vec![Effort::Standard],
            augmentation: Vec::new(),
            stages: vec![vec![0]],
            seconds: vec![10.0],
            heard_seconds: None,
            conditions: ["clean", "10dB", "5dB", "0dB", "5dB+reverb"].map(Into::into).to_vec(),
            crops: 2,
            probes: vec![1, 2],
            unknown: 0.0,
            folds: 1,
            encrypted: 0,
            one_trip: 0,
            keys: 3,
            knob: Vec::new(),
        }
    }
}

impl Question {
    /// Reads `run.toml` of a folder, with what it says of `size` laid over each grid.
    ///
    /// # Errors
    /// [`LabError::Io`] where there is none, [`LabError::Format`] where it is not as expected.
    pub fn read(folder: &Path, size: Size) -> Result<Self, LabError> {
        let path = folder.join("run.toml");
        if !path.exists() {
            return Err(LabError::Setting {
                setting: "the experiment".into(),
                found: format!("{}, where there is no run.toml", folder.display()),
                expected: "a folder with one, such as experiments/scaling".into(),
            });
        }
        let text = std::fs::read_to_string(&path).map_err(LabError::io(&path, "read the experiment"))?;
        Self::parse(&text, size).map_err(|reason| LabError::Format { path, reason })
    }

    fn parse(text: &str, size: Size) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
        let grids: Vec<Grid> =
            document.grid.into_iter().map(|table| sized(table, size)).collect::<Result<_, String>>()?;
        if grids.is_empty() {
            return Err("no [[grid]]: expected at least one".into());
        }
        grids.iter().try_for_each(Grid::validate)?;
        Ok(Self { question: document.question, grids, figures: document.figure })
    }
}

/// A grid's table without the tables of sizes, but with the fields of the one asked for.
fn sized(mut table: toml::Table, size: Size) -> Result<Grid, String> {
    for other in Size::ALL {
        match table.remove(other.name()) {
            Some(toml::Value::Table(patch)) if other == size => table.extend(patch),
            Some(toml::Value::Table(_)) | None => {}
            Some(value) => return Err(format!("{} is {value}, expected a table of a grid's fields", other.name())),
        }
    }
    toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| error.to_string())
}

impl Grid {
    fn validate(&self) -> Result<(), String> {
        let title = &self.title;
        let lists = [
            ("tracks", self.tracks.len()),
            ("systems", self.systems.len()),
            ("effort", self.effort.len()),
            ("stages", self.stages.len()),
            ("seconds", self.seconds.len()),
            ("conditions", self.conditions.len()),
        ];
        if let Some((field, _)) = lists.iter().find(|(_, length)| *length == 0) {
            return Err(format!("grid \"{title}\": {field} is empty, expected at least one value"));
        }
        if let Some(knob) = self.knob.iter().find(|knob| knob.values.is_empty() || knob.sets.is_empty()) {
            return Err(format!("grid \"{title}\": knob {} needs settings and values", knob.name));
        }
        if self.crops == 0 || self.folds == 0 || self.asked == 0 || self.probes.contains(&0) {
            return Err(format!("grid \"{title}\": crops, folds, asked and probes must be at least 1"));
        }
        if !(0.0..1.0).contains(&self.unknown) || (self.folds > 1 && self.unknown > 0.0) {
            return Err(format!("grid \"{title}\": unknown must be from 0 to below 1, and 0 where there are folds"));
        }
        for condition in &self.conditions {
            condition.parse::<Condition>().map_err(|error| format!("grid \"{title}\": {error}"))?;
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
                let library = Library { tracks, asked: self.asked, unknown: self.unknown, fold: folds };
                for &seconds in &self.seconds {
                    let asking = Asking {
                        seconds,
                        conditions: self.conditions.clone(),
                        crops: self.crops,
                        heard_seconds: self.heard_seconds,
                    };
                    for (system, knobs) in self.systems()? {
                        let (library, asking) = (library.clone(), asking.clone());
                        let answering = self.answering();
                        units.push(Unit { grid: self.title.clone(), library, asking, system, answering, knobs });
                    }
                }
            }
        }
        Ok(units)
    }

    fn answering(&self) -> Answering {
        Answering {
            probes: self.probes.clone(),
            encrypted: self.encrypted,
            one_trip: self.one_trip,
            keys: self.keys.max(1),
        }
    }

    /// Every system with its settings, and the columns that tell them apart.
    fn systems(&self) -> Result<Vec<(System, Columns)>, String> {
        let mut systems = Vec::new();
        for name in &self.systems {
            if name != System::SORDINO {
                systems.push((System::baseline(name)?, Vec::new()));
                continue;
            }
            for &effort in &self.effort {
                for stages in &self.stages {
                    let mut config = TrainConfig { stages: stages.clone(), ..TrainConfig::effort(effort) };
                    config.train_seconds = self.heard_seconds;
                    for (config, level) in self.augmented(&config) {
                        for (config, knobs) in turn(&config, &self.knob)? {
                            config.validate().map_err(|error| format!("grid \"{}\": {error}", self.title))?;
                            let training = Training { effort, config };
                            systems.push((System::Sordino(Box::new(training)), [level.clone(), knobs].concat()));
                        }
                    }
                }
            }
        }
        Ok(systems)
    }

    /// A configuration at every level of augmentation.
    fn augmented(&self, config: &TrainConfig) -> Vec<Turned> {
        if self.augmentation.is_empty() {
            return vec![(config.clone(), Vec::new())];
        }
        let at = |&level: &Level| {
            let config = TrainConfig { augment: AugmentSpec::level(level), ..config.clone() };
            (config, vec![("augmentation".to_owned(), format!("{level:?}").to_lowercase())])
        };
        self.augmentation.iter().map(at).collect()
    }

    /// Which part of a track queries are taken from.
    pub(crate) fn split(heard_seconds: Option<f32>) -> CropSplit {
        heard_seconds.map_or(CropSplit::UnseenOffset, |train_seconds| CropSplit::UnseenSound { train_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        question = "How many?"
        [[grid]]
        title = "bits"
        tracks = [400, 800]
        [[grid.knob]]
        name = "bits"
        sets = ["router.input_bits", "tracks.input_bits"]
        values = [4, 6]
        [grid.smoke]
        tracks = [30]
        effort = ["quick"]
        conditions = ["clean"]
    "#;

    #[test]
    fn grids_are_all_combinations_and_sizes_are_laid_over() {
        let full = Question::parse(TEXT, Size::Full).unwrap();
        let units = full.grids[0].units().unwrap();
        assert_eq!(units.len(), 4);
        assert_eq!((units[0].library.tracks, units[2].library.tracks), (400, 800));
        let System::Sordino(training) = &units[1].system else { panic!("a model of ours") };
        assert_eq!((training.config.router.input_bits, training.config.tracks.input_bits), (6, 6));
        assert_eq!(units[1].knobs, [("bits".to_owned(), "6".to_owned())]);
        let smoke = Question::parse(TEXT, Size::Smoke).unwrap();
        assert_eq!((smoke.grids[0].tracks.clone(), smoke.grids[0].effort.clone()), (vec![30], vec![Effort::Quick]));
    }

    #[test]
    fn mistakes_are_named_before_anything_runs() {
        let wrong = |from: &str, to: &str| Question::parse(&TEXT.replace(from, to), Size::Smoke).unwrap_err();
        assert!(wrong("router.input_bits", "router.bits").contains("bits"));
        assert!(wrong("router.input_bits", "rooter.input_bits").contains("rooter"));
        assert!(wrong("values = [4, 6]", "values = []").contains("values"));
        assert!(wrong("[\"clean\"]", "[\"loud\"]").contains("loud"));
        assert!(wrong("tracks = [30]", "trackz = [30]").contains("trackz"));
        assert!(wrong("tracks = [30]", "systems = [\"magic\"]").contains("magic"));
        assert!(wrong("values = [4, 6]", "values = [99]").contains("99"));
    }
}
