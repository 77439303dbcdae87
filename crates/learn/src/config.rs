//! [`TrainConfig`]: every setting of a training run, saved beside the weights.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sordino_audio::{AugmentSpec, Level};
use sordino_corpus::CropSplit;
use sordino_front::Network;
use sordino_model::files::read_network;

use crate::LearnError;
use crate::clusters::kmeans::ClusterSettings;
use crate::distractors::DistractorSettings;
use crate::heads::last_stage::LastStageSettings;
use crate::heads::routing::RouterSettings;
use crate::raw::RawSettings;
use crate::run::descent::Descent;
use crate::run::device::DeviceChoice;
use crate::sound::embedding::EmbeddingSettings;
use crate::unknown::threshold::UnknownSettings;

/// How much time to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effort {
    /// Seconds for a few hundred tracks.
    Quick,
    /// Minutes.
    Standard,
    /// As long as it takes.
    Thorough,
}

/// Rows of a cluster that clients pick themselves on average, where nobody says how many clusters there are: where routing is learned, and
/// where it is not. The fullest have a fifteenth more, which makes sixteen and four.
const PICKED_ROWS: [f64; 2] = [15.0, 3.75];
/// Leaves that a class may live in. More of them than there are probes is of no use, and probes are at most as many.
const MOST_SPILL: usize = 64;

/// Every setting of a training run. Those that concern sound say so; vectors do without them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// What all random numbers follow from.
    pub seed: u64,
    /// Examples of every label: disturbed clips of every track, or vectors.
    pub clips_per_track: usize,
    /// Fewest examples of all labels together: where labels are few, each has more of them. How clips scatter is learned for every
    /// direction of over a thousand features, and takes several times as many clips, however few the tracks.
    pub least_clips: usize,
    /// Of sound: how many seconds from the start of every track are heard; all where there is no number. With a number, queries from
    /// behind it ask for music that was never heard.
    pub train_seconds: Option<f32>,
    /// Of sound: how far apart a track's passages lie that have rows of their own, in lengths of a query; 0 for one row a track. At 1, a
    /// 30-s track has three for queries of 10 s.
    pub passage_hop: f32,
    /// Of sound: whether the hand-made statistics are among the base features.
    pub statistics: bool,
    /// Slots of every routing stage, first to last; 0 stands for the number that makes the largest groups of all
    /// stages alike, and of a single stage that is public for more: clusters of sixteen rows, or of four where routing is not learned.
    /// Without any, the model is flat.
    pub stages: Vec<usize>,
    /// In how many leaves a class lives at most.
    pub spill: usize,
    /// Components of the vector that the last stage sees.
    pub width: usize,
    /// Added to the diagonal of the within-class covariance of standardised features.
    pub ridge: f32,
    /// How much more the classes count that are easily confused, where the space is made a second time: their share of the
    /// weight is their confusion to this power. 0 makes the space once, all classes alike.
    pub focus: f32,
    /// Of sound: in a library of recorded and composed tracks, the share of the weight that recorded ones have at least where the space is
    /// made; 0 counts all tracks alike.
    pub recorded_share: f32,
    /// Whether a flat classifier over all classes is trained as well.
    pub flat: bool,
    /// Whether clients get the routing stages, so that they can pick their clusters themselves.
    pub public_routing: bool,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Where to train.
    pub device: DeviceChoice,
    /// Of sound: how clips are disturbed.
    pub augment: AugmentSpec,
    /// Of sound: the embedding network to learn; none for the statistics alone.
    pub embedding: Option<EmbeddingSettings>,
    /// Of sound: the file of an embedding network that was learned elsewhere; `models/README.md` says what it holds.
    pub network: Option<PathBuf>,
    /// Clustering.
    pub clusters: ClusterSettings,
    /// Routing stages.
    pub router: RouterSettings,
    /// The last stage, and the flat classifier.
    pub tracks: LastStageSettings,
    /// The unknown threshold.
    pub unknown: UnknownSettings,
    /// Rows of songs that do not exist, to see how a larger library would answer. Thresholds are chosen as if strangers could not be taken
    /// for them.
    #[serde(skip_serializing_if = "DistractorSettings::is_none")]
    pub distractors: DistractorSettings,
    /// Of sound: how encrypted samples are heard; none for a model that hears none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawSettings>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self::effort(Effort::Standard)
    }
}

