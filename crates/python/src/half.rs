//! What Python asks of a client's half of a model, wherever it has it from.

use ndarray::Array1;
use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArrayLike1};
use pyo3::prelude::*;
use sordino_front::Crop;
use sordino_model::{ClientModel, Protocol};

use crate::error::raised;

/// Artist, title, album and licence.
pub(crate) type Label<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Every label, by its number.
pub(crate) fn labels(half: &ClientModel) -> Vec<Label<'_>> {
    let labels = half.labels().iter();
    labels.map(|l| (l.artist.as_str(), l.title.as_str(), l.album.as_str(), l.licence.as_str())).collect()
}

/// What a client of `protocol` starts from: the features of mono samples, shape `(width,)`, from `start` seconds on, or from the middle; in `raw` the sound itself.
pub(crate) fn features<'py>(
    py: Python<'py>,
    half: &ClientModel,
    protocol: Protocol,
    samples: &PyArrayLike1<'py, f32, AllowTypeChange>,
    start: Option<f32>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let samples = samples.as_array().to_vec();
    let crop = start.map_or(Crop::Middle, Crop::At);
    let features = py.detach(|| half.heard(protocol, &samples, crop)).map_err(raised)?;
    Ok(Array1::from(features).into_pyarray(py))
}
