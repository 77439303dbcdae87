//! [`Question`]: an experiment as data, the `run.toml` of a folder under `experiments/`.

pub(crate) mod figure;
mod grid;
pub(crate) mod setting;
pub(crate) mod unit;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use sordino_model::files::read_text;

use self::figure::Figure;
pub use self::grid::Grid;
use self::setting::overlay;
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
    grid: Vec<toml::Table>,
    #[serde(default)]
    system: Vec<Program>,
    #[serde(default)]
    tables: Vec<Table>,
    #[serde(default)]
    figure: Vec<Figure>,
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
        let grid = |table| Ok(Grid { programs: programs.clone(), ..sized(table, size)? });
        let grids: Vec<Grid> = document.grid.into_iter().map(grid).collect::<Result<_, String>>()?;
        if grids.is_empty() {
            return Err("no [[grid]]: expected at least one".into());
        }
        grids.iter().try_for_each(Grid::validate)?;
        document.figure.iter().try_for_each(|figure| drawable(figure, &grids))?;
        Ok(Self { question: document.question, grids, tables: document.tables, figures: document.figure })
    }
}

/// Whether every column that a figure is drawn from is one that rows may have.
fn drawable(figure: &Figure, grids: &[Grid]) -> Result<(), String> {
    let varied: BTreeSet<&str> = grids.iter().flat_map(Grid::columns).collect();
    let has = |column: &&String| varied.contains(column.as_str()) || Row::COLUMNS.contains(&column.as_str());
    match figure.columns_of_rows().find(|column| !has(column)) {
        None => Ok(()),
        Some(column) => {
            let known: Vec<&str> = varied.iter().copied().chain(Row::COLUMNS).collect();
            Err(format!("the figure \"{}\" needs {column}, expected columns of {}", figure.title, known.join(", ")))
        }
    }
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
        assert!(wrong("tracks = [30]", "systems = [\"magic\"]").contains("magic"));
        assert!(wrong("values = [4, 6]", "values = [99]").contains("99"));
        assert!(wrong("tracks = [30]", "settings.magic = {}").contains("magic"));
        assert!(wrong("tracks = [30]", "settings.sordino.spilll = 2").contains("spilll"));
    }
}
