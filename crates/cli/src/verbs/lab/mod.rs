//! `sordino lab`: experiments, from a question as data to a report.

mod compare;
mod export;
mod merge;
mod plan;
mod run;
mod script;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use sordino_lab::{Drawing, Summary};
use sordino_model::files::write_file;

use self::compare::Compare;
use self::export::Export;
use self::merge::Merge;
use self::plan::Plan;
use self::run::Run;
use crate::report::{self, say};

/// Run experiments: a question is a folder with a `run.toml`, and the answer a table and a report.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab plan experiments/scaling --size small\n  \
    sordino lab run experiments/scaling --size smoke\n  sordino lab run experiments/bits --size full --fma fma_small/ --metadata tracks.csv --subset small \
    --noise esc50/ --ir rooms/")]
pub(crate) struct Lab {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Plan(Plan),
    Run(Run),
    Merge(Merge),
    Compare(Compare),
    Export(Export),
    Draw(Draw),
    Summary(SummaryArgs),
}

impl Lab {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        match self.verb {
            Verb::Plan(plan) => plan.run(json),
            Verb::Run(run) => run.run(json),
            Verb::Merge(merge) => merge.run(json),
            Verb::Compare(compare) => compare.run(json),
            Verb::Export(export) => export.run(json),
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
