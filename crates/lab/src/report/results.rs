//! [`Results`]: the folder that an experiment leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::evaluate::row::Row;
use crate::question::{Question, Size};
use crate::report::figure::Columns;
use crate::report::html::{escape, table};
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
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem;color:#222}\
h1{line-height:1.2}h2{margin-top:2.5rem}svg{max-width:100%;height:auto}figure{margin:0}figcaption{font-size:14px}figcaption span{margin-right:1.2rem;white-space:nowrap}\
figcaption i{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.35em}table{border-collapse:collapse;font-size:13px;margin:.5rem 0}\
th,td{border-bottom:1px solid #ddd;padding:.2rem .6rem;text-align:left;white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.scroll{overflow-x:auto}code,pre{background:#f5f5f5;padding:.1rem .3rem;white-space:pre-wrap}dt{font-weight:600}summary{cursor:pointer;color:#0072b2}";

impl Results {
    /// Results of this run of a program, on this machine.
    pub fn new(command: Vec<String>, size: Size, sources: [String; 3], rows: Vec<Row>) -> Self {
        Self { command, size: size.name(), sources, machine: Machine::here(), rows }
    }

    /// Writes `rows.csv`, `run.json` (everything) and `report.html` (figures in a file of its own).
    ///
    /// # Errors
    /// [`LabError::Io`] where a file cannot be written, [`LabError::Format`] for a figure of columns that no row has.
    pub fn write(&self, folder: &Path, question: &Question) -> Result<(), LabError> {
        fs::create_dir_all(folder).map_err(LabError::io(folder, "make"))?;
        let rows = self.columns(folder)?;
        let names = names(&rows);
        write(&folder.join("rows.csv"), &csv(&names, &rows, folder)?)?;
        let json = serde_json::to_string_pretty(self).map_err(format_error(folder))?;
        write(&folder.join("run.json"), &json)?;
        write(&folder.join("report.html"), &self.html(question, &names, &rows, folder)?)
    }

    /// Rows by column.
    fn columns(&self, folder: &Path) -> Result<Vec<Columns>, LabError> {
        let columns = |row: &Row| match serde_json::to_value(row) {
            Ok(Value::Object(columns)) => Ok(columns),
            Ok(_) => Ok(Columns::new()),
            Err(error) => Err(format_error(folder)(error)),
        };
        self.rows.iter().map(columns).collect()
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
                    "<h2>{}</h2><figure>{svg}</figure><p>{}</p><details><summary>Numbers</summary>\
                     <div class=\"scroll\">{}</div></details>",
                    escape(&figure.title),
                    escape(&figure.note),
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

/// Every column that some row has a value for; what varies within a grid comes behind the system.
fn names(rows: &[Columns]) -> Vec<String> {
    let used = |name: &str| rows.iter().any(|row| row.get(name).is_some_and(|value| !value.is_null()));
    let own = |name: &&String| !Row::COLUMNS.contains(&name.as_str());
    let knobs: BTreeSet<String> = rows.iter().flat_map(Columns::keys).filter(own).cloned().collect();
    let (first, rest) = Row::COLUMNS.split_at(2);
    let all = first.iter().map(ToString::to_string).chain(knobs).chain(rest.iter().map(ToString::to_string));
    all.filter(|name| used(name)).collect()
}

fn csv(names: &[String], rows: &[Columns], folder: &Path) -> Result<String, LabError> {
    let cell = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => String::new(),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let lines = std::iter::once(names.to_vec())
        .chain(rows.iter().map(|row| names.iter().map(|name| cell(row.get(name))).collect::<Vec<_>>()));
    for line in lines {
        writer.write_record(line).map_err(format_error(folder))?;
    }
    let bytes = writer.into_inner().map_err(format_error(folder))?;
    String::from_utf8(bytes).map_err(format_error(folder))
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(path, "write"))
}

fn format_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> LabError {
    move |error| LabError::Format { path: path.to_owned(), reason: error.to_string() }
}
