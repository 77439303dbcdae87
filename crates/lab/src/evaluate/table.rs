//! [`Table`]: rows as files of comma-separated values.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sordino_model::files::write_file;

use super::{Finding, Record, Row};
use crate::LabError;

/// A row by its columns.
pub(crate) type Columns = Map<String, Value>;

/// What can be written of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// `rows.csv`: one line per way of answering and condition.
    Rows,
    /// `rooms.csv`: the same by impulse response, where queries were heard through any.
    Rooms,
    /// `queries.csv`: one line per query and way of answering.
    Queries,
}

/// Columns of `queries.csv` that tell what was asked; what varies within a grid comes behind them.
const SUBJECT: [&str; 4] = ["grid", "system", "tracks", "seconds"];

impl Table {
    /// The lines of findings, and the columns in their order: those for which some line has a value.
    ///
    /// # Errors
    /// A sentence about a value that has no text.
    pub(crate) fn of(self, findings: &[Finding]) -> Result<(Vec<String>, Vec<Columns>), serde_json::Error> {
        let rows: Vec<Columns> = match self {
            Self::Rows => findings.iter().flat_map(Finding::rows).map(|row| columns(&row)).collect::<Result<_, _>>()?,
            Self::Rooms => {
                findings.iter().flat_map(Finding::rooms).map(|row| columns(&row)).collect::<Result<_, _>>()?
            }
            Self::Queries => findings.iter().map(Finding::queries).collect::<Result<Vec<_>, _>>()?.concat(),
        };
        let names = match self {
            Self::Rows | Self::Rooms => {
                let (first, rest) = Row::COLUMNS.split_at(2);
                names(first, rest, &rows)
            }
            Self::Queries => names(&SUBJECT, &Record::COLUMNS, &rows),
        };
        Ok((names, rows))
    }

    fn file(self) -> &'static str {
        match self {
            Self::Rows => "rows.csv",
            Self::Rooms => "rooms.csv",
            Self::Queries => "queries.csv",
        }
    }
}

/// Writes a table of findings to a folder, which is made where there is none, unless it has no line. `compressed` adds `.gz` to its name.
///
/// # Errors
/// [`LabError::Io`] where it cannot be written.
pub fn write_table(table: Table, findings: &[Finding], folder: &Path, compressed: bool) -> Result<(), LabError> {
    let path = folder.join(format!("{}{}", table.file(), if compressed { ".gz" } else { "" }));
    let format = |error: String| LabError::Format { path: path.clone(), reason: error };
    let (names, rows) = table.of(findings).map_err(|error| format(error.to_string()))?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let lines = std::iter::once(names.clone())
        .chain(rows.iter().map(|row| names.iter().map(|name| cell(row.get(name))).collect::<Vec<_>>()));
    for line in lines {
        writer.write_record(line).map_err(|error| format(error.to_string()))?;
    }
    let mut bytes = writer.into_inner().map_err(|error| format(error.to_string()))?;
    if compressed {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&bytes).map_err(LabError::io(&path, "compress"))?;
        bytes = packed.finish().map_err(LabError::io(&path, "compress"))?;
    }
    write_file(&path, &bytes).map_err(LabError::io(&path, "write"))
}

/// A value by its columns.
pub(crate) fn columns<T: Serialize>(value: &T) -> Result<Columns, serde_json::Error> {
    match serde_json::to_value(value)? {
        Value::Object(columns) => Ok(columns),
        _ => Ok(Columns::new()),
    }
}

/// Every column that some row has a value for; those of no list come between both.
fn names(first: &[&str], rest: &[&str], rows: &[Columns]) -> Vec<String> {
    let used = |name: &str| rows.iter().any(|row| row.get(name).is_some_and(|value| !value.is_null()));
    let own = |name: &&String| !first.contains(&name.as_str()) && !rest.contains(&name.as_str());
    let settings: BTreeSet<String> = rows.iter().flat_map(Columns::keys).filter(own).cloned().collect();
    let all = first.iter().map(ToString::to_string).chain(settings).chain(rest.iter().map(ToString::to_string));
    all.filter(|name| used(name)).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => String::new(),
    }
}
