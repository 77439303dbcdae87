//! [`Format`]: figures for a paper, as pictures, as numbers and as LaTeX.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use sordino_model::files::read_text;
use svg2pdf::usvg::{Options, Tree};
use svg2pdf::{ConversionOptions, PageOptions};

use super::axis::{Axis, number};
use super::drawing::{Drawing, Sketch};
use super::figure::{Columns, Point, Series};
use super::picture::{Panel, picture};
use super::read::{MOST, read_rows};
use crate::LabError;
use crate::question::{Question, Size};

/// What a figure is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A picture for screens, with its caption.
    Svg,
    /// The same on a page of its own size, fonts embedded.
    Pdf,
    /// Its points: panel, series, place, value, standard error.
    Csv,
    /// A float that includes the PDF, with the caption, and a table of the numbers (`booktabs`).
    Tex,
}

impl Format {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Tex => "tex",
        }
    }
}

/// One figure, ready to be written.
struct Figure {
    name: String,
    panels: Vec<Panel>,
    provenance: String,
}

/// Every figure of a run, or of a `figure.toml`, in some formats: names of files and what is in them.
///
/// # Errors
/// [`LabError`] where a file is missing or not as expected, or nothing can be drawn.
pub fn export(what: &Path, formats: &[Format]) -> Result<Vec<(String, Vec<u8>)>, LabError> {
    let figures = if what.is_dir() { of_run(what)? } else { vec![of_drawing(what)?] };
    let mut files = Vec::new();
    for mut figure in figures {
        if let Some(last) = figure.panels.last_mut() {
            last.note = format!("{} {}", last.note, figure.provenance).trim().to_owned();
        }
        let wrong = |reason: String| LabError::Format { path: what.to_owned(), reason };
        let svg = picture(&figure.panels).map_err(|error| wrong(error.to_string()))?;
        for &format in formats {
            let bytes = match format {
                Format::Svg => svg.clone().into_bytes(),
                Format::Pdf => pdf(&svg).map_err(wrong)?,
                Format::Csv => csv(&figure.panels).map_err(|error| wrong(error.to_string()))?,
                Format::Tex => tex(&figure).into_bytes(),
            };
            files.push((format!("{}.{}", figure.name, format.extension()), bytes));
        }
    }
    Ok(files)
}

/// The figures that the `run.toml` in a folder of results says, or that of the experiment such as `experiments/bits/results/RUN`.
fn of_run(results: &Path) -> Result<Vec<Figure>, LabError> {
    let whole = results.canonicalize().map_err(LabError::io(results, "find"))?;
    let experiment = [Some(&*whole), whole.parent().and_then(Path::parent)].into_iter().flatten();
    let experiment = experiment.into_iter().find(|folder| folder.join("run.toml").exists());
    let missing = || LabError::Setting {
        setting: "what to export".into(),
        found: results.display().to_string(),
        expected: "a folder that `sordino lab run` wrote, such as experiments/bits/results/RUN, or a figure.toml"
            .into(),
    };
    let question = Question::read(experiment.ok_or_else(missing)?, Size::Full)?;
    let rows = read_rows(&results.join("rows.csv"))?;
    let figure = |(number, figure): (usize, &crate::Figure)| {
        let panels = vec![figure.panel(&rows)?];
        let provenance = provenance(&rows, [results]);
        Some(Figure { name: format!("figure-{number}"), panels, provenance })
    };
    Ok((1..).zip(&question.figures).filter_map(figure).collect())
}

fn of_drawing(path: &Path) -> Result<Figure, LabError> {
    let Sketch { panels, rows, folders } = Drawing::sketch(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder =
        path.canonicalize().ok().and_then(|path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()));
    let name = folder.filter(|_| stem == "figure").unwrap_or_else(|| stem.into());
    Ok(Figure { name, panels, provenance: provenance(&rows, folders.iter().map(|folder| &**folder)) })
}

/// What `run.json` says of the machine.
#[derive(Deserialize)]
struct Run {
    machine: Machine,
}

#[derive(Deserialize)]
struct Machine {
    date: Option<String>,
    commit: Option<String>,
}

