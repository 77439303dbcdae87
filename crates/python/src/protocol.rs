//! How a query is asked, from what Python says of it.

use pyo3::PyResult;
use pyo3::exceptions::PyValueError;
use sordino_model::{Protocol, Resolution};

/// The protocol of a name, with its options where it has them.
pub(crate) fn protocol(name: &str, probes: usize, answers: usize, resolution: &str) -> PyResult<Protocol> {
    let expected = |what: &str, found: &str, expected: &str| {
        Err(PyValueError::new_err(format!("{what} is {found:?}, expected {expected}")))
    };
    if probes == 0 || answers == 0 {
        return expected("probes or answers", "0", "at least 1");
    }
    let Some(resolution) = Resolution::ALL.into_iter().find(|one| one.name() == resolution) else {
        return expected("resolution", resolution, "\"standard\", \"fine\" or \"finest\"");
    };
    match Protocol::ALL.into_iter().find(|one| one.name() == name) {
        Some(protocol) => Ok(protocol.with_probes(probes).with_decision(answers, resolution)),
        None => expected("protocol", name, &Protocol::ALL.map(|one| format!("{:?}", one.name())).join(", ")),
    }
}
