//! Where a library's tracks come from, as arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sordino_corpus::{Catalogue, fma, folder, synth};

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

/// Exactly one source of music.
#[derive(Args, Debug)]
#[group(id = "library", required = true, multiple = false)]
struct Origin {
    /// A folder of music, searched recursively; tags are read, file names are the fall-back.
    #[arg(long, value_name = "DIR")]
    music: Option<PathBuf>,
    /// The unpacked audio folder of an FMA subset (`000/000002.mp3` and so on); needs --metadata.
    #[arg(long, value_name = "DIR", requires = "metadata")]
    fma: Option<PathBuf>,
    /// Compose this many tracks instead of reading any.
    #[arg(long, value_name = "N")]
    synth: Option<u32>,
}

/// The music to index.
#[derive(Args, Debug)]
pub(crate) struct LibraryArgs {
    #[command(flatten)]
    from: Origin,
    /// FMA's `tracks.csv`.
    #[arg(long, value_name = "CSV", requires = "fma")]
    metadata: Option<PathBuf>,
    /// FMA's subset.
    #[arg(long, value_enum, default_value_t)]
    subset: SubsetArg,
    /// Seed of composed music.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl LibraryArgs {
    /// The tracks, and the entries refused before any sound was read.
    pub(crate) fn catalogue(&self) -> anyhow::Result<Catalogue> {
        let Origin { music, fma: audio, synth: composed } = &self.from;
        Ok(match (music, audio, composed, &self.metadata) {
            (Some(music), ..) => folder::load(music)?,
            (None, Some(audio), _, Some(csv)) => fma::load(audio, csv, self.subset.into())?,
            (None, None, Some(count), _) => synth::catalogue(*count, self.seed),
            _ => anyhow::bail!("no music: expected one of --music DIR, --fma DIR --metadata CSV, or --synth N"),
        })
    }
}
