//! Where a library's tracks come from, as arguments: sound to index, and indexes to learn from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};
use sordino_corpus::{Catalogue, CorpusError, MelTable, Sounds, Source, Track, fma, folder, synth};
use sordino_front::FeatureSpec;
use sordino_learn::{LearnError, TrainConfig};
use sordino_model::files::read_text;
use sordino_model::{Card, ClientModel, FileError, HeldOut, load_files, load_held_out};

use crate::report::{self, warning};

/// Most tracks that are composed at once: their names alone fill a gigabyte of memory in a few millions.
pub(crate) const MOST_COMPOSED: i64 = 1_000_000;

/// Which of FMA's nested subsets.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum SubsetArg {
    /// 8,000 clips.
    Small,
    /// 25,000 clips, the small ones among them.
    #[default]
    Medium,
    /// 106,574 clips, the medium ones among them.
    Large,
}

impl From<SubsetArg> for fma::Subset {
    fn from(subset: SubsetArg) -> Self {
        match subset {
            SubsetArg::Small => Self::Small,
            SubsetArg::Medium => Self::Medium,
            SubsetArg::Large => Self::Large,
        }
    }
}

/// Recorded music.
#[derive(Args, Debug)]
pub(crate) struct RecordedArgs {
    /// A folder of music, searched recursively; tags are read, file names are the fall-back.
    #[arg(long, value_name = "DIR")]
    music: Option<PathBuf>,
    /// The unpacked audio folder of an FMA subset (`000/000002.mp3` and so on); needs --metadata.
    #[arg(long, value_name = "DIR", requires = "metadata")]
    fma: Option<PathBuf>,
    /// FMA's `tracks.csv`.
    #[arg(long, value_name = "CSV", requires = "fma")]
    metadata: Option<PathBuf>,
    /// FMA's subset.
    #[arg(long, value_enum, default_value_t)]
    subset: SubsetArg,
}

impl RecordedArgs {
    /// The tracks, and the entries refused before any sound was decoded; nothing where no music was given. Files that an index knows
    /// and that have not been touched since are not read.
    pub(crate) fn catalogue(&self, known: &Sounds) -> anyhow::Result<Catalogue> {
        let mut parts = Vec::new();
        if let (Some(audio), Some(csv)) = (&self.fma, &self.metadata) {
            parts.push(fma::load(audio, csv, self.subset.into())?);
        }
        if let Some(music) = &self.music {
            let bar = report::bar(0, "reading files");
            parts.push(folder::load_known(music, known, &bar)?);
            bar.finish_and_clear();
        }
        Ok(Catalogue::concat(parts)?)
    }

    /// For people: the last parts of the folders' paths.
    pub(crate) fn describe(&self) -> String {
        let folders = [&self.fma, &self.music].into_iter().flatten();
        let names = folders.map(|folder| folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy());
        names.collect::<Vec<_>>().join(" + ")
    }
}

/// The music to index, from one source or several.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("library").args(["music", "fma", "synth"]).required(true).multiple(true))]
pub(crate) struct LibraryArgs {
    #[command(flatten)]
    recorded: RecordedArgs,
    /// Compose this many tracks, at most a million, instead of reading any or besides.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MOST_COMPOSED))]
    synth: Option<u32>,
    /// Seed of composed music.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl LibraryArgs {
    /// The tracks, and the entries refused before any sound was decoded. Of several sources the first keeps its ids: FMA, then the
    /// folder, then composed music.
    pub(crate) fn catalogue(&self, known: &Sounds) -> anyhow::Result<Catalogue> {
        let composed = self.synth.map(|count| synth::catalogue(count, self.seed)).unwrap_or_default();
        Ok(Catalogue::concat([self.recorded.catalogue(known)?, composed])?)
    }
}

/// Indexes that together are one library.
#[derive(Args, Clone, Debug)]
pub(crate) struct IndexArgs {
    /// Folder that `sordino index` wrote. Given several times, the indexes are one library; ids of FMA and of composed tracks that an
    /// earlier one has too are raised by a multiple of 1,000,000.
    #[arg(long, value_name = "DIR", required = true)]
    index: Vec<PathBuf>,
    /// Only the first so many tracks.
    #[arg(long, value_name = "N")]
    tracks: Option<usize>,
    /// Learn for queries of this many seconds instead of those of the index.
    #[arg(long, value_name = "S")]
    query_seconds: Option<f32>,
}

impl IndexArgs {
    /// Reads the library.
    pub(crate) fn table(&self) -> anyhow::Result<MelTable> {
        Ok(self.with_length(MelTable::open_all(&self.index, self.tracks)?)?)
    }

    /// Reads the list of the library's tracks, and the sound of those that `wanted` says of so many.
    pub(crate) fn table_of(&self, wanted: impl Fn(usize) -> Range<usize>) -> anyhow::Result<MelTable> {
        let table = MelTable::open_part(&self.index, self.tracks, |track, of| wanted(of).contains(&track))?;
        Ok(self.with_length(table)?)
    }

