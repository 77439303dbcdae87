//! [`Unit`]: the smallest thing that is run, remembered and not run again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sordino_learn::{Effort, TrainConfig};

use crate::baseline;
use crate::question::knob::Columns;

/// One system on one library, and what it is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unit {
    /// Title of the grid.
    pub grid: String,
    /// Whose tracks are to be named.
    pub library: Library,
    /// What is asked.
    pub asking: Asking,
    /// Who answers.
    pub system: System,
    /// In which ways it answers.
    pub answering: Answering,
    /// Columns that tell the settings of one grid apart.
    pub knobs: Columns,
}

/// A library by its make-up; the sources say where its tracks come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Library {
    /// Number of tracks.
    pub tracks: usize,
    /// At most so many of them are asked about: the real ones first.
    pub asked: usize,
    /// Share of the asked tracks that is left out, to be reported unknown.
    pub unknown: f32,
    /// Which fold of how many is left out.
    pub fold: Option<(usize, usize)>,
}

impl Library {
    /// Which fold this is, 0 without folds: every fold draws what it asks anew.
    pub(crate) fn draw(&self) -> u64 {
        self.fold.map_or(0, |(fold, _)| fold as u64)
    }

    /// How many tracks are asked about at most, and how many of those are left out: of folds every asked track is left out once, so the
    /// asked tracks may be more than the library holds.
    pub(crate) fn at_most(&self) -> (usize, usize) {
        match self.fold {
            Some((_, folds)) => {
                let asked = self.asked.min((self.tracks * folds).div_ceil(folds - 1));
                (asked, asked.div_ceil(folds))
            }
            None => {
                let asked = self.asked.min(self.tracks);
                (asked, (self.unknown * asked as f32).round() as usize)
            }
        }
    }
}

/// What every asked track is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asking {
    /// Length of a query.
    pub seconds: f32,
    /// Under which conditions.
    pub conditions: Vec<String>,
    /// How often under each.
    pub crops: usize,
    /// Training hears so many seconds and queries come from behind them; training hears all without a number.
    pub heard_seconds: Option<f32>,
}

/// In which ways a model answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answering {
    /// Clusters followed, in each way.
    pub probes: Vec<usize>,
    /// Queries asked encrypted where the client decides.
    pub encrypted: usize,
    /// Queries asked encrypted where the server decides.
    pub one_trip: usize,
    /// Keys among which those are divided.
    pub keys: usize,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// A model of ours.
    Sordino(Box<Training>),
    /// A system that this project is compared with.
    Baseline(baseline::Kind),
}

/// How a model of ours is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The preset it started from.
    pub effort: Effort,
    /// All settings.
    pub config: TrainConfig,
}

impl System {
    /// The name of a model of ours.
    pub(crate) const SORDINO: &'static str = "sordino";

    /// The baseline of a name.
    pub(crate) fn baseline(name: &str) -> Result<Self, String> {
        let names = || baseline::Kind::ALL.map(baseline::Kind::name).join(", ");
        let kind = baseline::Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.map(Self::Baseline).ok_or_else(|| {
            format!("the system \"{name}\" is none that is known, expected {} or one of {}", Self::SORDINO, names())
        })
    }

    /// What the column `system` says.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sordino(_) => Self::SORDINO,
            Self::Baseline(kind) => kind.name(),
        }
    }
}

impl Unit {
    /// What is done, whatever it is called: units of two experiments that do the same have one result.
    pub(crate) fn work(&self) -> impl Serialize {
        (&self.library, &self.asking, &self.system, &self.answering)
    }

    /// The same without its fold.
    pub(crate) fn without_fold(&self) -> Self {
        Self { library: Library { fold: None, ..self.library.clone() }, ..self.clone() }
    }

    /// A line about it.
    pub(crate) fn describe(&self) -> String {
        let mut parts = vec![self.system.name().to_owned(), format!("{} tracks", self.library.tracks)];
        if let System::Sordino(training) = &self.system {
            parts.push(format!("{:?}", training.effort).to_lowercase());
            let slots = |&slots: &usize| if slots == 0 { "auto".to_owned() } else { slots.to_string() };
            let stages: Vec<String> = training.config.stages.iter().map(slots).collect();
            parts.push(if stages.is_empty() { "flat".into() } else { format!("clusters {}", stages.join(" x ")) });
        }
        parts.push(format!("{}-s queries", self.asking.seconds));
        parts.extend(self.knobs.iter().map(|(name, value)| format!("{name} {value}")));
        parts.extend(self.library.fold.map(|(fold, of)| format!("fold {} of {of}", fold + 1)));
        parts.join(", ")
    }
}

/// SHA-256 of what a value says, as 16 hexadecimal digits: a file name for what follows from it.
pub(crate) fn key<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let bytes = serde_json::to_vec(value)?;
    Ok(Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
