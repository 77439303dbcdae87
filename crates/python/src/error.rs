//! [`SordinoError`]: what Python sees of a Rust error, with its message.

use std::error::Error;

use pyo3::exceptions::PyException;
use pyo3::{PyErr, create_exception};

create_exception!(sordino, SordinoError, PyException, "What was expected, what was found, and what to do.");

/// A Rust error as Python's: every message of its chain that says something new.
pub(crate) fn raised(error: impl Error) -> PyErr {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    SordinoError::new_err(text)
}