/// How many queries a point stands for, how they were drawn, and when and by which commit, as far as files tell.
fn provenance<'a>(rows: &[Columns], folders: impl IntoIterator<Item = &'a Path>) -> String {
    let counts = || rows.iter().filter_map(|row| row.get("queries")?.as_f64()).filter(|count| *count > 0.0);
    let (least, most) = (counts().reduce(f64::min), counts().reduce(f64::max));
    let mut parts = Vec::new();
    if let (Some(least), Some(most)) = (least, most) {
        let range = if least == most { number(least) } else { format!("{} to {}", number(least), number(most)) };
        parts.push(format!("n = {range} queries a row, seed 1"));
    }
    let (mut commits, mut dates) = (BTreeSet::new(), BTreeSet::new());
    for folder in folders {
        let run =
            read_text(&folder.join("run.json"), MOST).ok().and_then(|text| serde_json::from_str::<Run>(&text).ok());
        let machine = run.map(|run| run.machine);
        commits.extend(machine.as_ref().and_then(|machine| machine.commit.clone()));
        // Results are kept in folders that begin with their date.
        let of_name = || {
            let name = folder.file_name()?.to_str()?.get(..10)?;
            name.chars().all(|c| c.is_ascii_digit() || c == '-').then(|| name.to_owned())
        };
        dates.extend(machine.and_then(|machine| machine.date).or_else(of_name));
    }
    let joined = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
    if !commits.is_empty() {
        parts.push(format!("commit {}", joined(commits)));
    }
    if !dates.is_empty() {
        parts.push(joined(dates));
    }
    if parts.is_empty() { String::new() } else { format!("{}.", parts.join("; ")) }
}

/// A page as large as the picture. Letters are those of Ubuntu Light, which is embedded, so that it looks alike everywhere.
fn pdf(svg: &str) -> Result<Vec<u8>, String> {
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    options.fontdb_mut().set_sans_serif_family("Ubuntu");
    "Ubuntu".clone_into(&mut options.font_family);
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    svg2pdf::to_pdf(&tree, ConversionOptions::default(), PageOptions::default()).map_err(|error| error.to_string())
}

/// The place and the value of a point in words, its axes turned back where a figure lies on its side.
fn told(panel: &Panel, point: &Point) -> (String, f64) {
    let name = |names: &[String], at: f64| names.get(at.round().max(0.0) as usize).cloned().unwrap_or_default();
    match (&panel.x, &panel.y) {
        (_, Axis::Names(names)) => (name(names, point.y), point.x),
        (Axis::Names(names), _) => (name(names, point.x), point.y),
        _ => (point.x.to_string(), point.y),
    }
}

