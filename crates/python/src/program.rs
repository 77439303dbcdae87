//! [`run`]: the command line program.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the `sordino` program with these arguments, the first of which is its name; returns its exit code. For a process of its own.
#[pyfunction]
pub(crate) fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| sordino_cli::run(arguments))
}
