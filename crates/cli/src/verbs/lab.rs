//! `sordino lab`: experiments, from a question as data to a report.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use sordino_corpus::Sounds;
use sordino_lab::{Drawing, Lab as Laboratory, Machine, Music, Question, Results, Size, Summary};
use sordino_model::files::write_file;

use crate::disturbances::DisturbanceArgs;
use crate::library::RecordedArgs;
use crate::report::{self, Terminal, say};

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
    Draw(Draw),
    Summary(SummaryArgs),
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
            Verb::Draw(draw) => draw.run(json),
            Verb::Summary(summary) => summary.run(json),
        }
    }
}

/// Draw figures again, from rows that are already there.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  sordino lab draw experiments/*/figure.toml             figure.svg beside each\n  \
    sordino lab draw experiments/bits/results/2026-11-25-2core-small   figure-1.svg and so on, as run.toml says\n\n\
    The same rows give the same bytes."
)]
struct Draw {
    /// Files that say what is drawn from which rows, and folders of results with a `rows.csv`.
    #[arg(required = true)]
    what: Vec<PathBuf>,
}

/// Gather the numbers that documents quote: `experiments/summary.csv`, and the blocks of README and docs.
#[derive(Args)]
#[command(
    name = "summary",
    after_help = "Examples:\n  sordino lab summary            write them\n  sordino lab summary --check    say what differs\n\n\
    experiments/summary.toml declares the numbers and the tables."
)]
struct SummaryArgs {
    /// Write nothing; fail where a number differs.
    #[arg(long)]
    check: bool,
    /// Folder of the repository.
    #[arg(long, default_value = ".", value_name = "DIR")]
    root: PathBuf,
}

#[derive(Serialize)]
struct Written {
    written: Vec<PathBuf>,
}

impl Written {
    fn print(self, json: bool) -> anyhow::Result<()> {
        report::print(json, &self, |w| w.written.iter().for_each(|path| say!("{}", path.display())))
    }
}

impl Draw {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let mut written = Vec::new();
        for path in &self.what {
            if path.is_dir() {
                // experiments/QUESTION/results/RUN
                let experiment = path.parent().and_then(Path::parent);
                let Some(experiment) = experiment.filter(|folder| folder.join("run.toml").exists()) else {
                    bail!("{}: expected a folder of results, such as experiments/bits/results/RUN", path.display());
                };
                written.extend(Drawing::redraw(path, experiment)?);
                continue;
            }
            let svg = path.with_extension("svg");
            let drawn = Drawing::draw(path)?;
            write_file(&svg, drawn.as_bytes()).with_context(|| format!("cannot write {}", svg.display()))?;
            written.push(svg);
        }
        Written { written }.print(json)
    }
}

impl SummaryArgs {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let summary = Summary::of_repository(&self.root)?;
        if self.check {
            let wrong = summary.check(&self.root)?;
            ensure!(wrong.is_empty(), "{}\nrun `sordino lab summary` to write them anew", wrong.join("\n"));
            return Written { written: Vec::new() }.print(json);
        }
        Written { written: summary.write(&self.root)? }.print(json)
    }
}

impl Run {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let size = self.size.into();
        let question = Question::read(&self.experiment, size)?;
        let recorded = self.recorded.catalogue(&Sounds::default())?;
        let name = match recorded.tracks.len() {
            0 => "none".into(),
            count => format!("{count} of {}", self.recorded.describe()),
        };
        let music = Music { recorded, name, disturbances: self.disturbances.source() };
        let findings = Laboratory::new(&music, &self.cache, &Terminal).run(&question)?;
        let out = self.out.unwrap_or_else(|| self.experiment.join("results").join(Machine::here().results_name(size)));
        let results = Results::new(report::command(), size, music.sources(), findings);
        results.write(&out, &question)?;
        let outcome = Outcome { report: out.join("report.html"), rows: results.rows.len() };
        report::print(json, &outcome, |o| say!("{} rows; {}", o.rows, o.report.display()))
    }
}