impl TrainConfig {
    /// The preset of an effort.
    pub fn effort(effort: Effort) -> Self {
        let (clips_per_track, hidden, most_steps, track_epochs, held_out) = match effort {
            // Means of clips name as well as rows that were trained (`experiments/large-library`), which cost as much as all
            // else together in a large library.
            Effort::Quick => (45, 8_192, 10_000, 0, 4),
            Effort::Standard => (90, 8_192, 20_000, 1, 8),
            Effort::Thorough => (150, 16_384, 40_000, 1, 16),
        };
        let (router, tracks, unknown) =
            (RouterSettings::default(), LastStageSettings::default(), UnknownSettings::default());
        let track_descent = Descent { epochs: track_epochs, ..tracks.descent };
        Self {
            seed: 1,
            clips_per_track,
            least_clips: 9_000,
            train_seconds: None,
            passage_hop: 1.0,
            statistics: true,
            stages: vec![0],
            spill: 1,
            width: 256,
            ridge: 1e-4,
            focus: 0.0,
            recorded_share: 0.8,
            flat: true,
            public_routing: false,
            checkpoint_every: 500,
            device: DeviceChoice::Cpu,
            augment: AugmentSpec::level(Level::Medium),
            embedding: None,
            network: None,
            clusters: ClusterSettings::default(),
            router: RouterSettings { hidden: vec![hidden], most_steps, ..router },
            tracks: LastStageSettings { descent: track_descent, ..tracks },
            unknown: UnknownSettings { clips: held_out, ..unknown },
            distractors: DistractorSettings::default(),
            raw: None,
        }
    }

    /// The same with other settings laid over it: what they do not name stays.
    ///
    /// # Errors
    /// What is wrong with a setting: a name that there is none of, or a value of another kind.
    pub fn laid_over(&self, settings: &toml::Table) -> Result<Self, toml::de::Error> {
        let mut all = toml::Table::try_from(self).map_err(serde::de::Error::custom)?;
        overlay(&mut all, settings);
        all.try_into()
    }

    /// Examples of every one of so many labels.
    pub fn clips(&self, labels: usize) -> usize {
        self.clips_per_track.max(self.least_clips.div_ceil(labels.max(1)))
    }

    /// Slots of every routing stage for a library of so many classes.
    pub fn branching(&self, classes: usize) -> Vec<usize> {
        // n routing stages and the last one make n + 1 equal factors of the number of entries.
        let parts = self.stages.len() as f64 + 1.0;
        let rows = classes * self.spill.max(1);
        let even = (rows as f64).powf(1.0 / parts).round().max(1.0) as usize;
        // Whoever picks clusters in the clear pays for what they hold, and not for their number (`experiments/public-routing`).
        let small = (rows as f64 / PICKED_ROWS[usize::from(!self.router.learned)]).ceil() as usize;
        let even = if self.public_routing && self.stages.len() == 1 { even.max(small) } else { even };
        self.stages.iter().map(|&slots| if slots == 0 { even } else { slots }).collect()
    }

    /// Whether anything is learned from all examples, by descent or as a density: where training goes in parts, its end needs them then.
    pub fn descends(&self) -> bool {
        let routes = self.router.learned && !self.stages.is_empty();
        routes
            || self.tracks.descent.epochs > 0
            || self.spill > 1
            || self.clusters.learned > 0
            || self.distractors.rows > 0
    }

    /// Clusters in which a client is expected to look that decides itself.
    pub(crate) fn looked_into(&self) -> usize {
        if self.router.learned { 2 } else { 16 }
    }

    /// Which part of every track training hears.
    pub fn split(&self) -> CropSplit {
        let heard = |train_seconds| CropSplit::UnseenSound { train_seconds };
        self.train_seconds.map_or(CropSplit::UnseenOffset, heard)
    }

