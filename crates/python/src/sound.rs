//! [`decode`]: from sound files to samples.

use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sordino_audio::{DecodeLimits, decode_file};
use sordino_front::FeatureSpec;

use crate::error::SordinoError;

/// Decodes a sound file of any common format to mono samples of ``rate`` Hz, shape ``(n,)``, between -1 and 1. ``seconds`` is the shortest that is
/// taken.
#[pyfunction]
#[pyo3(signature = (path, rate, *, seconds = 1.0))]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    path: PathBuf,
    rate: u32,
    seconds: f32,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let spec = FeatureSpec { sample_rate: rate, query_seconds: seconds, ..FeatureSpec::default() };
    let samples = py.detach(|| decode_file(&path, rate, &DecodeLimits::for_spec(&spec)));
    let samples = samples.map_err(|error| SordinoError::new_err(format!("{}: {error}", path.display())))?;
    Ok(samples.data.into_pyarray(py))
}
