//! [`Number`]: where one figure, or one for every value of a column, is read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::report::axis::grouped;
use crate::report::figure::Columns;
use crate::report::read::{read_rows, read_text};
use crate::report::words::{as_number, same, spoken, text};

/// What becomes of several rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Take {
    /// The middle of their values.
    Median,
    /// The mean of their values.
    Mean,
    /// The smallest.
    Least,
    /// The largest.
    Most,
    /// How many there are.
    Count,
    /// The sum of their values.
    Sum,
}

/// A number as declared: which file, which place in it, how it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    /// Its name; with `each`, every `{}` stands for the value of a column.
    id: String,
    /// A results file, from the folder of the declaration: `.csv`, `.csv.gz`, `.json` or `.txt`.
    file: String,
    /// Of a CSV file: the column, or several with ` + ` between.
    #[serde(default)]
    column: Option<String>,
    /// Of a CSV file: only rows whose columns have one of these values.
    #[serde(default, rename = "where")]
    only: BTreeMap<String, OneOrMore>,
    /// Of a CSV file: a number for every combination of values of these columns.
    #[serde(default)]
    each: Vec<String>,
    /// Of a CSV file: what becomes of several rows.
    #[serde(default)]
    take: Option<Take>,
    /// Of a CSV file: the column with the number of queries of which the value is a share. Written with four decimals it must
    /// not be rounded twice.
    #[serde(default)]
    of: Option<String>,
    /// Of a JSON file: keys and places, separated by dots.
    #[serde(default)]
    path: Option<String>,
    /// Of a text file: words that are looked for one after the other; the number is the first behind them.
    #[serde(default)]
    behind: Vec<String>,
    /// Of a text file: what the numbers behind the words are called, one after the other, in place of `{}`.
    #[serde(default)]
    names: Vec<String>,
    /// Of a text file: words in front of a second number, which is added.
    #[serde(default)]
    plus: Vec<String>,
    /// What the number is multiplied by.
    #[serde(default = "one")]
    times: f64,
    /// How many decimals it is written with.
    #[serde(default)]
    decimals: usize,
    /// How many digits it is written with at most, in front of the point and behind it.
    #[serde(default)]
    digits: Option<i32>,
    /// Its unit after multiplying.
    #[serde(default)]
    unit: String,
}

/// A value, or any of several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<Value>),
    One(Value),
}

impl OneOrMore {
    fn values(&self) -> &[Value] {
        match self {
            Self::More(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }
}

fn one() -> f64 {
    1.0
}

/// The id of a number, its value and where it stands.
type Place = (String, f64, String);

/// A number as it was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// As it is written, without its unit and without thousands set apart.
    pub(crate) value: String,
    pub(crate) unit: String,
    /// Its file, from the folder of the declaration.
    pub(crate) source: String,
    pub(crate) selector: String,
}

impl Found {
    /// As it stands in a document: thousands set apart.
    pub(crate) fn written(&self) -> String {
        grouped(&self.value)
    }

    /// The same with its unit.
    pub(crate) fn with_unit(&self) -> String {
        if self.unit.is_empty() { self.written() } else { format!("{} {}", self.written(), self.unit) }
    }
}

impl Number {
    /// Reads it from its file in `folder`.
    ///
    /// # Errors
    /// A sentence that names the number, what was found and what was expected.
    pub(crate) fn find(&self, folder: &Path) -> Result<Vec<Found>, String> {
        let path = folder.join(&self.file);
        let found = match (&self.column, &self.path, self.behind.as_slice()) {
            (Some(column), None, []) => {
                let rows = read_rows(&path).map_err(|error| self.wrong(&cause(&error)))?;
                self.in_rows(&rows, column)
            }
            (None, Some(place), []) => {
                let text = read_text(&path).map_err(|error| self.wrong(&cause(&error)))?;
                in_json(&text, place).map(|value| vec![(self.id.clone(), value, place.clone())])
            }
            (None, None, words @ [_, ..]) => {
                let text = read_text(&path).map_err(|error| self.wrong(&cause(&error)))?;
                let place = format!("behind {}", quoted(words));
                if self.names.is_empty() {
                    self.one_of_text(&text, words, place)
                } else {
                    self.several_of_text(&text, words, &place)
                }
            }
            _ => Err("expected one of column, path and behind".into()),
        };
        let found = found.map_err(|reason| self.wrong(&format!("{}: {reason}", self.file)))?;
        Ok(found.into_iter().map(|(id, value, selector)| self.found(id, value, selector)).collect())
    }

