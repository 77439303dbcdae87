//! [`Recipe`]: every system by its name, with its settings and how it is built.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sordino_learn::{Effort, TrainConfig};
use toml::Table;

use super::external::{External, Program};
use super::{Construction, Sordino};
use crate::LabError;
use crate::baseline::{
    CentroidRouting, CentroidSettings, DecisionTree, FlatRegression, LandmarkSettings, Landmarks, MfccSettings,
    NeuralFingerprint, NeuralSettings, PairRegression, PairSettings, RegressionSettings, SegmentSearch, TreeSettings,
};
use crate::evaluate::System;

/// Seed of what is random in a baseline.
const SEED: u64 = 1;

type Build = dyn Fn(&Construction<'_>, Table) -> Result<Box<dyn System>, LabError>;

/// How a system of a name is built.
pub(crate) struct Recipe {
    /// Its name in questions and results.
    pub(crate) name: &'static str,
    /// All of its settings.
    pub(crate) settings: Result<Table, String>,
    check: Box<dyn Fn(Table) -> Result<(), String>>,
    build: Box<Build>,
}

impl Recipe {
    /// Everything that can be asked; `effort` is the preset of this project's own settings. A baseline is one entry here and a file beside the others.
    pub(crate) fn all(effort: Option<Effort>) -> Vec<Self> {
        let regression = RegressionSettings::default();
        let regression_8k = RegressionSettings { mfcc: MfccSettings::at_8_khz(), ..regression };
        let neural = |search| NeuralSettings { search, ..NeuralSettings::default() };
        let train = Self::new(
            Sordino::NAME,
            &TrainConfig::effort(effort.unwrap_or(Effort::Standard)),
            |library, config: TrainConfig| Sordino::train(library, &config),
        );
        let checked = |config: TrainConfig| config.validate().map_err(|error| error.to_string());
        vec![
            Self { check: Box::new(move |settings| parsed(settings).and_then(checked)), ..train },
            // Logistic regression on half-seconds of MFCC, and a vote: the winning entry of the bounty.
            Self::new("mfcc-regression", &regression, regress),
            // The same at the rate of everything else.
            Self::new("mfcc-regression-8k", &regression_8k, regress),
            // One regression on pairs of them: what that entry named as its next step.
            Self::new("mfcc-pairs", &PairSettings::default(), |library, settings| {
                PairRegression::fit(&library.library(), settings, SEED, library.progress)
            }),
            // A decision tree on the same: that entry's first approach.
            Self::new("mfcc-tree", &TreeSettings::default(), |library, settings| {
                DecisionTree::fit(&library.library(), settings, library.progress)
            }),
            // Pairs of spectral peaks (Wang, 2003).
            Self::new("landmarks", &LandmarkSettings::default(), |library, settings| {
                Landmarks::fit(&library.library(), settings, library.progress)
            }),
            // Neural fingerprints of single seconds, each neighbour voting for its track, or the best sequence of them winning.
            Self::new("neural-vote", &neural(SegmentSearch::Vote), fingerprint),
            Self::new("neural-sequence", &neural(SegmentSearch::Sequence), fingerprint),
            // Two stages as first proposed: clusters of embeddings, the nearest centroid first, no trunk.
            Self::new("centroid-routing", &CentroidSettings::default(), |library, settings: CentroidSettings| {
                let settings = CentroidSettings { clip_seconds: library.seconds, ..settings };
                let network = library.networks.get(library, &settings.neural, SEED)?;
                let (noise, impulses) = (&library.training.noise, &library.training.impulses);
                CentroidRouting::divide(&library.library(), network, noise, impulses, &settings, SEED, library.progress)
            }),
        ]
    }

    /// The recipe of a program that a question names, or of a name.
    pub(crate) fn of(name: &str, effort: Option<Effort>, program: Option<&Program>) -> Result<Self, String> {
        program.map_or_else(|| Self::find(name, effort), |program| Ok(Self::of_program(program)))
    }

    fn of_program(program: &Program) -> Self {
        let program = program.clone();
        Self {
            name: "program",
            settings: Ok(Table::new()),
            check: Box::new(|_| Ok(())),
            build: Box::new(move |library, settings| {
                Ok(Box::new(External::start(library, program.clone(), &settings)?))
            }),
        }
    }

    /// The recipe of a name.
    pub(crate) fn find(name: &str, effort: Option<Effort>) -> Result<Self, String> {
        let all = Self::all(effort);
        let names = all.iter().map(|recipe| recipe.name).collect::<Vec<_>>().join(", ");
        let found = all.into_iter().find(|recipe| recipe.name == name);
        found.ok_or_else(|| format!("the system \"{name}\" is none that is known, expected one of {names}"))
    }

    fn new<S, T>(
        name: &'static str,
        settings: &S,
        build: impl Fn(&Construction<'_>, S) -> Result<T, LabError> + 'static,
    ) -> Self
    where
        S: Serialize + DeserializeOwned + 'static,
        T: System + 'static,
    {
        let build = move |library: &Construction<'_>, settings: Table| {
            let settings = parsed(settings).map_err(|reason| LabError::Setting {
                setting: format!("settings of {name}"),
                found: reason,
                expected: "settings that fit together".into(),
            })?;
            Ok(Box::new(build(library, settings)?) as Box<dyn System>)
        };
        Self {
            name,
            settings: Table::try_from(settings).map_err(|error| error.to_string()),
            check: Box::new(|settings| parsed::<S>(settings).map(|_| ())),
            build: Box::new(build),
        }
    }

    /// Whether settings are such that something can be built.
    pub(crate) fn check(&self, settings: &Table) -> Result<(), String> {
        (self.check)(settings.clone())
    }

    /// Builds the system for a library.
    pub(crate) fn build(&self, library: &Construction<'_>, settings: &Table) -> Result<Box<dyn System>, LabError> {
        (self.build)(library, settings.clone())
    }
}

fn parsed<S: DeserializeOwned>(settings: Table) -> Result<S, String> {
    settings.try_into().map_err(|error: toml::de::Error| error.to_string())
}

fn regress(library: &Construction<'_>, settings: RegressionSettings) -> Result<FlatRegression, LabError> {
    FlatRegression::fit(&library.library(), settings, SEED, library.progress)
}

fn fingerprint(library: &Construction<'_>, settings: NeuralSettings) -> Result<NeuralFingerprint, LabError> {
    let network = library.networks.get(library, &settings, SEED)?;
    NeuralFingerprint::index(&library.library(), network, &settings, SEED, library.progress)
}
