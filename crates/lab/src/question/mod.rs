//! [`Question`]: an experiment as data, the `run.toml` of a folder under `experiments/`.

pub(crate) mod figure;
mod grid;
mod line;
pub(crate) mod setting;
pub(crate) mod unit;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use sordino_corpus::Condition;
use sordino_learn::overlay;
use sordino_model::Protocol;
use sordino_model::files::read_text;
use toml::Spanned;

use self::figure::Figure;
pub use self::grid::Grid;
use self::line::line_of;
use crate::LabError;
use crate::evaluate::{Row, Table};
use crate::system::Sordino;
use crate::system::external::Program;

/// How much of an experiment to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Under a minute: does everything work?
    Smoke,
    /// Minutes: what does it look like?
    Small,
    /// As long as it takes: the answer.
    Full,
}

impl Size {
    /// Every size, the smallest first.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Small, Self::Full];

    /// `smoke`, `small` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Small => "small",
            Self::Full => "full",
        }
    }
}

/// A question: grids of systems, libraries and queries, and how their results are drawn.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// The question, as a person would ask it.
    pub question: String,
    /// What is run.
    pub grids: Vec<Grid>,
    /// What is written besides `rows.csv`.
    pub tables: Vec<Table>,
    /// What is drawn.
    pub figures: Vec<Figure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    question: String,
    grid: Vec<Spanned<toml::Table>>,
    #[serde(default)]
    system: Vec<Program>,
    #[serde(default)]
    tables: Vec<Table>,
    #[serde(default)]
    figure: Vec<Spanned<Figure>>,
}

impl Question {
    /// Reads `run.toml` of a folder, with what it says of `size` laid over each grid.
    ///
    /// # Errors
    /// [`LabError::Io`] where there is none, [`LabError::Format`] where it is not as expected.
    pub fn read(folder: &Path, size: Size) -> Result<Self, LabError> {
        let path = folder.join("run.toml");
        if !path.exists() {
            return Err(LabError::Setting {
                setting: "the experiment".into(),
                found: format!("{}, where there is no run.toml", folder.display()),
                expected: "a folder with one, such as experiments/scaling".into(),
            });
        }
        let text = read_text(&path, 1 << 20).map_err(LabError::io(&path, "read the experiment"))?;
        Self::parse(&text, size, folder).map_err(|reason| LabError::Format { path, reason })
    }

    fn parse(text: &str, size: Size, folder: &Path) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
        let programs: Vec<Program> =
            document.system.into_iter().map(|program| program.found_in(folder)).collect::<Result<_, String>>()?;
        let grid = |table: Spanned<toml::Table>| {
            let part = text.get(table.span().start..).unwrap_or(text);
            let table = table.into_inner();
            let of = |size: Size| {
                let grid = sized(table.clone(), size).and_then(|grid| {
                    let grid = Grid { programs: programs.clone(), ..grid };
                    grid.validate().map(|()| grid)
                });
                grid.map_err(|reason| format!("line {}: {reason}", line_of(text, part, size, &reason)))
            };
            // What another size says is looked at as well: a mistake there costs as much, later.
            Size::ALL.into_iter().try_for_each(|other| of(other).map(drop))?;
            of(size)
        };
        let grids: Vec<Grid> = document.grid.into_iter().map(grid).collect::<Result<_, String>>()?;
        if grids.is_empty() {
            return Err("no [[grid]]: expected at least one".into());
        }
        let figure = |figure: Spanned<Figure>| {
            let part = text.get(figure.span().start..).unwrap_or(text);
            let figure = figure.into_inner();
            drawable(&figure, &grids)
                .map_err(|reason| format!("line {}: {reason}", line_of(text, part, size, &reason)))?;
            Ok(figure)
        };
        let figures = document.figure.into_iter().map(figure).collect::<Result<_, String>>()?;
        Ok(Self { question: document.question, grids, tables: document.tables, figures })
    }
}

