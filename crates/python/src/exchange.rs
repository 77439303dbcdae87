//! [`Client`] and [`Server`]: two halves that speak bytes, and nothing else between them.

use numpy::{AllowTypeChange, PyArrayLike1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sordino_corpus::Part;
use sordino_fhe::decision::Share;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, KeyId};
use sordino_model::cost::WeightForm;
use sordino_model::files::Bundle;
use sordino_model::{ClientModel, ModelHash, ServerModel};
use sordino_service::Step;

use crate::error::raised;
use crate::keys::{EvaluationKey, SecretKey};
use crate::protocol::protocol;

/// What a query gave.
#[pyclass(frozen, get_all, module = "sordino")]
pub(crate) struct Answer {
    /// Whether what was asked about is like anything that was learned.
    known: bool,
    /// Labels, counted from 0, the best first. Where the server decides, only what it returned, and none if nothing is known.
    labels: Vec<usize>,
    /// Their scores in integer units; empty where the server decides.
    scores: Vec<i64>,
}

#[pymethods]
impl Answer {
    fn __repr__(&self) -> String {
        let known = if self.known { "True" } else { "False" };
        format!("Answer(known={known}, labels={:?}, scores={:?})", self.labels, self.scores)
    }
}

impl From<sordino_model::Answer> for Answer {
    fn from(answer: sordino_model::Answer) -> Self {
        Self {
            known: answer.known,
            labels: answer.matches.iter().map(|found| found.label).collect(),
            scores: answer.matches.iter().filter_map(|found| found.score).collect(),
        }
    }
}

/// A share of strangers that may pass for known.
pub(crate) fn accepted(share: f32) -> PyResult<f32> {
    if (0.001..=0.5).contains(&share) || share == 1.0 {
        return Ok(share);
    }
    Err(PyValueError::new_err(format!("share is {share}, expected 0.001 to 0.5, or 1 for all")))
}

/// The half that holds a secret key: features go in, messages for the server come out, and an answer from its replies.
#[pyclass(module = "sordino")]
pub(crate) struct Client(sordino_service::Client);

#[pymethods]
impl Client {
    /// A client with its half of a model (:meth:`Model.client_bytes`), and what the server said first (:attr:`Server.hello`).
    /// ``evaluation_key`` is the name under which the server keeps the evaluation key, where it decides. It must be one of ``key``: under another's,
    /// answers are noise.
    #[new]
    #[pyo3(signature = (model, key, hello, evaluation_key = None))]
    fn new(model: &[u8], key: &SecretKey, hello: &[u8], evaluation_key: Option<&str>) -> PyResult<Self> {
        let half = Bundle::from_bytes(model).and_then(|bundle| ClientModel::from_bundle(&bundle)).map_err(raised)?;
        let key: ClientKey = match evaluation_key {
            None => key.0.clone().into(),
            Some(name) => {
                let hash: ModelHash =
                    name.parse().map_err(|error| PyValueError::new_err(format!("evaluation_key: {error}")))?;
                ClientKey::registered(key.0.clone(), KeyId(hash.0))
            }
        };
        Ok(Self(sordino_service::Client::new(half, key, hello).map_err(raised)?))
    }

    /// Starts a query about one vector of features: the first message for the server. An earlier query is given up.
    fn start<'py>(
        &mut self,
        py: Python<'py>,
        features: PyArrayLike1<'py, f32, AllowTypeChange>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let features = features.as_array().to_vec();
        let message = py.detach(|| self.0.start(&features)).map_err(raised)?;
        Ok(PyBytes::new(py, &message.bytes))
    }

    /// Takes the reply to the last message: the next message as bytes, or the answer. It must not travel back to the server, nor anything
    /// that follows from it.
    fn receive<'py>(&mut self, py: Python<'py>, reply: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match py.detach(|| self.0.receive(reply)).map_err(raised)? {
            Step::Send(message) => Ok(PyBytes::new(py, &message.bytes).into_any()),
            Step::Done(answer) => Ok(Bound::new(py, Answer::from(answer))?.into_any()),
        }
    }

    /// From the next query on, lets such a share of strangers pass for known, from 0.001 to 0.5, or 1 for all.
    fn accept(&mut self, share: f32) -> PyResult<()> {
        self.0.accept(accepted(share)?).map_err(raised)
    }
}

