//! [`Network`]: an embedding network of one's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ndarray::{Array1, ArrayD};
use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArrayLike2, PyArrayLikeDyn};
use pyo3::prelude::*;
use sordino_front as front;
use sordino_model::files::{assemble_network, network_to_bytes, read_network, write_file};

use crate::error::raised;

/// An embedding network: steps over the frames of a log-mel spectrogram, a pooling, and layers on what was pooled.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct Network(front::Network);

#[pymethods]
impl Network {
    /// Puts a network together from its description, which is JSON, and its arrays by their names.
    #[staticmethod]
    fn assemble(
        description: String,
        arrays: BTreeMap<String, PyArrayLikeDyn<'_, f32, AllowTypeChange>>,
    ) -> PyResult<Self> {
        let arrays: Vec<(String, ArrayD<f32>)> =
            arrays.into_iter().map(|(name, array)| (name, array.as_array().to_owned())).collect();
        Ok(Self(assemble_network(description, &arrays).map_err(raised)?))
    }

    /// Opens the network in a file.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Self> {
        Ok(Self(read_network(&path).map_err(raised)?))
    }

    /// Saves the network as a file, which ``sordino train --network`` takes.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let bytes = network_to_bytes(&self.0).map_err(raised)?;
        py.detach(|| write_file(&path, &bytes)).map_err(raised)
    }

    /// The embedding of one log-mel spectrogram, shape ``(frames, bands)``: shape ``(width,)``.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        log_mel: PyArrayLike2<'py, f32, AllowTypeChange>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let embedding = self.0.embed(log_mel.as_array()).map_err(raised)?;
        Ok(Array1::from(embedding).into_pyarray(py))
    }

    /// Numbers in an embedding.
    #[getter]
    fn width(&self) -> usize {
        self.0.width()
    }

    /// Mel bands that go in.
    #[getter]
    fn bands(&self) -> usize {
        self.0.bands()
    }

    /// Fewest frames that leave something to pool.
    #[getter]
    fn min_frames(&self) -> usize {
        self.0.min_frames()
    }

    fn __repr__(&self) -> String {
        format!("Network({} bands to {} numbers)", self.0.bands(), self.0.width())
    }
}
