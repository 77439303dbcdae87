//! [`Unit`]: the smallest thing that is run, remembered and not run again.

use serde::Serialize;
use sordino_corpus::CropSplit;
use sordino_learn::Effort;

use super::setting::Columns;
use crate::evaluate::AnswerSettings;
use crate::music::library::LibrarySettings;
use crate::system::Sordino;
use crate::system::external::Program;
use crate::system::registry::Recipe;

/// One system on one library, and what it is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Unit {
    /// Title of the grid.
    pub(crate) grid: String,
    /// Whose tracks are to be named.
    pub(crate) library: LibrarySettings,
    /// What is asked.
    pub(crate) queries: QuerySettings,
    /// Who answers.
    pub(crate) system: SystemSettings,
    /// In which ways it answers.
    pub(crate) answers: AnswerSettings,
    /// Columns that tell the settings of one grid apart.
    pub(crate) columns: Columns,
}

/// What every asked track is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct QuerySettings {
    /// Length of a query.
    pub(crate) seconds: f32,
    /// Under which conditions.
    pub(crate) conditions: Vec<String>,
    /// How often under each.
    pub(crate) crops: usize,
    /// Systems hear so many seconds and queries come from behind them; they hear all without a number.
    pub(crate) heard_seconds: Option<f32>,
    /// Whether queries are the very start of every track, as it was heard in training.
    pub(crate) aligned: bool,
}

impl QuerySettings {
    /// Which part of a track queries are taken from.
    pub(crate) fn split(&self) -> CropSplit {
        match (self.aligned, self.heard_seconds) {
            (true, _) => CropSplit::Start,
            (false, Some(train_seconds)) => CropSplit::UnseenSound { train_seconds },
            (false, None) => CropSplit::UnseenOffset,
        }
    }
}

/// Who answers, with all settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SystemSettings {
    /// Its name.
    pub(crate) name: String,
    /// The preset that the settings started from, for a model of this project.
    pub(crate) effort: Option<Effort>,
    /// All settings.
    pub(crate) settings: toml::Table,
    /// The program, where it is one that the question names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<Program>,
}

impl SystemSettings {
    /// How it is built.
    ///
    /// # Errors
    /// A sentence about a name that is not known.
    pub(crate) fn recipe(&self) -> Result<Recipe, String> {
        Recipe::of(&self.name, self.effort, self.program.as_ref())
    }

    /// What the column `effort` says.
    pub(crate) fn effort(&self) -> String {
        self.effort.map_or_else(String::new, |effort| format!("{effort:?}").to_lowercase())
    }
}

impl Unit {
    /// What is done, whatever it is called: units of two experiments that do the same have one result.
    pub(crate) fn work(&self) -> impl Serialize {
        (&self.library, &self.queries, &self.system, &self.answers)
    }

    /// The same without its fold.
    pub(crate) fn without_fold(&self) -> Self {
        Self {
            library: LibrarySettings { fold: None, ..self.library.clone() },
            answers: AnswerSettings { seed: 0, ..self.answers.clone() },
            ..self.clone()
        }
    }

    /// A line about it.
    pub(crate) fn describe(&self) -> String {
        let mut parts = vec![self.system.name.clone(), format!("{} tracks", self.library.tracks)];
        if self.system.name == Sordino::NAME {
            parts.push(self.system.effort());
            parts.extend(self.system.settings.get("stages").map(|stages| format!("clusters {stages}")));
        }
        parts.push(format!("{}-s queries", self.queries.seconds));
        parts.extend(self.columns.iter().map(|(name, value)| format!("{name} {value}")));
        parts.extend(self.library.fold.map(|(fold, of)| format!("fold {} of {of}", fold + 1)));
        parts.join(", ")
    }
}