    /// The network that was learned elsewhere, where there is one.
    ///
    /// # Errors
    /// [`LearnError::Network`] for a file that holds none.
    pub fn own_network(&self) -> Result<Option<Network>, LearnError> {
        let opened = |path: &PathBuf| {
            read_network(path).map_err(|source| LearnError::Network { path: path.clone(), source: Box::new(source) })
        };
        self.network.as_ref().map(opened).transpose()
    }

    /// Checks the settings against each other; [`crate::train`] does so first.
    ///
    /// # Errors
    /// [`LearnError::Setting`] names the first setting outside its range.
    pub fn validate(&self) -> Result<(), LearnError> {
        let bad = |setting, found: String, expected: &str| {
            Err(LearnError::Setting { setting, found, expected: expected.into() })
        };
        if self.clips_per_track < 2 {
            return bad("clips_per_track", self.clips_per_track.to_string(), "at least 2");
        }
        if !self.statistics && self.embedding.is_none() && self.network.is_none() {
            return bad("statistics", "false".into(), "true where there is no embedding network");
        }
        if let (Some(_), Some(path)) = (&self.embedding, &self.network) {
            return bad("network", path.display().to_string(), "none where an embedding is to be learned");
        }
        if self.train_seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds.is_finite())) {
            return bad("train_seconds", format!("{:?}", self.train_seconds), "a positive number, or none");
        }
        if self.width < 2 {
            return bad("width", self.width.to_string(), "at least 2");
        }
        if !(0.0..=4.0).contains(&self.focus) {
            return bad("focus", self.focus.to_string(), "0 to 4");
        }
        if !(0.0..1.0).contains(&self.recorded_share) {
            return bad("recorded_share", self.recorded_share.to_string(), "0 to below 1");
        }
        if !(1..=MOST_SPILL).contains(&self.spill) {
            return bad("spill", self.spill.to_string(), &format!("1 to {MOST_SPILL}"));
        }
        if let Some(embedding) = &self.embedding {
            embedding.validate()?;
        }
        self.clusters.validate()?;
        self.router.validate()?;
        self.tracks.validate()?;
        self.distractors.validate()?;
        self.unknown.validate()
    }
}

/// Lays a table over settings: tables within tables are laid over each other, everything else is replaced.
pub fn overlay(settings: &mut toml::Table, over: &toml::Table) {
    for (name, value) in over {
        match (settings.get_mut(name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => overlay(inner, over),
            _ => _ = settings.insert(name.clone(), value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_table_by_table() {
        let standard = TrainConfig::effort(Effort::Standard);
        let laid = |text: &str| standard.laid_over(&text.parse().unwrap());
        let changed = laid("spill = 2\nrouter = { hidden = [7] }").unwrap();
        assert_eq!((changed.spill, &changed.router.hidden[..]), (2, &[7][..]));
        assert_eq!(changed.router.bottleneck, standard.router.bottleneck);
        assert!(laid("spilll = 2").unwrap_err().to_string().contains("spilll"));
    }

    #[test]
    fn clusters_that_clients_pick_are_small() {
        let config = TrainConfig::default();
        let public = TrainConfig { public_routing: true, ..config.clone() };
        assert_eq!((config.branching(12_000), public.branching(12_000)), (vec![110], vec![800]));
        assert_eq!((config.branching(30), public.branching(30)), (vec![5], vec![5]));
        let given = TrainConfig { stages: vec![40], ..public.clone() };
        let three = TrainConfig { stages: vec![0, 0], ..public };
        assert_eq!((given.branching(12_000), three.branching(12_000)), (vec![40], vec![23, 23]));
    }

    #[test]
    fn a_small_library_has_more_clips_of_every_track() {
        let config = TrainConfig { clips_per_track: 40, least_clips: 1_000, ..TrainConfig::default() };
        assert_eq!([0, 1, 7, 25, 26, 1_000].map(|labels| config.clips(labels)), [1_000, 1_000, 143, 40, 40, 40]);
    }
}
