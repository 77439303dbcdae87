//! The Rust core of the Python package `sordino`: arrays and bytes in, arrays and bytes out.
//!
//! Comes in: NumPy arrays of features and labels, keys and messages as bytes. Goes out: models, predictions, messages. What a Python user
//! sees is in `python/sordino`; this crate refuses to know about scikit-learn. Whatever takes longer than a blink runs without the
//! interpreter's lock.

mod error;
mod exchange;
mod half;
mod keys;
mod learning;
mod model;
mod network;
mod parts;
mod program;
mod protocol;
mod remote;
mod sound;

/// The extension module.
#[pyo3::pymodule]
mod _sordino {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    #[pymodule_export]
    use super::error::SordinoError;
    #[pymodule_export]
    use super::exchange::{Answer, Client, Server, Worker};
    #[pymodule_export]
    use super::keys::{EvaluationKey, SecretKey};
    #[pymodule_export]
    use super::learning::{default_settings, train};
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    use super::parts::{descends, merge_parts, merged_file, part_files, part_labels, train_part};
    #[pymodule_export]
    use super::program::run;
    #[pymodule_export]
    use super::remote::RemoteClient;
    #[pymodule_export]
    use super::sound::{decode, log_mel};
}