    fn one_of_text(&self, text: &str, words: &[String], place: String) -> Result<Vec<Place>, String> {
        let number = |words: &[String]| numbers_behind(text, words)?.next().ok_or_else(|| none_behind(words));
        if self.plus.is_empty() {
            return Ok(vec![(self.id.clone(), number(words)?, place)]);
        }
        let place = format!("{place} plus behind {}", quoted(&self.plus));
        Ok(vec![(self.id.clone(), number(words)? + number(&self.plus)?, place)])
    }

    fn several_of_text(&self, text: &str, words: &[String], place: &str) -> Result<Vec<Place>, String> {
        let mut numbers = numbers_behind(text, words)?;
        let mut found = Vec::new();
        for name in &self.names {
            let value = numbers.next().ok_or_else(|| none_behind(words))?;
            if !name.is_empty() {
                found.push((self.id.replacen("{}", name, 1), value, format!("{name} {place}")));
            }
        }
        Ok(found)
    }

    fn wrong(&self, reason: &str) -> String {
        format!("number {}: {reason}", self.id)
    }

    fn found(&self, id: String, value: f64, selector: String) -> Found {
        let scaled = value * self.times;
        // Products of decimal fractions must round as on paper.
        let scaled = (scaled * 1e9).round() / 1e9;
        let before_point = if scaled == 0.0 { 1 } else { scaled.abs().log10().floor() as i32 + 1 };
        let most = self.digits.map_or(self.decimals, |digits| (digits - before_point.max(1)).max(0) as usize);
        let mut value = format!("{scaled:.*}", self.decimals.min(most));
        if self.unit == "%" && scaled == 100.0 {
            value = "100".into();
        }
        Found { id, value, unit: self.unit.clone(), source: self.file.clone(), selector }
    }

    /// Ids, values and where they stand in a table.
    fn in_rows(&self, rows: &[Columns], column: &str) -> Result<Vec<Place>, String> {
        let fits = |row: &&Columns| {
            let has = |(name, values): (&String, &OneOrMore)| {
                row.get(name).is_some_and(|found| values.values().iter().any(|value| same(value, found)))
            };
            self.only.iter().all(has)
        };
        let rows: Vec<&Columns> = rows.iter().filter(fits).collect();
        let mut found: Vec<(Vec<&Value>, Vec<&Columns>)> = vec![(Vec::new(), rows)];
        for each in &self.each {
            found = found.into_iter().flat_map(|(values, rows)| split(each, &values, &rows)).collect();
        }
        if found.is_empty() {
            return Err(format!("no row has {} in {}", self.each.join(" and "), self.selector(column, &[])));
        }
        let of = |(values, rows): (Vec<&Value>, Vec<&Columns>)| {
            let named = self.each.iter().zip(&values);
            let id = named.fold(self.id.clone(), |id, (column, value)| id.replacen("{}", &plain(column, value), 1));
            let value = self.taken(&rows, column).map_err(|reason| format!("{id}: {reason}"))?;
            Ok((id, value, self.selector(column, &values)))
        };
        found.into_iter().map(of).collect()
    }

