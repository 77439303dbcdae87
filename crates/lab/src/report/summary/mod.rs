//! [`Summary`]: every number that a document quotes, read from committed results and written nowhere by hand.
//!
//! `experiments/summary.toml` declares numbers and the blocks that they stand in, and so does `summary.toml` of a question
//! for its own table. `experiments/summary.csv` is written from them, and so are the blocks of every document; a check
//! names what differs.

mod block;
mod document;
mod number;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use sordino_model::files::{read_text, write_file};

use crate::LabError;
use crate::report::figure::Columns;
use crate::report::read::MOST;
use block::{Block, Numbers};
use number::{Found, Number};

/// The name of a declaration: of what README and docs quote in `experiments`, of its own table in the folder of a question.
const NAME: &str = "summary.toml";
/// The folder of the declarations.
const EXPERIMENTS: &str = "experiments";
/// What is written from it.
const WRITTEN: &str = "experiments/summary.csv";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    number: Vec<Number>,
    #[serde(default)]
    block: Vec<Block>,
}

/// Numbers that documents quote, and the blocks that they stand in.
#[derive(Clone, Debug)]
pub struct Summary {
    path: PathBuf,
    found: Vec<Found>,
    numbers: Numbers,
    blocks: Vec<Block>,
}

impl Summary {
    /// Reads a declaration, those in the folders beside it, and every number that they name.
    ///
    /// # Errors
    /// [`LabError::Io`] where there is none, [`LabError::Format`] for a number that is not where it should be.
    pub fn read(path: &Path) -> Result<Self, LabError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let questions = entries(folder)?.into_iter().map(|question| question.join(NAME)).filter(|path| path.is_file());
        let mut summary =
            Self { path: path.to_owned(), found: Vec::new(), numbers: Numbers::new(), blocks: Vec::new() };
        for path in std::iter::once(path.to_owned()).chain(questions) {
            summary.add(folder, &path)?;
        }
        Ok(summary)
    }

    /// Adds what one file declares.
    fn add(&mut self, root: &Path, path: &Path) -> Result<(), LabError> {
        let wrong = |reason: String| LabError::Format { path: path.to_owned(), reason };
        let text = read_text(path, MOST).map_err(LabError::io(path, "read the summary"))?;
        let document: Document = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(root);
        let inner = folder.strip_prefix(root).unwrap_or(folder);
        for number in &document.number {
            for mut found in number.find(folder).map_err(wrong)? {
                found.source = plain(&inner.join(&found.source));
                if self.numbers.insert(found.id.clone(), found.clone()).is_some() {
                    return Err(wrong(format!("there are two numbers {}, expected one", found.id)));
                }
                self.found.push(found);
            }
        }
        for block in document.block {
            if self.blocks.iter().any(|known| known.name == block.name) {
                return Err(wrong(format!("there are two blocks {}, expected one", block.name)));
            }
            self.blocks.push(block);
        }
        Ok(())
    }

    /// The summary of a repository.
    ///
    /// # Errors
    /// As [`Summary::read`].
    pub fn of_repository(root: &Path) -> Result<Self, LabError> {
        Self::read(&root.join(EXPERIMENTS).join(NAME))
    }

    /// All numbers as CSV: `id,value,unit,source,selector`.
    ///
    /// # Errors
    /// [`LabError::Format`] where they cannot be written.
    pub fn csv(&self) -> Result<String, LabError> {
        let wrong = |reason: String| LabError::Format { path: self.path.clone(), reason };
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "value", "unit", "source", "selector"]).map_err(|error| wrong(error.to_string()))?;
        for number in &self.found {
            let Found { id, value, unit, source, selector } = number;
            writer.write_record([id, value, unit, source, selector]).map_err(|error| wrong(error.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|error| wrong(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
    }

    /// The numbers of a table as rows with `row`, `column` and `value`.
    pub(crate) fn rows(&self, table: &str) -> Result<Vec<Columns>, LabError> {
        let block = self.blocks.iter().find(|block| block.name == table);
        let missing = || LabError::Format { path: self.path.clone(), reason: format!("there is no block {table}") };
        Ok(block.ok_or_else(missing)?.rows(&self.numbers))
    }

    /// Everything that differs from what it should be, a sentence each, in a repository's `summary.csv` and documents.
    ///
    /// # Errors
    /// [`LabError`] where a file cannot be read.
    pub fn check(&self, root: &Path) -> Result<Vec<String>, LabError> {
        let mut wrong = Vec::new();
        let path = root.join(WRITTEN);
        let (found, expected) = (std::fs::read_to_string(&path).unwrap_or_default(), self.csv()?);
        if found != expected {
            let line = (0..).find(|&i| found.lines().nth(i) != expected.lines().nth(i)).unwrap_or(0);
            let show = |text: &str| text.lines().nth(line).map_or("nothing".into(), |line| format!("\"{line}\""));
            wrong.push(format!("{WRITTEN}: line {}: found {}, expected {}", line + 1, show(&found), show(&expected)));
        }
        for document in documents(root)? {
            let text = std::fs::read_to_string(&document).map_err(LabError::io(&document, "read"))?;
            let name = document.strip_prefix(root).unwrap_or(&document).display();
            match document::fill(&text, &self.texts()?) {
                Ok((_, differences)) => {
                    wrong.extend(differences.iter().map(|difference| format!("{name}: {}", difference.sentence())));
                }
                Err(reason) => wrong.push(format!("{name}: {reason}")),
            }
        }
        Ok(wrong)
    }

    /// Writes a repository's `summary.csv` and fills the blocks of its documents; what was changed.
    ///
    /// # Errors
    /// [`LabError`] where a file cannot be read or written, or a document's marks are broken.
    pub fn write(&self, root: &Path) -> Result<Vec<PathBuf>, LabError> {
        let mut changed = Vec::new();
        let mut write = |path: PathBuf, old: &str, new: &str| {
            if old != new {
                write_file(&path, new.as_bytes()).map_err(LabError::io(&path, "write"))?;
                changed.push(path);
            }
            Ok::<(), LabError>(())
        };
        let path = root.join(WRITTEN);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        write(path, &old, &self.csv()?)?;
        for document in documents(root)? {
            let text = std::fs::read_to_string(&document).map_err(LabError::io(&document, "read"))?;
            let filled = document::fill(&text, &self.texts()?);
            let (filled, _) = filled.map_err(|reason| LabError::Format { path: document.clone(), reason })?;
            write(document, &text, &filled)?;
        }
        Ok(changed)
    }

    /// The text of every block, and whether it stands within a line.
    fn texts(&self) -> Result<BTreeMap<String, (String, bool)>, LabError> {
        let text = |block: &Block| {
            let filled = block.fill(&self.numbers);
            let filled = filled.map_err(|reason| LabError::Format { path: self.path.clone(), reason })?;
            Ok((block.name.clone(), (filled, block.is_sentence())))
        };
        self.blocks.iter().map(text).collect()
    }
}

/// A file from the root of the repository, without ways back.
fn plain(path: &Path) -> String {
    let mut parts = vec![EXPERIMENTS.to_owned()];
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Documents in which blocks may stand: of the root, of `docs`, and of every experiment, crate and the models.
fn documents(root: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut found = markdown(root)?;
    for folder in ["experiments", "crates"] {
        for inner in entries(&root.join(folder))? {
            found.extend(markdown(&inner)?);
        }
        found.extend(markdown(&root.join(folder))?);
    }
    found.extend(markdown(&root.join("models"))?);
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        found.extend(markdown(&folder)?);
        folders.extend(entries(&folder)?.into_iter().filter(|entry| entry.is_dir()));
    }
    found.sort();
    Ok(found)
}

fn markdown(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).collect())
}

/// What lies in a folder, if it is one, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = std::fs::read_dir(folder).map_err(LabError::io(folder, "read"))?;
    let mut entries: Vec<PathBuf> =
        read.map(|entry| Ok(entry.map_err(LabError::io(folder, "read"))?.path())).collect::<Result<_, LabError>>()?;
    entries.sort();
    Ok(entries)
}
