//! [`Model`]: both halves of a trained model.

use std::path::PathBuf;

use ndarray::{Array1, Array2};
use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArray2, PyArrayLike1, PyArrayLike2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{EvaluationKey, Plan};
use sordino_model::files::Bundle;
use sordino_model::{Card, ClientModel, MAX_SCORE, Pair, ServerModel, load_pair, save};

use crate::error::raised;
use crate::half::{self, Label};
use crate::protocol::protocol;

/// Both halves of a trained model. The client's half says how features become small integers; the server's holds the weights.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct Model {
    client: ClientModel,
    server: ServerModel,
    /// The settings of training as TOML.
    settings: String,
}

impl Model {
    pub(crate) fn new(client: ClientModel, server: ServerModel, settings: String) -> Self {
        Self { client, server, settings }
    }

    fn pair(&self) -> PyResult<Pair<'_>> {
        Pair::new(&self.client, &self.server).map_err(raised)
    }
}

/// Labels of shape ``(n,)``, -1 where there is none, and whether each row is known.
type Predicted<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<bool>>);

#[pymethods]
impl Model {
    /// Opens the model in a folder.
    #[staticmethod]
    fn load(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let (client, server) = py.detach(|| load_pair(&folder)).map_err(raised)?;
        Ok(Self { client, server, settings: String::new() })
    }

    /// Puts the halves together that :meth:`client_bytes` and :meth:`server_bytes` gave.
    #[staticmethod]
    fn from_bytes(client: &[u8], server: &[u8]) -> PyResult<Self> {
        let client = Bundle::from_bytes(client).and_then(|b| ClientModel::from_bundle(&b)).map_err(raised)?;
        let server = Bundle::from_bytes(server).and_then(|b| ServerModel::from_bundle(&b)).map_err(raised)?;
        client.check_server(&server).map_err(raised)?;
        Ok(Self { client, server, settings: String::new() })
    }

    /// Saves the model as a folder, in place of a model that is there.
    fn save(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        let card = Card { settings: self.settings.clone(), source: "vectors".into(), ..Card::default() };
        py.detach(|| save(&folder, &self.client, &self.server, &card)).map_err(raised)
    }

