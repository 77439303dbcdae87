//! [`decode`] and [`log_mel`]: from sound files to samples, and from samples to what a network takes.

use std::path::PathBuf;

use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArray2, PyArrayLike1};
use pyo3::prelude::*;
use sordino_audio::{DecodeLimits, decode_file};
use sordino_front::{FeatureSpec, MelFrontEnd};

use crate::error::{SordinoError, raised};

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

/// The log-mel spectrogram of mono samples at the rate of the usual front end, shape ``(frames, bands)``, all of them.
#[pyfunction]
pub(crate) fn log_mel<'py>(
    py: Python<'py>,
    samples: PyArrayLike1<'py, f32, AllowTypeChange>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (spec, samples) = (FeatureSpec::default(), samples.as_array().to_vec());
    let log = py.detach(|| -> Result<_, sordino_front::SpecError> {
        let power = MelFrontEnd::new(&spec)?.mel_power(&samples);
        Ok(sordino_front::log_mel(power.0.view(), spec.log_floor))
    });
    Ok(log.map_err(raised)?.into_pyarray(py))
}