    /// The value of rows in a column.
    fn taken(&self, rows: &[&Columns], column: &str) -> Result<f64, String> {
        let value = |row: &&Columns| {
            let value: f64 = column.split(" + ").map(|name| row.get(name).and_then(as_number)).sum::<Option<f64>>()?;
            let whole = self.of.as_ref().and_then(|of| row.get(of)).and_then(as_number).filter(|whole| *whole > 0.0);
            Some(whole.map_or(value, |whole| (value * whole).round() / whole))
        };
        let mut values: Vec<f64> = rows.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let selector = || self.selector(column, &[]);
        if self.take == Some(Take::Count) {
            return Ok(rows.len() as f64);
        }
        if count == 0 {
            return Err(format!("no row has a number in {}", selector()));
        }
        let sum: f64 = values.iter().sum();
        Ok(match self.take {
            Some(Take::Median) if count.is_multiple_of(2) => (values[count / 2 - 1] + values[count / 2]) / 2.0,
            Some(Take::Median) => values[count / 2],
            Some(Take::Mean) => sum / count as f64,
            Some(Take::Least) => values[0],
            Some(Take::Most) => values[count - 1],
            Some(Take::Sum) => sum,
            Some(Take::Count) => count as f64,
            None if count == 1 => values[0],
            None => return Err(format!("{count} rows have a number in {}, expected one or a take", selector())),
        })
    }

    fn selector(&self, column: &str, each: &[&Value]) -> String {
        let mut parts: Vec<String> = self
            .only
            .iter()
            .map(|(name, values)| {
                let values: Vec<String> = values.values().iter().map(text).collect();
                format!("{name} = {}", values.join(" or "))
            })
            .collect();
        parts.extend(self.each.iter().zip(each).map(|(name, value)| format!("{name} = {}", text(value))));
        let take = match self.take {
            Some(take) => format!("{take:?} of ").to_lowercase(),
            None => String::new(),
        };
        if parts.is_empty() {
            format!("{take}{column}")
        } else {
            format!("{take}{column} where {}", parts.join(" and "))
        }
    }
}

/// Rows apart by their value in one more column, in order of appearance.
fn split<'a>(column: &str, values: &[&'a Value], rows: &[&'a Columns]) -> Vec<(Vec<&'a Value>, Vec<&'a Columns>)> {
    let mut parts: Vec<(Vec<&Value>, Vec<&Columns>)> = Vec::new();
    for &row in rows {
        let Some(value) = row.get(column) else { continue };
        match parts.iter_mut().find(|(values, _)| values.last().is_some_and(|known| same(known, value))) {
            Some((_, rows)) => rows.push(row),
            None => parts.push(([values, &[value]].concat(), vec![row])),
        }
    }
    parts
}

/// What an error says, and why.
fn cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A value as part of a name: `1000`, not `1,000`, and a protocol by its name.
fn plain(column: &str, value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or(number.to_string(), |number| number.to_string()),
        value if column == "protocol" => spoken(column, value),
        other => text(other),
    }
}

/// The number at a place of a JSON document.
fn in_json(text: &str, place: &str) -> Result<f64, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut value = &document;
    for key in place.split('.') {
        let next = match (value, key.parse::<usize>()) {
            (Value::Array(values), Ok(index)) => values.get(index),
            (value, _) => value.get(key),
        };
        value = next.ok_or_else(|| format!("there is no {key} on the way to {place}"))?;
    }
    as_number(value).ok_or_else(|| format!("{place} is {value}, expected a number"))
}

/// The numbers of a line behind words that follow one another in a text.
fn numbers_behind<'a>(text: &'a str, words: &[String]) -> Result<impl Iterator<Item = f64> + 'a, String> {
    let mut rest = text;
    for word in words {
        let place = rest.find(word.as_str()).ok_or_else(|| format!("there is no {word:?} where it was looked for"))?;
        rest = &rest[place + word.len()..];
    }
    let line = rest.lines().next().unwrap_or_default();
    let numbers = line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    Ok(numbers.filter_map(|number| number.trim_end_matches('.').parse().ok()))
}

