//! [`SecretKey`] and [`EvaluationKey`].

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sordino_fhe::params::STANDARD;

use crate::error::raised;

/// A client's secret key, of 128 bits of security. Whoever has it reads the client's queries and answers.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct SecretKey(pub(crate) Arc<sordino_fhe::SecretKey>);

#[pymethods]
impl SecretKey {
    /// Draws a new key from the system's generator.
    #[new]
    fn new(py: Python<'_>) -> Self {
        Self(Arc::new(py.detach(|| sordino_fhe::SecretKey::generate(&STANDARD))))
    }

    /// Reads what :meth:`to_bytes` wrote.
    #[staticmethod]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        Ok(Self(Arc::new(sordino_fhe::SecretKey::from_bytes(data).map_err(raised)?)))
    }

    /// The key itself, to be kept where nobody else reads it.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn __repr__(&self) -> &'static str {
        "SecretKey(...)"
    }
}

/// What a server needs to decide under encryption. It is public; the secret key does not follow from it.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct EvaluationKey(pub(crate) sordino_fhe::EvaluationKey);

#[pymethods]
impl EvaluationKey {
    /// Makes one for a secret key, in a second or two; with ``samples`` one for ``raw`` as well, twice as large.
    #[new]
    #[pyo3(signature = (secret, *, samples = false))]
    fn new(py: Python<'_>, secret: &SecretKey, samples: bool) -> Self {
        Self(py.detach(|| match samples {
            true => sordino_fhe::EvaluationKey::generate_for_samples(&secret.0, |_| ()),
            false => sordino_fhe::EvaluationKey::generate(&secret.0, |_| ()),
        }))
    }

    /// Reads what :meth:`to_bytes` wrote.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, mut data: &[u8]) -> PyResult<Self> {
        py.detach(|| sordino_fhe::EvaluationKey::read(&mut data)).map(Self).map_err(raised)
    }

    /// The key as it is sent to a server, once.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(sordino_fhe::EvaluationKey::wire_bytes(self.0.parameters()));
        self.0.write(&mut out)?;
        Ok(PyBytes::new(py, &out))
    }

    /// Its name, the SHA-256 of the key, in hexadecimal digits.
    #[getter]
    fn id(&self) -> String {
        self.0.id().hex()
    }
}