    /// The client's half as bytes. It is public.
    fn client_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.client.bundle().map_err(raised)?.to_bytes()))
    }

    /// The server's half as bytes: the weights.
    fn server_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.server.bundle().map_err(raised)?.to_bytes()))
    }

    /// Names of the labels, by their numbers.
    #[getter]
    fn titles(&self) -> Vec<&str> {
        self.client.labels().iter().map(|label| label.title.as_str()).collect()
    }

    /// Artist, title, album and licence of every label, by their numbers.
    #[getter]
    fn labels(&self) -> Vec<Label<'_>> {
        half::labels(&self.client)
    }

    /// Samples a second of the sound that it takes; an error for a model of vectors.
    #[getter]
    fn sample_rate(&self) -> PyResult<u32> {
        Ok(self.client.front().spec().map_err(raised)?.sample_rate)
    }

    /// Seconds of sound that a query has.
    #[getter]
    fn query_seconds(&self) -> PyResult<f32> {
        Ok(self.client.front().spec().map_err(raised)?.query_seconds)
    }

    /// The features of mono samples at :attr:`sample_rate`, shape ``(width,)``, from ``start`` seconds on, or from the middle; for ``raw`` the sound that is sent.
    #[pyo3(signature = (samples, *, start = None, protocol = "flat"))]
    fn features<'py>(
        &self,
        py: Python<'py>,
        samples: PyArrayLike1<'py, f32, AllowTypeChange>,
        start: Option<f32>,
        protocol: &str,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let protocol = self::protocol(protocol, 1, 1, "standard")?;
        half::features(py, &self.client, protocol, &samples, start)
    }

    /// Choices of the first stage; 1 in a flat model.
    #[getter]
    fn clusters(&self) -> usize {
        match self.server.hierarchy().stages() {
            [clusters, _, ..] => clusters.outputs(),
            _ => 1,
        }
    }

    /// Width of a vector of features.
    #[getter]
    fn width(&self) -> usize {
        self.client.front().width()
    }

    /// Names every row of ``x``, shape ``(n, width)``, in integers and without encryption: the best label of each, -1 where there is none, and
    /// whether it is known. Where the server decides, it names none below the threshold; ``closed`` takes every row for known.
    #[pyo3(signature = (x, protocol = "routed", *, probes = 2, answers = 1, resolution = "standard", closed = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: PyArrayLike2<'py, f32, AllowTypeChange>,
        protocol: &str,
        probes: usize,
        answers: usize,
        resolution: &str,
        closed: bool,
    ) -> PyResult<Predicted<'py>> {
        let (protocol, pair) = (self::protocol(protocol, probes, answers, resolution)?, self.pair()?);
        let x = x.as_array();
        let above = if closed { i64::MIN } else { 0 };
        let answers = py.detach(|| pair.identify_batch_above(protocol, x, 1, above)).map_err(raised)?;
        let label = |answer: &sordino_model::Answer| answer.matches.first().map_or(-1, |found| found.label as i64);
        let labels: Array1<i64> = answers.iter().map(label).collect();
        let known: Array1<bool> = answers.iter().map(|answer| answer.known).collect();
        Ok((labels.into_pyarray(py), known.into_pyarray(py)))
    }

    /// The scores of every label, in integer units above the unknown threshold, shape ``(n, labels)``: what a client of ``flat`` decrypts.
    fn scores<'py>(
        &self,
        py: Python<'py>,
        x: PyArrayLike2<'py, f32, AllowTypeChange>,
    ) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let (pair, labels, x) = (self.pair()?, self.client.labels().len(), x.as_array());
        let answers = py.detach(|| pair.identify_batch(sordino_model::Protocol::Flat, x, labels)).map_err(raised)?;
        let mut scores = Array2::zeros((answers.len(), labels));
        for (answer, mut row) in answers.iter().zip(scores.rows_mut()) {
            answer.matches.iter().for_each(|found| row[found.label] = found.score.unwrap_or_default());
        }
        Ok(scores.into_pyarray(py))
    }

    /// What a query costs and how surely it is answered, as JSON, before anyone pays for it.
    #[pyo3(signature = (protocol = "routed", *, probes = 2, answers = 1, resolution = "standard"))]
    fn cost(
        &self,
        py: Python<'_>,
        protocol: &str,
        probes: usize,
        answers: usize,
        resolution: &str,
    ) -> PyResult<String> {
        let protocol = self::protocol(protocol, probes, answers, resolution)?;
        let hierarchy = self.server.stages_for(protocol);
        py.detach(|| {
            let plan = Plan::new(&STANDARD, protocol, hierarchy).map_err(raised)?;
            let trips = plan.costs(hierarchy.shape()).map_err(raised)?;
            let sum = |bytes: fn(&sordino_model::cost::CostReport) -> usize| trips.iter().map(bytes).sum::<usize>();
            let key = EvaluationKey::bytes_for(protocol, &STANDARD);
            let report = json!({
                "protocol": protocol.name(),
                "failure_log2": plan.failure_log2(hierarchy.shape()).map_err(raised)?,
                "bytes_up": sum(|trip| trip.bytes_up),
                "bytes_down": sum(|trip| trip.bytes_down),
                "evaluation_key_bytes": key,
                "trips": trips,
            });
            Ok(report.to_string())
        })
    }

    /// What every stage holds, and the largest score that any query can reach there, as JSON: proven, not sampled.
    fn range(&self) -> PyResult<String> {
        self.server.prove(MAX_SCORE).map_err(raised)?;
        let stage = |stage: &sordino_model::stage::Stage| {
            json!({
                "groups": stage.groups(),
                "slots": stage.outputs(),
                "width": stage.input().width,
                "largest_score": stage.score_bound(),
                "largest_score_allowed": MAX_SCORE,
            })
        };
        let stages: Vec<_> = self.server.hierarchy().stages().iter().map(stage).collect();
        Ok(json!(stages).to_string())
    }

    fn __repr__(&self) -> String {
        format!("Model({} labels of {} features)", self.client.labels().len(), self.client.front().width())
    }
}