fn csv(panels: &[Panel]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["panel", "series", "place", "place_name", "value", "value_name", "standard_error"])?;
    for panel in panels {
        let (place_name, value_name) = panel.names();
        for series in &panel.series {
            for point in &series.points {
                let (place, value) = told(panel, point);
                let error = point.error.map_or_else(String::new, |error| error.to_string());
                let value = value.to_string();
                writer.write_record([&panel.title, &series.name, &place, place_name, &value, value_name, &error])?;
            }
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn tex(figure: &Figure) -> String {
    let mut text = "% Needs \\usepackage{graphicx,booktabs}.\n".to_owned();
    let titles: Vec<String> = figure.panels.iter().map(|panel| panel.title.clone()).collect();
    let notes: Vec<&str> =
        figure.panels.iter().map(|panel| panel.note.as_str()).filter(|note| !note.is_empty()).collect();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\\begin{{figure}}\n  \\centering\n  \\includegraphics[width=\\linewidth]{{{0}.pdf}}\n  \\caption{{{1}. {2}}}\n  \
         \\label{{fig:{0}}}\n\\end{{figure}}\n",
        figure.name,
        escaped(&titles.join("; ")),
        escaped(&notes.join(" "))
    );
    for panel in &figure.panels {
        let (place_name, value_name) = panel.names();
        let mut places: Vec<String> = Vec::new();
        for point in panel.series.iter().flat_map(|series| &series.points) {
            let (place, _) = told(panel, point);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let cell = |series: &Series, place: &String| {
            let found = series.points.iter().find(|point| told(panel, point).0 == *place);
            found.map_or_else(String::new, |point| {
                let value = number(told(panel, point).1);
                point.error.map_or(value.clone(), |error| format!("{value} $\\pm$ {error:.1}"))
            })
        };
        let _ = write!(
            text,
            "\n\\begin{{table}}\n  \\centering\n  \\caption{{{}: {}, by {}}}\n",
            escaped(&panel.title),
            escaped(value_name),
            escaped(place_name)
        );
        // Names of series are long: they stand in a column unless there are too many places for a row.
        let (head, rows): (Vec<String>, Vec<Vec<String>>) = if places.len() <= MOST_ACROSS {
            let row = |series: &Series| {
                let cells = places.iter().map(|place| cell(series, place));
                std::iter::once(escaped(&series.name)).chain(cells).collect()
            };
            (places.iter().map(|place| escaped(place)).collect(), panel.series.iter().map(row).collect())
        } else {
            let row = |place: &String| {
                let cells = panel.series.iter().map(|series| cell(series, place));
                std::iter::once(escaped(place)).chain(cells).collect()
            };
            (panel.series.iter().map(|series| escaped(&series.name)).collect(), places.iter().map(row).collect())
        };
        let _ = write!(
            text,
            "  \\begin{{tabular}}{{l{}}}\n    \\toprule\n    & {} \\\\\n    \\midrule\n",
            "r".repeat(head.len()),
            head.join(" & ")
        );
        for row in rows {
            let _ = writeln!(text, "    {} \\\\", row.join(" & "));
        }
        text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    }
    text
}

/// Most places that stand side by side in a table.
const MOST_ACROSS: usize = 8;

/// Text as LaTeX prints it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results/2026-11-25-2core");
        std::fs::create_dir_all(&results).unwrap();
        let question = "question = \"q\"\n[[grid]]\ntitle = \"g\"\n[[figure]]\ntitle = \"100 % & more\"\nx = \"tracks\"\ny = \"top_1\"\n\
                        series = [\"protocol\"]\nx_scale = \"log\"\n";
        std::fs::write(folder.path().join("run.toml"), question).unwrap();
        let rows = "tracks,protocol,queries,top_1,top_1_error\n400,flat,100,99.0,1.0\n5000,flat,100,98.0,1.4\n400,routed,100,98.5,1.2\n";
        std::fs::write(results.join("rows.csv"), rows).unwrap();
        let machine = r#"{"machine": {"date": "2026-11-26", "commit": "abc1234"}}"#;
        std::fs::write(results.join("run.json"), machine).unwrap();
        folder
    }

    #[test]
    fn a_run_is_exported_in_every_format() {
        let folder = run();
        let results = folder.path().join("results/2026-11-25-2core");
        let formats = [Format::Svg, Format::Pdf, Format::Csv, Format::Tex];
        let files = export(&results, &formats).unwrap();
        let text = |place: usize| String::from_utf8(files[place].1.clone()).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["figure-1.svg", "figure-1.pdf", "figure-1.csv", "figure-1.tex"]);
        let svg = text(0);
        assert!(svg.contains("n = 100 queries") && svg.contains("abc1234") && svg.contains("2026-11-26"), "{svg}");
        assert!(files[1].1.starts_with(b"%PDF-") && files[1].1.len() > 5_000);
        let csv = text(2);
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.contains("100 % & more,flat,5000,tracks in the library,98,\"top-1, %\",1.4"), "{csv}");
        let tex = text(3);
        assert!(tex.contains("100 \\% \\& more") && tex.contains("flat & 99 $\\pm$ 1.0 & 98 $\\pm$ 1.4 \\\\"), "{tex}");
        assert!(tex.contains("    & 400 & 5000 \\\\") && tex.contains("routed & 98.5 $\\pm$ 1.2 &  \\\\"), "{tex}");
    }

    #[test]
    fn what_is_no_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = export(folder.path(), &[Format::Svg]).unwrap_err().to_string();
        assert!(error.contains("experiments/bits/results/RUN"), "{error}");
    }

    #[test]
    fn text_is_printed_as_it_is() {
        assert_eq!(escaped("a_b^{c}\\~"), "a\\_b\\textasciicircum{}\\{c\\}\\textbackslash{}\\textasciitilde{}");
    }
}