/// The half that holds the weights: it answers encrypted messages with encrypted replies, of any number of clients at once.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct Server(sordino_service::Server);

#[pymethods]
impl Server {
    /// A server of a model's other half (:meth:`Model.server_bytes`), for one protocol.
    #[new]
    #[pyo3(signature = (model, protocol = "routed", *, probes = 2, answers = 1, resolution = "standard"))]
    fn new(
        py: Python<'_>,
        model: &[u8],
        protocol: &str,
        probes: usize,
        answers: usize,
        resolution: &str,
    ) -> PyResult<Self> {
        let protocol = self::protocol(protocol, probes, answers, resolution)?;
        py.detach(|| {
            let half =
                Bundle::from_bytes(model).and_then(|bundle| ServerModel::from_bundle(&bundle)).map_err(raised)?;
            Ok(Self(sordino_service::Server::new(&half, protocol, &STANDARD).map_err(raised)?))
        })
    }

    /// What it says first: protocol, model and plan, for :class:`Client`.
    #[getter]
    fn hello<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.hello())
    }

    /// Keeps a client's evaluation key; returns its name.
    fn register(&self, py: Python<'_>, key: &EvaluationKey) -> PyResult<String> {
        py.detach(|| self.0.register(key.0.expand())).map(|id| id.hex()).map_err(raised)
    }

    /// Answers one message with one reply. The lock of the interpreter is free meanwhile.
    fn answer<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let reply = py.detach(|| self.0.answer(message)).map_err(raised)?;
        Ok(PyBytes::new(py, &reply))
    }

    /// Bytes of the prepared weights in memory.
    #[getter]
    fn weight_bytes(&self) -> usize {
        self.0.weight_bytes()
    }
}

/// A share of the last stage of a model in which the server decides: it answers the requests of a coordinator, which ``sordino serve --worker`` is,
/// and holds no key of any client.
#[pyclass(frozen, module = "sordino")]
pub(crate) struct Worker(sordino_service::Worker);

#[pymethods]
impl Worker {
    /// Prepares share ``share``, such as ``"2/4"``, of a model's other half (:meth:`Model.server_bytes`) for one protocol. ``compact`` holds weights
    /// as bytes, in an eighth of the memory.
    #[new]
    #[pyo3(signature = (model, share, protocol = "decided", *, probes = 1, answers = 1, resolution = "standard", compact = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
    fn new(
        py: Python<'_>,
        model: &[u8],
        share: &str,
        protocol: &str,
        probes: usize,
        answers: usize,
        resolution: &str,
        compact: bool,
    ) -> PyResult<Self> {
        let protocol = self::protocol(protocol, probes, answers, resolution)?;
        let part: Part = share.parse().map_err(PyValueError::new_err)?;
        let share = Share::new(part.number(), part.of()).map_err(raised)?;
        let form = if compact { WeightForm::Integers } else { WeightForm::Transformed };
        py.detach(|| {
            let half =
                Bundle::from_bytes(model).and_then(|bundle| ServerModel::from_bundle(&bundle)).map_err(raised)?;
            Ok(Self(sordino_service::Worker::new(&half, protocol, &STANDARD, share, form).map_err(raised)?))
        })
    }

    /// Bytes of the prepared weights.
    #[getter]
    fn weight_bytes(&self) -> usize {
        self.0.weight_bytes()
    }

    /// Answers one request with one reply. The lock of the interpreter is free meanwhile.
    fn answer<'py>(&self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let reply = py.detach(|| self.0.answer(request)).map_err(raised)?;
        Ok(PyBytes::new(py, &reply))
    }
}
