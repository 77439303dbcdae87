//! [`RemoteClient`]: a client of a server over HTTP.

use std::path::PathBuf;

use numpy::{AllowTypeChange, PyArray1, PyArrayLike1};
use pyo3::prelude::*;
use sordino_fhe::ClientKey;
use sordino_remote::{Address, Options, Remote, Session, Token};

use crate::error::raised;
use crate::exchange::{Answer, accepted};
use crate::half::{self, Label};
use crate::keys::{EvaluationKey, SecretKey};

/// A client of a server over HTTP, such as ``sordino serve``. It fetches the public half of the model once and keeps it; what it sends
/// are ciphertexts, and with ``decided`` the evaluation key, once.
#[pyclass(module = "sordino")]
pub(crate) struct RemoteClient(Session);

/// Gets ready to speak to a server.
fn connect(server: &str, token: Option<&str>, certificates: Option<PathBuf>, plain_http: bool) -> PyResult<Remote> {
    let address = Address::parse(server, plain_http).map_err(raised)?;
    let mut options = Options::default();
    options.token = token.map(Token::new).transpose().map_err(raised)?;
    options.certificates = certificates;
    Remote::connect(address, options).map_err(raised)
}

#[pymethods]
impl RemoteClient {
    /// A client of the server at ``server``, ``https://music.example.org`` or ``http://127.0.0.1:7664``, for its model of the name
    /// ``model``, or the only one. Where the server decides it needs ``evaluation_key``, one of ``key``, and a ``token`` of 16 characters or
    /// more under which the server keeps it. ``certificates`` is a PEM file to trust instead of the usual ones; ``plain_http`` allows
    /// ``http`` to another machine.
    #[new]
    #[pyo3(signature = (server, key, *, protocol = "routed", model = None, evaluation_key = None, token = None, certificates = None, plain_http = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
    fn new(
        py: Python<'_>,
        server: &str,
        key: &SecretKey,
        protocol: &str,
        model: Option<&str>,
        evaluation_key: Option<&EvaluationKey>,
        token: Option<&str>,
        certificates: Option<PathBuf>,
        plain_http: bool,
    ) -> PyResult<Self> {
        let remote = connect(server, token, certificates, plain_http)?;
        py.detach(|| {
            let offer = remote.model(model)?;
            let half = remote.client_half(&offer)?;
            let decided = offer.protocol(protocol).is_some_and(|offered| offered.evaluation_key_bytes.is_some());
            let key = match evaluation_key.filter(|_| decided) {
                None => ClientKey::from(key.0.clone()),
                Some(evaluation) => {
                    remote.register(&evaluation.0, &mut |_| ())?;
                    ClientKey::registered(key.0.clone(), evaluation.0.id())
                }
            };
            remote.session(&offer, protocol, half, key).map(Self)
        })
        .map_err(raised)
    }

    /// Names of the models that a server answers for.
    #[staticmethod]
    #[pyo3(signature = (server, *, certificates = None, plain_http = false))]
    fn models(py: Python<'_>, server: &str, certificates: Option<PathBuf>, plain_http: bool) -> PyResult<Vec<String>> {
        let remote = connect(server, None, certificates, plain_http)?;
        let models = py.detach(|| remote.models()).map_err(raised)?;
        Ok(models.into_iter().map(|model| model.name).collect())
    }

    /// Asks about one vector of features, and waits for the answer. A message that got lost is sent again; nothing that follows from the answer
    /// is.
    fn ask(&mut self, py: Python<'_>, features: PyArrayLike1<'_, f32, AllowTypeChange>) -> PyResult<Answer> {
        let features = features.as_array().to_vec();
        py.detach(|| self.0.identify(&features)).map(|done| done.answer.into()).map_err(raised)
    }

    /// From the next query on, lets such a share of strangers pass for known, from 0.001 to 0.5, or 1 for all.
    fn accept(&mut self, share: f32) -> PyResult<()> {
        self.0.accept(accepted(share)?).map_err(raised)
    }

    /// Artist, title, album and licence of every label, by their numbers.
    #[getter]
    fn labels(&self) -> Vec<Label<'_>> {
        half::labels(self.0.model())
    }

    /// Samples a second of the sound that the model takes; an error for a model of vectors.
    #[getter]
    fn sample_rate(&self) -> PyResult<u32> {
        Ok(self.0.model().front().spec().map_err(raised)?.sample_rate)
    }

    /// Seconds of sound that a query has.
    #[getter]
    fn query_seconds(&self) -> PyResult<f32> {
        Ok(self.0.model().front().spec().map_err(raised)?.query_seconds)
    }

    /// The features of mono samples at :attr:`sample_rate`, shape ``(width,)``, from ``start`` seconds on, or from the middle; in ``raw`` the sound that is sent.
    #[pyo3(signature = (samples, *, start = None))]
    fn features<'py>(
        &self,
        py: Python<'py>,
        samples: PyArrayLike1<'py, f32, AllowTypeChange>,
        start: Option<f32>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        half::features(py, self.0.model(), self.0.protocol(), &samples, start)
    }
}
