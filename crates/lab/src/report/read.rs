//! Rows read back from a CSV file, plain or compressed.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Number, Value};
use sordino_model::files::read_file;

use super::figure::Columns;
use crate::LabError;

/// Largest file of settings, rows or text that is read, in bytes.
pub(crate) const MOST: u64 = 1 << 30;

/// The text of a file, decompressed where its name ends in `.gz`.
///
/// # Errors
/// [`LabError::Io`] where it cannot be read.
pub(crate) fn read_text(path: &Path) -> Result<String, LabError> {
    let bytes = read_file(path, MOST).map_err(LabError::io(path, "read"))?;
    let mut text = String::new();
    let read = match path.extension() {
        Some(end) if end == "gz" => GzDecoder::new(bytes.as_slice()).read_to_string(&mut text),
        _ => bytes.as_slice().read_to_string(&mut text),
    };
    read.map_err(LabError::io(path, "read"))?;
    Ok(text)
}

/// Every row of a CSV file by its columns; lines that begin with `#` are notes. Empty cells and `NaN` are left out.
///
/// # Errors
/// [`LabError::Io`] or [`LabError::Format`].
pub(crate) fn read_rows(path: &Path) -> Result<Vec<Columns>, LabError> {
    parse(&read_text(path)?).map_err(|error| LabError::Format { path: path.to_owned(), reason: error.to_string() })
}

fn parse(text: &str) -> Result<Vec<Columns>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let names = reader.headers()?.clone();
    let row = |record: csv::StringRecord| {
        let cells = names.iter().zip(&record).filter_map(|(name, cell)| Some((name.to_owned(), value(cell)?)));
        cells.collect::<Columns>()
    };
    reader.records().map(|record| record.map(row)).collect()
}

/// What a cell holds, if anything.
fn value(cell: &str) -> Option<Value> {
    match cell.parse::<f64>() {
        Ok(number) => Number::from_f64(number).map(Value::Number),
        Err(_) => (!cell.is_empty()).then(|| Value::String(cell.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_numbers_text_or_nothing() {
        let rows = parse("# a note\na,b,c\n1.5,two,\nNaN,\"x, y\",3\n").unwrap();
        assert_eq!(Value::Object(rows[0].clone()), json!({"a": 1.5, "b": "two"}));
        assert_eq!(Value::Object(rows[1].clone()), json!({"b": "x, y", "c": 3.0}));
    }
}