/// Whether every column that a figure is drawn from is one that rows may have.
fn drawable(figure: &Figure, grids: &[Grid]) -> Result<(), String> {
    let varied: BTreeSet<&str> = grids.iter().flat_map(Grid::columns).collect();
    let has = |column: &&String| varied.contains(column.as_str()) || Row::COLUMNS.contains(&column.as_str());
    if let Some(column) = figure.columns_of_rows().find(|column| !has(column)) {
        let known: Vec<&str> = varied.iter().copied().chain(Row::COLUMNS).collect();
        return Err(format!(
            "the figure \"{}\" needs {column}, expected columns of {}",
            figure.title,
            known.join(", ")
        ));
    }
    // Of a few columns it is known what they can hold, whatever the size.
    let titles = || grids.iter().map(|grid| grid.title.clone()).collect();
    let systems = || grids.iter().flat_map(|grid| grid.systems.clone()).collect();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let protocols = Protocol::ALL.map(Protocol::name);
    for (column, values) in &figure.only {
        let known: BTreeSet<String> = match column.as_str() {
            "grid" => titles(),
            "system" => systems(),
            "protocol" => words(&protocols),
            "precision" => words(&["float", "integer", "encrypted", "clear"]),
            "condition" => {
                let texts = values.iter().filter_map(|value| value.as_str());
                texts.filter(|text| *text == "mixed" || is_condition(text)).map(ToOwned::to_owned).collect()
            }
            _ => continue,
        };
        let found = values.iter().filter_map(|value| value.as_str()).find(|value| !known.contains(*value));
        if let Some(value) = found {
            let expected = match column.as_str() {
                "condition" => "a condition as results write it, such as 5dB or 5dB+reverb".into(),
                _ => known.into_iter().collect::<Vec<_>>().join(", "),
            };
            return Err(format!("the figure \"{}\": {column} is never \"{value}\", expected {expected}", figure.title));
        }
    }
    Ok(())
}

/// Whether results write a condition so.
fn is_condition(text: &str) -> bool {
    text.parse::<Condition>().is_ok_and(|condition| condition.to_string() == text)
}

/// Settings of this project's models at the size smoke, under those that the grid gives.
const SMOKE: &str = "least_clips = 0\nclips_per_track = 12\nrouter.hidden = [64]";

/// A grid's table without the tables of sizes, but with the fields of the one asked for.
fn sized(mut table: toml::Table, size: Size) -> Result<Grid, String> {
    for other in Size::ALL {
        match table.remove(other.name()) {
            Some(toml::Value::Table(patch)) if other == size => table.extend(patch),
            Some(toml::Value::Table(_)) | None => {}
            Some(value) => return Err(format!("{} is {value}, expected a table of a grid's fields", other.name())),
        }
    }
    if size == Size::Smoke {
        // A smoke run asks whether everything runs, not how well a small library is learned.
        let ours = SMOKE.parse::<toml::Table>().map_err(|error| error.to_string())?;
        let mut settings = toml::Table::from_iter([(Sordino::NAME.to_owned(), toml::Value::Table(ours))]);
        match table.remove("settings") {
            None => {}
            Some(toml::Value::Table(given)) => overlay(&mut settings, &given),
            Some(value) => return Err(format!("settings is {value}, expected a table of systems")),
        }
        table.insert("settings".into(), toml::Value::Table(settings));
    }
    let grid: Grid = toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| error.to_string())?;
    grid.canonical()
}

#[cfg(test)]
mod tests {
    use sordino_learn::{Effort, TrainConfig};

    use super::*;

    const TEXT: &str = r#"
        question = "How many?"
        [[grid]]
        title = "bits"
        tracks = [400, 800]
        [[grid.setting]]
        name = "bits"
        sets = ["router.input_bits", "tracks.input_bits"]
        values = [4, 6]
        [grid.smoke]
        tracks = [30]
        effort = ["quick"]
        conditions = ["clean"]
    "#;

    fn parse(text: &str, size: Size) -> Result<Question, String> {
        Question::parse(text, size, Path::new("."))
    }

    #[test]
    fn grids_are_all_combinations_and_sizes_are_laid_over() {
        let full = parse(TEXT, Size::Full).unwrap();
        let units = full.grids[0].units().unwrap();
        assert_eq!(units.len(), 4);
        assert_eq!((units[0].library.tracks, units[2].library.tracks), (400, 800));
        let config: TrainConfig = units[1].system.settings.clone().try_into().unwrap();
        assert_eq!((config.router.input_bits, config.tracks.input_bits), (6, 6));
        assert_eq!(units[1].columns, [("bits".to_owned(), "6".to_owned())]);
        let smoke = parse(TEXT, Size::Smoke).unwrap();
        assert_eq!((smoke.grids[0].tracks.clone(), smoke.grids[0].effort.clone()), (vec![30], vec![Effort::Quick]));
        let config: TrainConfig = smoke.grids[0].units().unwrap()[0].system.settings.clone().try_into().unwrap();
        assert_eq!(config.clips(30), config.clips_per_track);
    }

