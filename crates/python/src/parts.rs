//! Training in parts: [`train_part`], [`merge_parts`], and which files they leave for each other.

use std::path::PathBuf;

use numpy::{AllowTypeChange, PyArrayLike2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sordino_corpus::Part;
use sordino_learn::examples::{LabelledVectors, titles};
use sordino_learn::{LearnError, Merged, Step, merge_vectors, train_vectors_part};

use crate::error::raised;
use crate::learning::{Listener, config, label};
use crate::model::Model;

/// The labels of a part, written as in ``"2/8"``, of so many: the first, and the first behind it.
#[pyfunction]
pub(crate) fn part_labels(part: &str, labels: usize) -> PyResult<(usize, usize)> {
    let range = parsed(part)?.range(labels);
    Ok((range.start, range.end))
}

/// The files of a step of a part in the folder of parts: those that it reads, those that it writes for merges, and those that it writes for its own
/// next steps. ``rows`` says whether the last merge learns anything from all examples.
#[pyfunction]
pub(crate) fn part_files(step: &str, part: &str, rows: bool) -> PyResult<(Vec<String>, Vec<String>, Vec<String>)> {
    let (step, part) = (self::step(step)?, parsed(part)?);
    let (merged, own) = step.writes(part, rows);
    Ok((step.reads(part), merged, own))
}

/// The file that a merge leaves behind a step; none behind the last.
#[pyfunction]
pub(crate) fn merged_file(step: &str) -> PyResult<Option<&'static str>> {
    Ok(self::step(step)?.merged())
}

/// Whether the last merge learns anything from all examples with these settings.
#[pyfunction]
#[pyo3(signature = (*, effort = "quick", settings = "{}"))]
pub(crate) fn descends(effort: &str, settings: &str) -> PyResult<bool> {
    Ok(config(effort, settings)?.descends())
}

/// Takes the step that is due of a part: see ``sordino.ray`` for the order. ``x``, shape ``(n, width)``, and ``y``, shape ``(n,)``, are the part's
/// vectors and their labels among ``labels`` labels, of which each has at most ``most`` vectors. Returns the step.
#[pyfunction]
#[pyo3(signature = (x, y, *, part, labels, most, folder, effort = "quick", settings = "{}", held_out = 0.2, progress = None))]
#[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
pub(crate) fn train_part(
    py: Python<'_>,
    x: PyArrayLike2<'_, f32, AllowTypeChange>,
    y: Vec<i64>,
    part: &str,
    labels: usize,
    most: usize,
    folder: PathBuf,
    effort: &str,
    settings: &str,
    held_out: f32,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (config, part) = (config(effort, settings)?, parsed(part)?);
    let y: Vec<u32> = y.into_iter().map(label).collect::<PyResult<_>>()?;
    let (x, listener) = (x.as_array().to_owned(), Listener::new(progress));
    let taken = py.detach(|| -> Result<Step, LearnError> {
        let library = LabelledVectors::of_part(x, &y, Some(part), labels, most)?.with_held_out(held_out)?;
        train_vectors_part(&library, &config, part, &folder, &listener)
    });
    Ok(listener.or_raised(taken)?.to_string())
}

/// Merges what all parts have come to. ``names`` has a title for each label. Returns the model after the last step, and before that the name of
/// the step that the parts go on with.
#[pyfunction]
#[pyo3(signature = (names, *, width, most, folder, effort = "quick", settings = "{}", held_out = 0.2, checkpoints = None, progress = None))]
#[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
pub(crate) fn merge_parts(
    py: Python<'_>,
    names: Vec<String>,
    width: usize,
    most: usize,
    folder: PathBuf,
    effort: &str,
    settings: &str,
    held_out: f32,
    checkpoints: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(Option<String>, Option<Model>)> {
    let (config, listener) = (config(effort, settings)?, Listener::new(progress));
    let merged = py.detach(|| -> Result<_, LearnError> {
        let nothing = ndarray::Array2::zeros((0, width));
        let library = LabelledVectors::of_part(nothing, &[], None, names.len(), most)?.with_held_out(held_out)?;
        match merge_vectors(&library, &config, &folder, checkpoints.as_deref(), &listener)? {
            Merged::Model(model) => Ok((None, Some(model.halves("vectors", titles(names))?))),
            Merged::Next(step) => Ok((Some(step.to_string()), None)),
            _ => Ok((None, None)),
        }
    });
    let (next, halves) = listener.or_raised(merged)?;
    let settings = toml::to_string_pretty(&config).map_err(raised)?;
    Ok((next, halves.map(|(client, server)| Model::new(client, server, settings))))
}

fn parsed(part: &str) -> PyResult<Part> {
    part.parse().map_err(PyValueError::new_err)
}

fn step(name: &str) -> PyResult<Step> {
    let found = Step::ALL.into_iter().find(|step| step.to_string() == name);
    let names = Step::ALL.map(|step| step.to_string()).join(", ");
    found.ok_or_else(|| PyValueError::new_err(format!("step is {name:?}, expected one of {names}")))
}
