//! `sordino lab export`: figures for a paper.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use sordino_lab::{Format, export};
use sordino_model::files::write_file;

use super::Written;

/// Write the figures of a run, or of a figure.toml, for a paper: with the number of queries, the seed, the commit and the date.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab export experiments/bits/figure.toml --out paper/figures\n  \
    sordino lab export experiments/bits/results/2026-11-25-2core-small --format pdf,tex --out paper/figures\n\n\
    The PDF embeds its font; the .tex includes the PDF and has the numbers as a table (graphicx, booktabs).")]
pub(super) struct Export {
    /// Folders of results, and files that say what is drawn from which rows.
    #[arg(required = true)]
    what: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [FormatArg::Svg, FormatArg::Pdf, FormatArg::Csv, FormatArg::Tex])]
    format: Vec<FormatArg>,
    /// Folder to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// A picture.
    Svg,
    /// The same for paper.
    Pdf,
    /// Its points.
    Csv,
    /// A figure and a table in LaTeX.
    Tex,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Svg => Self::Svg,
            FormatArg::Pdf => Self::Pdf,
            FormatArg::Csv => Self::Csv,
            FormatArg::Tex => Self::Tex,
        }
    }
}

impl Export {
    pub(super) fn run(self, json: bool) -> anyhow::Result<()> {
        let formats: Vec<Format> = self.format.into_iter().map(Format::from).collect();
        let mut written = Vec::new();
        for what in &self.what {
            for (name, bytes) in export(what, &formats)? {
                let path = self.out.join(name);
                write_file(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
                written.push(path);
            }
        }
        Written { written }.print(json)
    }
}