    /// The same of tracks at some places.
    pub(crate) fn some(&self, tracks: &BTreeSet<usize>) -> Result<MelTable, LearnError> {
        Ok(self.with_length(MelTable::open_part(&self.index, self.tracks, |track, _| tracks.contains(&track))?)?)
    }

    /// The same table for queries of the length that was asked for.
    fn with_length(&self, table: MelTable) -> Result<MelTable, CorpusError> {
        let Some(query_seconds) = self.query_seconds else { return Ok(table) };
        let spec = FeatureSpec { query_seconds, ..table.spec().clone() };
        table.with_spec(&spec)
    }

    /// Refuses another length of queries than that of a model that is there already.
    pub(crate) fn check_query_seconds(&self, model: f32) -> anyhow::Result<()> {
        let asked = self.query_seconds.unwrap_or(model);
        anyhow::ensure!(
            asked == model,
            "--query-seconds is {asked}, expected {model}: the model answers queries of that length; train one for another, or \
             give --train"
        );
        Ok(())
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<String> = self.index.iter().map(|index| index.display().to_string()).collect();
        let first = self.tracks.map(|tracks| format!(", first {tracks} tracks")).unwrap_or_default();
        format!("index {}{first}", names.join(" + "))
    }
}

/// The model in a folder.
pub(crate) fn open_model<T>(folder: &Path, load: impl FnOnce(&Path) -> Result<T, FileError>) -> anyhow::Result<T> {
    anyhow::ensure!(
        ["client", "server"].iter().any(|half| folder.join(half).is_dir()),
        "there is no model in {}: expected a folder with `client` and `server` in it, as `sordino train --out` makes it",
        folder.display()
    );
    load(folder).map_err(|error| match &error {
        FileError::Damaged { path, .. } if path.ends_with("labels.json") => {
            anyhow::anyhow!("{error}. What a track is called is changed by `sordino library rename`")
        }
        _ if !folder.join("server").is_dir() => {
            anyhow::anyhow!(
                "{error}. {} has the client's half alone, which asks a server: `sordino identify --server URL`",
                folder.display()
            )
        }
        _ => error.into(),
    })
}

/// An index as a model hears it: in queries of the model's length.
pub(crate) fn heard_by(table: MelTable, model: &ClientModel) -> anyhow::Result<MelTable> {
    let spec = model.front().spec().context("the model is for vectors, expected one for sound")?;
    let same = FeatureSpec { query_seconds: spec.query_seconds, ..table.spec().clone() };
    Ok(table.with_spec(&same)?)
}

/// The settings that a model was trained with.
pub(crate) fn settings(model: &Path) -> anyhow::Result<TrainConfig> {
    let path = model.join(SETTINGS);
    let text = read_text(&path, MOST_TEXT).with_context(|| {
        format!(
            "{}: expected the settings that the model was trained with, as `sordino train` leaves them",
            path.display()
        )
    })?;
    toml::from_str(&text).with_context(|| format!("{} is no training configuration", path.display()))
}

/// What the card in a model's folder says, and what lies beside it: settings, the list of files, and held-out clips.
pub(crate) fn card(model: &Path) -> Card {
    let read = |name: &str| read_text(&model.join(name), MOST_TEXT).unwrap_or_default();
    Card { settings: read(SETTINGS), files: files_of(model), held_out: held_out(model), ..Card::read(&read("card.md")) }
}

/// Where the sound of a model's tracks lies, by their ids, as far as the model says. Nothing else depends on it.
pub(crate) fn files_of(model: &Path) -> BTreeMap<u32, String> {
    load_files(model).unwrap_or_else(|error| {
        warning!("{}: {error}; it goes on without the paths of files", model.display());
        BTreeMap::new()
    })
}

/// Clips that training has not seen, as far as the model has them. Nothing else depends on them.
pub(crate) fn held_out(model: &Path) -> HeldOut {
    load_held_out(model).unwrap_or_else(|error| {
        warning!("{}: {error}; it goes on without held-out clips", model.display());
        HeldOut::default()
    })
}

/// Where the sound of each track lies that is from a file, by its id.
pub(crate) fn files(table: &MelTable) -> BTreeMap<u32, String> {
    let path = |track: &Track| match &track.source {
        Source::File(path) => {
            // From wherever an answer is read.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Some((track.id, path.display().to_string()))
        }
        Source::Synthetic(_) => None,
    };
    table.tracks().iter().filter_map(path).collect()
}

/// The settings of training, beside the halves.
const SETTINGS: &str = "train.toml";
/// Most bytes of a text beside the halves.
const MOST_TEXT: u64 = 1 << 20;

/// Which tracks are asked about.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum AskArg {
    /// All of them.
    #[default]
    All,
    /// Those from sound files.
    Recorded,
    /// Those composed from seeds.
    Composed,
}

impl AskArg {
    /// Whether a track is asked about.
    pub(crate) fn wants(self, track: &Track) -> bool {
        match self {
            Self::All => true,
            Self::Recorded => !track.source.is_composed(),
            Self::Composed => track.source.is_composed(),
        }
    }
}
