//! `sordino lab run`, and what it has in common with its plan and its parts.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use sordino_corpus::Part;
use sordino_corpus::Sounds;
use sordino_lab::evaluate::Finding;
use sordino_lab::{Lab, Machine, Music, Question, Results, Size};
use sordino_model::files::{read_file, write_file};

use super::script;
use crate::disturbances::DisturbanceArgs;
use crate::library::RecordedArgs;
use crate::report::{self, Terminal, note, say};

/// How much of an experiment to run.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum SizeArg {
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

/// An experiment, and what it is run on.
#[derive(Args)]
pub(super) struct Asked {
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
    pub(super) cache: PathBuf,
}

impl Asked {
    /// The question, and the music that it is asked of.
    pub(super) fn open(&self) -> anyhow::Result<(Question, Music)> {
        let question = Question::read(&self.experiment, self.size.into())?;
        let recorded = self.recorded.catalogue(&Sounds::default())?;
        let name = match recorded.tracks.len() {
            0 => "none".into(),
            count => format!("{count} of {}", self.recorded.describe()),
        };
        Ok((question, Music { recorded, name, disturbances: self.disturbances.source() }))
    }

    /// Writes results to a folder, by default one of the experiment's own, and says where.
    pub(super) fn write(
        &self,
        out: Option<PathBuf>,
        question: &Question,
        music: &Music,
        findings: Vec<Finding>,
        json: bool,
    ) -> anyhow::Result<()> {
        let size = self.size.into();
        let own = || self.experiment.join("results").join(Machine::here().results_name(size));
        let out = out.unwrap_or_else(own);
        let results = Results::new(report::command(), size, music.sources(), findings);
        results.write(&out, question)?;
        // Whoever exports or draws from the results need not find the experiment.
        let (asked, kept) = (self.experiment.join("run.toml"), out.join("run.toml"));
        let text = read_file(&asked, 1 << 20).with_context(|| format!("cannot read {}", asked.display()))?;
        write_file(&kept, &text).with_context(|| format!("cannot write {}", kept.display()))?;
        for title in results.empty_figures(question) {
            note!("the figure \"{title}\" has nothing to show: no row fits its `where`, or none has its columns");
        }
        let outcome = Outcome { report: out.join("report.html"), rows: results.rows.len() };
        report::print(json, &outcome, |o| say!("{} rows; {}", o.rows, o.report.display()))
    }
}

/// Run an experiment, or what is left of it: finished parts are kept in the cache and not run again.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab run experiments/scaling --size smoke\n  \
    sordino lab run experiments/scaling --size full --fma fma_medium/ --metadata fma_metadata/tracks.csv --noise esc50/ \
    --ir rooms/\n  sordino lab run experiments/scaling --size full --part 2/8 --cache /shared/lab\n\n\
    Without recorded music everything is composed, without noise and impulse responses those are synthesised; \
    every row of the results says which.")]
pub(super) struct Run {
    #[command(flatten)]
    asked: Asked,
    /// Run this part alone, one of so many, and write no results: `sordino lab merge` does when all parts are done.
    #[arg(long, value_name = "I/N", conflicts_with = "out")]
    part: Option<Part>,
    /// Folder for the results [default: `results/<date>-<cores>core[-<size>]` in the experiment's folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Outcome {
    report: PathBuf,
    rows: usize,
}

#[derive(Serialize)]
struct Done {
    part: String,
    units: usize,
}

impl Run {
    pub(super) fn run(self, json: bool) -> anyhow::Result<()> {
        let (question, music) = self.asked.open()?;
        let lab = Lab::new(&music, &self.asked.cache, &Terminal);
        if let Some(part) = self.part {
            let done = Done { part: part.to_string(), units: lab.run_part(&question, part)? };
            report::print(json, &done, |d| say!("{} units of part {} are done", d.units, d.part))?;
            note!("when all parts are: {}", script::command(&report::command(), "run", "merge")?);
            return Ok(());
        }
        let findings = lab.run(&question)?;
        self.asked.write(self.out, &question, &music, findings, json)
    }
}
