//! [`Comparison`]: two systems that met the same queries, query by query.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::figure::Columns;
use super::read::read_rows;
use super::words::{same, text};
use crate::LabError;
use crate::evaluate::Record;

/// Columns of `queries.csv` that say which query it is.
const QUERY: [&str; 4] = ["fold", "track", "crop", "condition"];
/// Those that say in which way it was asked.
const METHOD: [&str; 5] = ["protocol", "probes", "answers", "resolution", "precision"];
/// Standard errors to either side that hold 95 % of a normal variable.
const WIDTH: f64 = 1.96;

/// Columns with the values that they must have.
pub type Chosen = BTreeMap<String, String>;

/// How one way of answering fared beside another on the queries that both were asked, under one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// What both are: columns that agree.
    pub of: BTreeMap<String, String>,
    /// The condition.
    pub condition: String,
    /// Queries to tracks of both libraries.
    pub queries: usize,
    /// Tracks that they are of.
    pub tracks: usize,
    /// Per cent of them whose best track is right.
    pub top_1: Difference,
    /// Per cent whose best track is right and reported known.
    pub named: Difference,
    /// Per cent of queries to tracks of neither library that are reported unknown.
    pub rejected: Option<Difference>,
}

/// Two shares in per cent, the second less the first, and 95 % of what that may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Of the first.
    pub first: f64,
    /// Of the second.
    pub second: f64,
    /// The second less the first, in points.
    pub difference: f64,
    /// From here.
    pub low: f64,
    /// To here.
    pub high: f64,
}

/// One query's outcome.
#[derive(Clone, Copy)]
struct Ended {
    in_library: bool,
    right: bool,
    known: bool,
}

/// The outcomes of one way of answering, by the query.
type Ends = BTreeMap<Vec<String>, (f64, Ended)>;

impl Comparison {
    /// Compares two runs, or two ways of answering of one: folders of results with their `queries.csv.gz`. Of each, rows with the chosen
    /// values count; columns that were chosen by need not agree.
    ///
    /// Queries are paired by fold, track, crop and condition, and must begin at the same place. The interval of a difference is over
    /// tracks, as the queries of a track are no independent draws.
    ///
    /// # Errors
    /// [`LabError`] where a run has no queries, where nothing was asked of both, or where one way of answering has two answers to a query.
    pub fn of_runs(first: (&Path, &Chosen), second: (&Path, &Chosen)) -> Result<Vec<Self>, LabError> {
        let loose: Vec<&String> = first.1.keys().chain(second.1.keys()).collect();
        let (a, b) = (read(first.0, first.1, &loose)?, read(second.0, second.1, &loose)?);
        let mut all = Vec::new();
        for (of, ours) in &a {
            let Some(theirs) = b.get(of) else { continue };
            for condition in conditions(ours) {
                all.extend(Self::of_ends(of, &condition, ours, theirs));
            }
        }
        if all.is_empty() {
            let names = |groups: &BTreeMap<Chosen, Ends>| {
                let pairs = |of: &Chosen| of.iter().map(|(c, v)| format!("{c} {v}")).collect::<Vec<_>>().join(", ");
                match groups.len() {
                    0 => "nothing with the chosen values".into(),
                    _ => groups.keys().map(pairs).take(4).collect::<Vec<_>>().join("; "),
                }
            };
            return Err(LabError::Setting {
                setting: "what both were asked".into(),
                found: format!("nothing. The first has: {}. The second has: {}", names(&a), names(&b)),
                expected: "ways of answering that agree but for the columns they were chosen by, and the same queries"
                    .into(),
            });
        }
        Ok(all)
    }

