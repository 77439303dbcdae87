//! [`Results`]: the folder that an experiment leaves behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;
use sordino_model::files::write_file;

use super::drawing::write_figures;
use super::figure::Columns;
use super::html::{escape, table};
use crate::evaluate::{Finding, Row, Table, write_table};
use crate::question::figure::Figure;
use crate::question::{Question, Size};
use crate::{LabError, Machine};

/// Everything that a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The command.
    pub command: Vec<String>,
    /// How much of the experiment was run.
    pub size: &'static str,
    /// Where the recorded tracks, the noise and the rooms come from.
    pub sources: [String; 3],
    /// On what.
    pub machine: Machine,
    /// All rows.
    pub rows: Vec<Row>,
    /// What the rows are counted from.
    #[serde(skip)]
    findings: Vec<Finding>,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem;color:#222}\
h1{line-height:1.2}h2{margin-top:2.5rem}svg{max-width:100%;height:auto}figure{margin:2.5rem 0 0}table{border-collapse:collapse;font-size:13px;margin:.5rem 0}\
th,td{border-bottom:1px solid #ddd;padding:.2rem .6rem;text-align:left;white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.scroll{overflow-x:auto}code,pre{background:#f5f5f5;padding:.1rem .3rem;white-space:pre-wrap}dt{font-weight:600}summary{cursor:pointer;color:#0072b2}";

impl Results {
    /// Results of this run of a program, on this machine.
    pub fn new(command: Vec<String>, size: Size, sources: [String; 3], findings: Vec<Finding>) -> Self {
        let rows = findings.iter().flat_map(Finding::rows).collect();
        Self { command, size: size.name(), sources, machine: Machine::here(), rows, findings }
    }

    /// Writes `rows.csv`, `run.json` (everything), `figure-1.svg` and so on, and `report.html` (all of it in one file).
    ///
    /// # Errors
    /// [`LabError::Io`] where a file cannot be written, [`LabError::Format`] for a figure of columns that no row has.
    pub fn write(&self, folder: &Path, question: &Question) -> Result<(), LabError> {
        fs::create_dir_all(folder).map_err(LabError::io(folder, "make"))?;
        let (names, rows) = Table::Rows.of(&self.findings).map_err(format_error(folder))?;
        for table in [Table::Rows].iter().chain(&question.tables) {
            // Of thousands of queries each has a line.
            write_table(*table, &self.findings, folder, *table == Table::Queries)?;
        }
        let json = serde_json::to_string_pretty(self).map_err(format_error(folder))?;
        write(&folder.join("run.json"), &json)?;
        write(&folder.join("report.html"), &self.html(question, &names, &rows, folder)?)?;
        // Figures of an earlier run, which had more to show, are none of this one.
        let drawn = write_figures(&question.figures, &rows, folder)?;
        for number in 1..=question.figures.len() {
            let path = folder.join(format!("figure-{number}.svg"));
            if !drawn.contains(&path) && path.exists() {
                fs::remove_file(&path).map_err(LabError::io(&path, "remove"))?;
            }
        }
        Ok(())
    }

    /// Titles of the figures of a question that no row belongs in.
    pub fn empty_figures<'q>(&self, question: &'q Question) -> Vec<&'q str> {
        let rows = Table::Rows.of(&self.findings).map(|(_, rows)| rows).unwrap_or_default();
        let empty = |figure: &&Figure| figure.panel(&rows).is_none();
        question.figures.iter().filter(empty).map(|figure| figure.title.as_str()).collect()
    }

    fn html(&self, question: &Question, names: &[String], rows: &[Columns], folder: &Path) -> Result<String, LabError> {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
            escape(&question.question)
        );
        for figure in &question.figures {
            if let Some(column) = figure.missing(rows).first() {
                let known = names.join(", ");
                let reason = format!("the figure \"{}\" needs {column}, expected columns of {known}", figure.title);
                return Err(LabError::Format { path: folder.join("report.html"), reason });
            }
            let drawn =
                figure.draw(rows).map_err(|reason| LabError::Format { path: folder.join("report.html"), reason })?;
            // A small run may have nothing to show in some figure.
            if let Some(svg) = drawn {
                let _ = write!(
                    html,
                    "<figure>{svg}</figure><details><summary>Numbers</summary><div class=\"scroll\">{}</div></details>",
                    figure.numbers(rows)
                );
            }
        }
        let machine = &self.machine;
        let [music, noise, rooms] = &self.sources;
        let facts: BTreeMap<&str, String> = BTreeMap::from([
            ("Command", self.command.join(" ")),
            ("Size", self.size.into()),
            ("Recorded tracks", music.clone()),
            ("Noise", noise.clone()),
            ("Rooms", rooms.clone()),
            ("Machine", format!("{}, {} threads, {}", machine.processor, machine.threads, machine.system)),
            ("Version", format!("sordino {}, {} build", machine.version, machine.build)),
        ]);
        html.push_str("<h2>How it was made</h2><dl>");
        for (name, fact) in facts {
            let _ = write!(html, "<dt>{name}</dt><dd><code>{}</code></dd>", escape(&fact));
        }
        let _ = write!(
            html,
            "</dl><h2>All rows</h2><details><summary>{} rows</summary><div class=\"scroll\">{}</div></details></html>",
            rows.len(),
            table(names, rows)
        );
        Ok(html)
    }
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    write_file(path, text.as_bytes()).map_err(LabError::io(path, "write"))
}

fn format_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> LabError {
    move |error| LabError::Format { path: path.to_owned(), reason: error.to_string() }
}