fn none_behind(words: &[String]) -> String {
    format!("no number behind {}", quoted(words))
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(declared: &str) -> Number {
        toml::from_str(declared).unwrap()
    }

    fn rows() -> Vec<Columns> {
        let row = |condition: &str, protocol: &str, top: f64| {
            let value = serde_json::json!({"condition": condition, "protocol": protocol, "top_1": top});
            let Value::Object(row) = value else { panic!("an object") };
            row
        };
        vec![row("clean", "flat", 100.0), row("5dB", "flat", 98.75), row("5dB", "two-trip", 97.0)]
    }

    #[test]
    fn a_number_for_every_value_of_a_column() {
        let declared =
            "id = 'a.{}'\nfile = 'rows.csv'\ncolumn = 'top_1'\nwhere = { protocol = 'flat' }\neach = ['condition']";
        let found = number(declared).in_rows(&rows(), "top_1").unwrap();
        assert_eq!(found[0].0, "a.clean");
        assert_eq!(found[1], ("a.5dB".into(), 98.75, "top_1 where protocol = flat and condition = 5dB".into()));
    }

    #[test]
    fn several_rows_need_to_be_taken_together() {
        let of = |take: &str| {
            let declared = format!("id = 'a'\nfile = 'rows.csv'\ncolumn = 'top_1'\n{take}");
            number(&declared).in_rows(&rows(), "top_1").map(|found| found[0].1)
        };
        assert!(of("").unwrap_err().contains("3 rows"));
        assert_eq!(of("take = 'median'"), Ok(98.75));
        assert_eq!(of("take = 'count'\nwhere = { condition = ['clean', '5dB'], protocol = 'flat' }"), Ok(2.0));
        let twice = number("id = 'a'\nfile = 'f'\ncolumn = 'top_1 + top_1'\ntake = 'least'");
        assert_eq!(twice.in_rows(&rows(), "top_1 + top_1").unwrap()[0].1, 194.0);
        assert!(of("where = { protocol = 'one-trip' }").unwrap_err().contains("no row"));
    }

    #[test]
    fn a_share_is_rounded_once() {
        let Value::Object(row) = serde_json::json!({"top_1": 0.7685, "queries": 596}) else { panic!() };
        let declared = number("id = 'a'\nfile = 'f'\ncolumn = 'top_1'\nof = 'queries'\ntimes = 100\ndecimals = 1");
        let (id, value, place) = declared.in_rows(&[row], "top_1").unwrap().remove(0);
        assert_eq!(declared.found(id, value, place).value, "76.8", "458 of 596");
    }

    #[test]
    fn numbers_of_other_files() {
        assert_eq!(in_json("{\"a\": [{\"b\": 4.5}]}", "a.0.b"), Ok(4.5));
        assert!(in_json("{\"a\": 1}", "a.b").unwrap_err().contains("no b"));
        let text = "flat\n  server: 7.05ms\ntwo\n  server: 9.41ms (13 more)\n";
        let behind = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            numbers_behind(text, &words).map(Iterator::collect::<Vec<f64>>)
        };
        assert_eq!(behind(&["two", "server:"]), Ok(vec![9.41, 13.0]));
        assert!(behind(&["three"]).unwrap_err().contains("three"));
        let names = number("id = 'a.{}'\nfile = 'f'\nbehind = ['two']\nnames = ['one', '', 'three']");
        let found = names.several_of_text("two 1.5 2 (-3)", &names.behind, "here").unwrap();
        assert_eq!(found[1], ("a.three".into(), -3.0, "three here".into()));
    }

    #[test]
    fn numbers_round_as_declared() {
        let of = |declared: &str, value| {
            number(&format!("id = 'a'\nfile = 'f'\n{declared}")).found("a".into(), value, String::new())
        };
        assert_eq!(of("times = 100\ndecimals = 1\nunit = '%'", 0.9362).value, "93.6");
        assert_eq!(of("decimals = 1\nunit = '%'", 100.0).value, "100");
        assert_eq!(of("decimals = 1\nunit = '%'", 99.0).with_unit(), "99.0 %");
        assert_eq!(of("unit = 'B'", 24_964.0).with_unit(), "24,964 B");
        let few = |value| of("decimals = 2\ndigits = 3", value).value;
        assert_eq!([few(0.7694), few(8.791), few(16.73), few(0.0)], ["0.77", "8.79", "16.7", "0.00"]);
    }
}