    fn of_ends(of: &Chosen, condition: &str, ours: &Ends, theirs: &Ends) -> Option<Self> {
        let pairs: Vec<(&str, Ended, Ended)> = ours
            .iter()
            .filter(|(query, _)| query[3] == condition)
            .filter_map(|(query, &(at, a))| {
                let &(there, b) = theirs.get(query)?;
                // Another place is another query. Rates differ, so that places may lie a sample apart.
                ((at - there).abs() < 0.01 && a.in_library == b.in_library).then_some((query[1].as_str(), a, b))
            })
            .collect();
        let known: Vec<_> = pairs.iter().copied().filter(|(_, a, _)| a.in_library).collect();
        let strangers: Vec<_> = pairs.iter().copied().filter(|(_, a, _)| !a.in_library).collect();
        let mut tracks: Vec<&str> = known.iter().map(|(track, ..)| *track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        Some(Self {
            of: of.clone(),
            condition: condition.into(),
            queries: known.len(),
            tracks: tracks.len(),
            top_1: Difference::of(&known, |end| end.right)?,
            named: Difference::of(&known, |end| end.right && end.known)?,
            rejected: Difference::of(&strangers, |end| !end.known),
        })
    }
}

impl Difference {
    /// Of pairs of outcomes, each with its track; nothing of none.
    fn of(pairs: &[(&str, Ended, Ended)], counts: impl Fn(&Ended) -> bool) -> Option<Self> {
        let count = pairs.len() as f64;
        if pairs.is_empty() {
            return None;
        }
        let share = |pick: fn(&(&str, Ended, Ended)) -> Ended| {
            100.0 * pairs.iter().filter(|pair| counts(&pick(pair))).count() as f64 / count
        };
        let (first, second) = (share(|pair| pair.1), share(|pair| pair.2));
        let difference = second - first;
        // What each track's queries differ by beyond the mean of all, summed: tracks are independent, their queries are not.
        let mut residues = BTreeMap::<&str, f64>::new();
        for (track, a, b) in pairs {
            let by = 100.0 * (f64::from(u8::from(counts(b))) - f64::from(u8::from(counts(a))));
            *residues.entry(track).or_default() += by - difference;
        }
        let clusters = residues.len() as f64;
        let correction = if clusters > 1.0 { clusters / (clusters - 1.0) } else { 1.0 };
        let error = (correction * residues.values().map(|r| r * r).sum::<f64>()).sqrt() / count;
        let rounded = |x: f64| (10.0 * x).round() / 10.0;
        Some(Self {
            first: rounded(first),
            second: rounded(second),
            difference: rounded(difference),
            low: rounded((difference - WIDTH * error).max(-100.0)),
            high: rounded((difference + WIDTH * error).min(100.0)),
        })
    }
}

fn conditions(ends: &Ends) -> Vec<String> {
    let mut seen = Vec::<String>::new();
    for query in ends.keys() {
        if !seen.contains(&query[3]) {
            seen.push(query[3].clone());
        }
    }
    seen
}

/// The outcomes of every way of answering of a run that has the chosen values, by what it is.
fn read(folder: &Path, chosen: &Chosen, loose: &[&String]) -> Result<BTreeMap<Chosen, Ends>, LabError> {
    let path = queries(folder)?;
    let wrong = |reason: String| LabError::Format { path: path.clone(), reason };
    let mut groups = BTreeMap::<Chosen, Ends>::new();
    for row in read_rows(&path)? {
        let has = |(column, wanted): (&String, &String)| {
            row.get(column).is_some_and(|found| same(found, &Value::String(wanted.clone())))
        };
        // Encrypted queries are a sample of those in the clear, with the same answers.
        if !chosen.iter().all(has) || row.contains_key("key") {
            continue;
        }
        let mut of = Chosen::new();
        for (column, value) in &row {
            // What else a record says is the query or its answer.
            let column_of = |names: &[&str]| names.contains(&column.as_str());
            if (!column_of(&Record::COLUMNS) || column_of(&METHOD)) && !loose.contains(&column) {
                of.insert(column.clone(), text(value));
            }
        }
        let query: Vec<String> = QUERY.iter().map(|column| row.get(*column).map_or_else(String::new, text)).collect();
        let end = ended(&row);
        let at = row.get("offset").and_then(Value::as_f64).unwrap_or(0.0);
        if groups.entry(of).or_default().insert(query.clone(), (at, end)).is_some() {
            let expected = "choose by a column that tells its ways of answering apart, such as precision=integer";
            return Err(wrong(format!("two answers to one query ({}): {expected}", query.join(", "))));
        }
    }
    Ok(groups)
}

fn ended(row: &Columns) -> Ended {
    let is = |column: &str| row.get(column).is_some_and(|value| text(value) == "true");
    let best = row.get("top").map(text).unwrap_or_default();
    let track = row.get("track").map(text).unwrap_or_default();
    // Ids are written without thousands' commas in lists and with them in numbers.
    let right = best.split_whitespace().next().is_some_and(|best| best.replace(',', "") == track.replace(',', ""));
    Ended { in_library: is("in_library"), right: right && is("in_library"), known: is("reported_known") }
}

fn queries(folder: &Path) -> Result<PathBuf, LabError> {
    let found = ["queries.csv.gz", "queries.csv"].map(|name| folder.join(name)).into_iter().find(|path| path.exists());
    found.ok_or_else(|| LabError::Setting {
        setting: "a run to compare".into(),
        found: format!("{}, without queries.csv.gz", folder.display()),
        expected: "results of a question with `tables = [\"queries\"]`, or of `sordino evaluate --out`".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, rows: &[(&str, u32, u32, bool, &str, bool)]) {
        let mut text =
            "grid,system,protocol,fold,track,crop,offset,condition,in_library,top,reported_known\n".to_owned();
        for (system, track, crop, in_library, top, known) in rows {
            text += &format!("g,{system},p,0,{track},{crop},{},clean,{in_library},{top},{known}\n", 100 * crop);
        }
        std::fs::write(folder.join("queries.csv"), text).unwrap();
    }

    #[test]
    fn differences_are_paired_and_clustered_by_track() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Of four queries to two tracks and one to a stranger, the second system names two more, both of one track.
        let rows = |right: bool| {
            let answer = if right { "7 9" } else { "9 7" };
            [
                ("x", 7, 0, true, answer, true),
                ("x", 7, 1, true, answer, false),
                ("x", 9, 0, true, "9", true),
                ("x", 9, 1, true, "9", true),
                ("x", 8, 0, false, "9", !right),
            ]
        };
        run(a.path(), &rows(false));
        run(b.path(), &rows(true));
        let none = Chosen::new();
        let found = Comparison::of_runs((a.path(), &none), (b.path(), &none)).unwrap();
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.queries, one.tracks, one.of["system"].as_str()), (4, 2, "x"));
        assert_eq!((one.top_1.first, one.top_1.second, one.top_1.difference), (50.0, 100.0, 50.0));
        // Residues of 100 and -100 over four queries: sqrt(2 * 20,000) / 4 = 50.
        assert_eq!((one.top_1.low, one.top_1.high), (-48.0, 100.0));
        assert_eq!((one.named.first, one.named.second), (50.0, 75.0));
        assert_eq!(one.rejected.map(|rejected| (rejected.first, rejected.second)), Some((0.0, 100.0)));

        // Systems of other names are compared where they are chosen, and not else.
        run(b.path(), &rows(true).map(|row| ("y", row.1, row.2, row.3, row.4, row.5)));
        let chosen = |name: &str| Chosen::from([("system".to_owned(), name.to_owned())]);
        assert!(Comparison::of_runs((a.path(), &none), (b.path(), &none)).is_err());
        let (x, y) = (chosen("x"), chosen("y"));
        assert_eq!(Comparison::of_runs((a.path(), &x), (b.path(), &y)).unwrap()[0].top_1, one.top_1);
        // Another place is another query.
        run(b.path(), &rows(true).map(|row| ("x", row.1, row.2 + 1, row.3, row.4, row.5)));
        let few = Comparison::of_runs((a.path(), &none), (b.path(), &none)).unwrap();
        assert_eq!(few[0].queries, 2);
        let empty = tempfile::tempdir().unwrap();
        assert!(
            Comparison::of_runs((empty.path(), &none), (b.path(), &none)).unwrap_err().to_string().contains("queries")
        );
    }
}
