//! `sordino lab`: experiments, from a question as data to a report.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use sordino_lab::{Lab as Laboratory, Machine, Music, Question, Results, Size};

use crate::disturbances::DisturbanceArgs;
use crate::library::RecordedArgs;
use crate::report::{self, Terminal};

/// Run experiments: a question is a folder with a `run.toml`, and the answer a table and a report.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab run experiments/scaling --size smoke\n  \
    sordino lab run experiments/bits --size full --fma fma_small/ --metadata tracks.csv --subset small \
    --noise esc50/ --ir rooms/")]
pub(crate) struct Lab {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(Run),
}

/// How much of an experiment to run.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SizeArg {
    /// Under a minute or two: does everything work?
    Smoke,
    /// Minutes: what does it look like?
    #[default]
    Small,
    /// As long as it takes: the answer.
    Full,
}

impl From<SizeArg> for Size {
    fn from(size: SizeArg) -> Self {
        match size {
            SizeArg::Smoke => Self::Smoke,
            SizeArg::Small => Self::Small,
            SizeArg::Full => Self::Full,
        }
    }
}

/// Run an experiment, or what is left of it: finished parts are kept in the cache and not run again.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab run experiments/scaling --size smoke\n  \
    sordino lab run experiments/scaling --size full --fma fma_medium/ --metadata fma_metadata/tracks.csv --noise esc50/ \
    --ir rooms/\n\nWithout recorded music everything is composed, without noise and impulse responses those are synthesised; \
    every row of the results says which.")]
struct Run {
    /// Folder of the experiment.
    experiment: PathBuf,
    /// How much of it.
    #[arg(long, value_enum, default_value_t)]
    size: SizeArg,
    #[command(flatten)]
    recorded: RecordedArgs,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
    /// Folder that keeps indexes, models and finished parts, shared by all experiments.
    #[arg(long, default_value = "runs/lab", value_name = "DIR")]
    cache: PathBuf,
    /// Folder for the results [default: `results/<date>-<cores>core[-<size>]` in the experiment's folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Outcome {
    report: PathBuf,
    rows: usize,
}

impl Lab {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        match self.verb {
            Verb::Run(run) => run.run(json),
        }
    }
}

impl Run {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let size = self.size.into();
        let question = Question::read(&self.experiment, size)?;
        let recorded = self.recorded.catalogue()?;
        let name = match recorded.tracks.len() {
            0 => "none".into(),
            count => format!("{count} of {}", self.recorded.describe()),
        };
        let music = Music { recorded, name, disturbances: self.disturbances.source() };
        let findings = Laboratory::new(&music, &self.cache, &Terminal).run(&question)?;
        let out = self.out.unwrap_or_else(|| self.experiment.join("results").join(Machine::here().results_name(size)));
        let results = Results::new(std::env::args().collect(), size, music.sources(), findings);
        results.write(&out, &question)?;
        let outcome = Outcome { report: out.join("report.html"), rows: results.rows.len() };
        report::print(json, &outcome, |o| println!("{} rows; {}", o.rows, o.report.display()))
    }
}