    #[test]
    fn lists_of_settings_are_columns() {
        let lists = "tracks = [400, 800]\naugmentation = [\"small\", \"large\"]\ndistractors = [0, 90]";
        let lists = lists.to_owned() + "\nsettings.sordino.distractors.components = 3";
        let units = parse(&TEXT.replace("tracks = [400, 800]", &lists), Size::Full).unwrap().grids[0].units().unwrap();
        let columns = ["augmentation", "distractors", "bits"].map(ToOwned::to_owned);
        assert_eq!(
            (units.len(), units[0].columns.iter().map(|(name, _)| name.clone()).collect()),
            (16, columns.to_vec())
        );
        let configs: Vec<TrainConfig> = units.iter().map(|u| u.system.settings.clone().try_into().unwrap()).collect();
        let drawn: Vec<usize> = configs.iter().map(|config| config.distractors.rows).collect();
        assert_eq!(drawn[..8], [0, 0, 90, 90, 0, 0, 90, 90]);
        assert_eq!(configs[2].distractors.components, 3);
        assert_ne!(configs[0].augment, configs[4].augment);
    }

    #[test]
    fn settings_of_a_system_are_laid_over_its_defaults() {
        let laid = TEXT.replace("tracks = [400, 800]", "settings.sordino = { router = { hidden = [7] }, spill = 2 }");
        let units = parse(&laid, Size::Full).unwrap().grids[0].units().unwrap();
        let config: TrainConfig = units[0].system.settings.clone().try_into().unwrap();
        let mut expected = TrainConfig { stages: vec![0], spill: 2, ..TrainConfig::effort(Effort::Standard) };
        expected.router.hidden = vec![7];
        (expected.router.input_bits, expected.tracks.input_bits) = (4, 4);
        assert_eq!(config, expected);
    }

    #[test]
    fn mistakes_are_named_before_anything_runs() {
        let wrong = |from: &str, to: &str| parse(&TEXT.replace(from, to), Size::Smoke).unwrap_err();
        assert!(wrong("router.input_bits", "router.bits").contains("bits"));
        assert!(wrong("router.input_bits", "rooter.input_bits").contains("rooter"));
        assert!(wrong("values = [4, 6]", "values = []").contains("values"));
        assert!(wrong("[\"clean\"]", "[\"loud\"]").contains("loud"));
        assert!(wrong("[\"clean\"]", "[\"5dB\", \"5 db\"]").contains("5dB twice"));
        assert!(
            wrong("tracks = [30]", "tracks = [30]\nstages = [[40]]\nsettings.sordino.passage_hop = 0.0")
                .contains("40 clusters")
        );
        assert!(wrong("tracks = [30]", "trackz = [30]").contains("trackz"));
        assert!(wrong("tracks = [30]", "tracks = [30]\ndistractors = [99999999]").contains("distractors.rows"));
        assert!(wrong("tracks = [30]", "systems = [\"magic\"]").contains("magic"));
        assert!(wrong("values = [4, 6]", "values = [99]").contains("99"));
        assert!(wrong("tracks = [30]", "settings.magic = {}").contains("magic"));
        assert!(wrong("tracks = [30]", "settings.sordino.spilll = 2").contains("spilll"));
    }

    #[test]
    fn mistakes_have_a_line() {
        let text = "question = \"?\"\n\n[[grid]]\ntitle = \"a\"\n\n[[grid]]\ntitle = \"b\"\ntracks = [30]\ncrops = 1\n\n[[figure]]\n\
                    title = \"c\"\nx = \"tracks\"\ny = \"top_1\"\n";
        assert!(parse(text, Size::Full).is_ok());
        let wrong = |from: &str, to: &str| parse(&text.replace(from, to), Size::Full).unwrap_err();
        for (from, to, line) in [
            ("tracks = [30]", "trackz = [30]", 8),
            ("crops = 1", "crops = \"one\"", 9),
            ("crops = 1", "systems = [\"magic\"]", 9),
            ("crops = 1", "conditions = [\"loud\"]", 9),
            ("crops = 1", "crops = 1\n\n[grid.small]\ncrops = 2\ntrakcs = [4]", 13),
            ("crops = 1", "crops = 1\n[grid.small]\ncrops = \"two\"", 11),
            ("crops = 1", "stages = [0]", 9),
            ("crops = 1", "seconds = [-1.0]", 6),
            ("tracks = [30]", "tracks = [0]", 6),
            ("\"top_1\"", "\"top_1\"\nwhere = { protocol = [\"ruted\"] }", 15),
            ("\"top_1\"", "\"top_1\"\nwhere = { condition = [\"5db\"] }", 15),
            ("\"top_1\"", "\"top_1\"\nwhere = { grid = [\"other\"] }", 15),
            ("crops = 1", "settings.sordino = { spilll = 2 }", 9),
            ("title = \"a\"", "crops = 0", 3),
            ("\"top_1\"", "\"tops\"", 14),
        ] {
            let reason = wrong(from, to);
            assert!(reason.starts_with(&format!("line {line}: ")), "{to}: {reason}");
        }
        // Elsewhere the line is TOML's own.
        assert!(wrong("title = \"c\"", "kind = \"bars\"").contains("line 12"));
    }
}
