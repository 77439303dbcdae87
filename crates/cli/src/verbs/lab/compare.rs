//! `sordino lab compare`: two runs, query by query.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use sordino_lab::{Chosen, Comparison, Difference};

use crate::report::{self, say};

/// Compare two runs, or two systems of one, on the queries that both were asked: differences in points, the second less the first, with
/// intervals of 95 %.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab compare results/before results/after\n  \
    sordino lab compare results/mine results/mine --first system=landmarks --second system=sordino,protocol=flat,precision=integer\n\n\
    Queries are paired by fold, track, crop and condition. Intervals are over tracks; noise and rooms are a sample too, and not counted.")]
pub(super) struct Compare {
    /// Folder of results with a `queries.csv.gz`: `tables = ["queries"]` in `run.toml` has it written.
    first_run: PathBuf,
    /// The folder to compare with; the same one compares two systems of a run.
    second_run: PathBuf,
    /// Of the first, only rows with these values.
    #[arg(long, value_name = "COLUMN=VALUE,..", default_value = "", hide_default_value = true, value_parser = chosen)]
    first: Chosen,
    /// Of the second, only rows with these values.
    #[arg(long, value_name = "COLUMN=VALUE,..", default_value = "", hide_default_value = true, value_parser = chosen)]
    second: Chosen,
}

/// `column=value,column=value`.
fn chosen(text: &str) -> Result<Chosen, String> {
    let pair = |part: &str| {
        let (column, value) = part.split_once('=').ok_or(format!("\"{part}\": expected column=value"))?;
        Ok::<_, String>((column.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}

impl Compare {
    pub(super) fn run(self, json: bool) -> anyhow::Result<()> {
        let found = Comparison::of_runs((&self.first_run, &self.first), (&self.second_run, &self.second))
            .context("the runs cannot be compared")?;
        report::print(json, &found, |found| {
            let told = |what: &str, d: &Difference| {
                let Difference { first, second, difference, low, high, .. } = d;
                say!("    {what:10} {first:>5.1} {second:>5.1}   {difference:+.1} ({low:+.1} to {high:+.1})");
            };
            let mut last = None;
            for one in found {
                if last != Some(&one.of) {
                    let of: Vec<String> = one.of.iter().map(|(column, value)| format!("{column} {value}")).collect();
                    say!("{}", of.join(", "));
                    last = Some(&one.of);
                }
                say!("  {}, {} queries to {} tracks", one.condition, one.queries, one.tracks);
                told("top-1", &one.top_1);
                told("named", &one.named);
                one.rejected.iter().for_each(|rejected| told("rejected", rejected));
            }
        })
    }
}
