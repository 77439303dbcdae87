//! [`Drawing`]: a picture that stands in a document, as a small file beside it that says what is drawn from which rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sordino_model::files::{read_text, write_file};

use super::figure::Columns;
use super::picture::{Panel, picture};
use super::read::{MOST, read_rows};
use super::summary::Summary;
use super::words::same;
use crate::LabError;
use crate::question::figure::Figure;
use crate::question::{Question, Size};

/// Rows of results and what is drawn from them: a `figure.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// Where rows come from.
    rows: Vec<Source>,
    /// Plots, one below the other.
    figure: Vec<Figure>,
}

/// What is to be painted, and from what.
pub(super) struct Sketch {
    pub(super) panels: Vec<Panel>,
    pub(super) rows: Vec<Columns>,
    /// The folders that the rows lie in.
    pub(super) folders: Vec<PathBuf>,
}

/// Rows of one file, and how they become like those of the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Source {
    /// A CSV file, from the folder of the drawing.
    file: PathBuf,
    /// The table of this name in a summary instead of a CSV file: columns `row`, `column` and `value`.
    table: Option<String>,
    /// Only rows whose columns have one of these values.
    #[serde(rename = "where")]
    only: BTreeMap<String, Vec<Value>>,
    /// A CSV file whose columns are added to the rows that agree with one of its own in the columns that both have.
    join: Option<PathBuf>,
    /// Columns that have other names here.
    rename: BTreeMap<String, String>,
    /// Columns that hold shares of one instead of per cent.
    shares: Vec<String>,
    /// Columns with the same value in every row.
    add: BTreeMap<String, Value>,
}

impl Source {
    fn rows(&self, folder: &Path) -> Result<Vec<Columns>, LabError> {
        let path = folder.join(&self.file);
        let mut rows = match &self.table {
            Some(table) => Summary::read(&path)?.rows(table)?,
            None => read_rows(&path)?,
        };
        if let Some(path) = &self.join {
            let others = read_rows(&folder.join(path))?;
            rows.iter_mut().for_each(|row| join(row, &others));
        }
        let fits = |row: &Columns| {
            let has = |(column, values): (&String, &Vec<Value>)| {
                row.get(column).is_some_and(|found| values.iter().any(|value| same(value, found)))
            };
            self.only.iter().all(has)
        };
        Ok(rows.into_iter().filter(fits).map(|row| self.adapted(row)).collect())
    }

    fn adapted(&self, row: Columns) -> Columns {
        let column = |(name, value): (String, Value)| {
            let value = match value.as_f64() {
                // Shares are written with four decimals.
                Some(share) if self.shares.contains(&name) => Value::from((share * 1e6).round() / 1e4),
                _ => value,
            };
            (self.rename.get(&name).cloned().unwrap_or(name), value)
        };
        let mut adapted: Columns = row.into_iter().map(column).collect();
        adapted.extend(self.add.iter().map(|(name, value)| (name.clone(), value.clone())));
        adapted
    }
}

/// Adds to a row what another one says that agrees with it.
fn join(row: &mut Columns, others: &[Columns]) {
    let agrees = |other: &&Columns| {
        let mut shared = other.iter().filter_map(|(name, value)| row.get(name).map(|own| same(own, value))).peekable();
        shared.peek().is_some() && shared.all(|same| same)
    };
    if let Some(other) = others.iter().find(agrees) {
        row.extend(other.clone());
    }
}

impl Drawing {
    /// Draws what a file says: a [`Drawing`], such as `experiments/bits/figure.toml`.
    ///
    /// # Errors
    /// [`LabError`] where a file is missing or not as expected, or nothing is left to draw.
    pub fn draw(path: &Path) -> Result<String, LabError> {
        let wrong = |reason: String| LabError::Format { path: path.to_owned(), reason };
        picture(&Self::sketch(path)?.panels).map_err(|error| wrong(error.to_string()))
    }

    /// What a file says is to be painted.
    pub(super) fn sketch(path: &Path) -> Result<Sketch, LabError> {
        let wrong = |reason: String| LabError::Format { path: path.to_owned(), reason };
        let text = read_text(path, MOST).map_err(LabError::io(path, "read the drawing"))?;
        let drawing: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut rows = Vec::new();
        for source in &drawing.rows {
            rows.extend(source.rows(folder)?);
        }
        let mut panels = Vec::new();
        for figure in &drawing.figure {
            if let Some(column) = figure.missing(&rows).first() {
                return Err(wrong(format!("the figure \"{}\" needs {column}, which no row has", figure.title)));
            }
            let nothing = || wrong(format!("no row belongs in the figure \"{}\"", figure.title));
            panels.push(figure.panel(&rows).ok_or_else(nothing)?);
        }
        let folder_of = |source: &Source| folder.join(&source.file).parent().unwrap_or(folder).to_owned();
        Ok(Sketch { panels, rows, folders: drawing.rows.iter().map(folder_of).collect() })
    }

    /// Draws again what a question's `run.toml` says of results that lie in a folder, from its `rows.csv`:
    /// `figure-1.svg` and so on, in the order of the file. Returns what was written.
    ///
    /// # Errors
    /// [`LabError`] where a file is missing or not as expected.
    pub fn redraw(results: &Path, experiment: &Path) -> Result<Vec<PathBuf>, LabError> {
        let question = Question::read(experiment, Size::Full)?;
        let rows = read_rows(&results.join("rows.csv"))?;
        write_figures(&question.figures, &rows, results)
    }
}

/// Writes every figure that has something to show; the files in order.
pub(crate) fn write_figures(figures: &[Figure], rows: &[Columns], folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut written = Vec::new();
    for (number, figure) in (1..).zip(figures) {
        let path = folder.join(format!("figure-{number}.svg"));
        let drawn = figure.draw(rows).map_err(|reason| LabError::Format { path: path.clone(), reason })?;
        if let Some(svg) = drawn {
            write_file(&path, svg.as_bytes()).map_err(LabError::io(&path, "write"))?;
            written.push(path);
        }
    }
    Ok(written)
}
