//! [`Block`]: a table or a sentence of a document, made of numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::number::Found;
use crate::report::figure::Columns;

/// Every number by its name.
pub(crate) type Numbers = BTreeMap<String, Found>;

/// What stands between two marks of a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    /// What the marks call it.
    pub(crate) name: String,
    /// A sentence in which `{id}` stands for a number and `{id:unit}` for one with its unit.
    #[serde(default)]
    text: Option<String>,
    /// What stands above the first column.
    #[serde(default)]
    corner: String,
    /// Columns: what stands above each, and the key that stands for `@` in the cells under it.
    #[serde(default)]
    columns: Vec<(String, String)>,
    /// Rows.
    #[serde(default)]
    row: Vec<Line>,
}

/// One row of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// What stands in the first column.
    head: String,
    /// What stands in every other column, where `@` is the column's key; as the text of a block otherwise.
    #[serde(default)]
    cells: String,
    /// What stands in single columns instead, by key.
    #[serde(default)]
    only: BTreeMap<String, String>,
}

impl Line {
    /// What a cell says before numbers are put in.
    fn cell(&self, key: &str) -> String {
        self.only.get(key).unwrap_or(&self.cells).replace('@', key)
    }
}

impl Block {
    /// The text of the block.
    ///
    /// # Errors
    /// A sentence about a number that nothing is known of.
    pub(crate) fn fill(&self, numbers: &Numbers) -> Result<String, String> {
        let filled = match &self.text {
            Some(text) => put_in(text, numbers),
            None => self.table(numbers),
        };
        filled.map_err(|reason| format!("block {}: {reason}", self.name))
    }

    /// Whether it stands within a line.
    pub(crate) fn is_sentence(&self) -> bool {
        self.text.is_some()
    }

    fn table(&self, numbers: &Numbers) -> Result<String, String> {
        let heads: Vec<&str> =
            std::iter::once(self.corner.as_str()).chain(self.columns.iter().map(|(head, _)| head.as_str())).collect();
        let mut lines = vec![line(&heads), format!("|{}", "---|".repeat(heads.len()))];
        for row in &self.row {
            let mut cells = vec![put_in(&row.head, numbers)?];
            for (_, key) in &self.columns {
                cells.push(put_in(&row.cell(key), numbers)?);
            }
            lines.push(line(&cells.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        Ok(lines.join("\n"))
    }

    /// Its cells of a single number as rows with `row`, `column` and `value`.
    pub(crate) fn rows(&self, numbers: &Numbers) -> Vec<Columns> {
        let mut rows = Vec::new();
        for row in &self.row {
            for (head, key) in &self.columns {
                let cell = row.cell(key);
                let id = cell.strip_prefix('{').and_then(|cell| cell.strip_suffix('}'));
                let id = id.map(|id| id.split_once(':').map_or(id, |(id, _)| id));
                let value = id.and_then(|id| numbers.get(id)).and_then(|found| found.value.parse::<f64>().ok());
                if let Some(value) = value {
                    let plain = |text: &str| text.replace(['`', '*'], "").into();
                    rows.push(Columns::from_iter([
                        ("row".to_owned(), plain(&row.head)),
                        ("column".to_owned(), plain(head)),
                        ("value".to_owned(), value.into()),
                    ]));
                }
            }
        }
        rows
    }
}

fn line(cells: &[&str]) -> String {
    cells
        .iter()
        .fold("|".to_owned(), |line, cell| if cell.is_empty() { line + " |" } else { format!("{line} {cell} |") })
}

/// Puts numbers in the places of their names.
fn put_in(text: &str, numbers: &Numbers) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or_else(|| format!("no }} behind {{ in \"{text}\""))?;
        let (id, unit) = name.split_once(':').map_or((name, None), |(id, unit)| (id, Some(unit)));
        let found = numbers.get(id).ok_or_else(|| format!("there is no number {id}"))?;
        filled.push_str(before);
        filled.push_str(&match unit {
            None => found.written(),
            Some("unit") => found.with_unit(),
            Some(other) => return Err(format!("{{{id}:{other}}}, expected {{{id}}} or {{{id}:unit}}")),
        });
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let found = |id: &str, value: &str, unit: &str| {
            let found = Found {
                id: id.into(),
                value: value.into(),
                unit: unit.into(),
                source: String::new(),
                selector: String::new(),
            };
            (id.to_owned(), found)
        };
        BTreeMap::from([found("flat.clean", "99.5", "%"), found("flat.5dB", "98.8", "%"), found("rows", "24964", "")])
    }

    const TABLE: &str = "name = 't'\ncorner = 'top-1, %'\ncolumns = [['clean', 'clean'], ['5 dB', '5dB']]\n\
                         [[row]]\nhead = '`flat`'\ncells = '{flat.@}'\nonly = { 5dB = 'about {flat.5dB:unit}' }";

    #[test]
    fn tables_are_markdown_that_can_be_read() {
        let block: Block = toml::from_str(TABLE).unwrap();
        let table = "| top-1, % | clean | 5 dB |\n|---|---|---|\n| `flat` | 99.5 | about 98.8 % |";
        assert_eq!(block.fill(&numbers()).unwrap(), table);
        assert_eq!(block.rows(&numbers()).len(), 1, "a cell with words is no number");
    }

    #[test]
    fn sentences_hold_numbers_and_what_is_unknown_is_named() {
        let block: Block = toml::from_str("name = 's'\ntext = 'Among {rows} rows.'").unwrap();
        assert_eq!(block.fill(&numbers()).unwrap(), "Among 24,964 rows.");
        let block: Block = toml::from_str("name = 's'\ntext = '{nothing}'").unwrap();
        assert!(block.fill(&numbers()).unwrap_err().contains("nothing"));
    }
}
