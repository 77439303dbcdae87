//! [`train`]: from arrays to a model.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use numpy::{AllowTypeChange, PyArrayLike2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sordino_learn::examples::{LabelledVectors, titles};
use sordino_learn::run::{Progress, Report};
use sordino_learn::{Effort, LearnError, TrainConfig, train_vectors};

use crate::error::raised;
use crate::model::Model;

/// How often Python is asked at most.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells Python how training goes, and stops it where Python raises.
pub(crate) struct Listener {
    callback: Option<Py<PyAny>>,
    state: Mutex<State>,
}

struct State {
    last: Instant,
    raised: Option<PyErr>,
}

impl Listener {
    /// Tells `callback`, where there is one, the phase, the step and the steps.
    pub(crate) fn new(callback: Option<Py<PyAny>>) -> Self {
        Self { callback, state: Mutex::new(State { last: Instant::now(), raised: None }) }
    }

    /// What came of a training; what Python raised meanwhile goes before what that led to.
    pub(crate) fn or_raised<T>(self, trained: Result<T, LearnError>) -> PyResult<T> {
        let raised_there = self.state.into_inner().ok().and_then(|state| state.raised);
        raised_there.map_or_else(|| trained.map_err(raised), Err)
    }
}

impl Progress for Listener {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        let Ok(mut state) = self.state.try_lock() else { return ControlFlow::Continue(()) };
        if state.last.elapsed() < PAUSE && report.step < report.steps {
            return ControlFlow::Continue(());
        }
        state.last = Instant::now();
        let told = Python::attach(|py| {
            py.check_signals()?;
            match &self.callback {
                Some(callback) => callback.call1(py, (report.phase, report.step, report.steps)).map(|_| ()),
                None => Ok(()),
            }
        });
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                state.raised = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The settings of an effort, ``"quick"``, ``"standard"`` or ``"thorough"``, as JSON.
#[pyfunction]
pub(crate) fn default_settings(effort: &str) -> PyResult<String> {
    serde_json::to_string(&TrainConfig::effort(self::effort(effort)?)).map_err(raised)
}

fn effort(name: &str) -> PyResult<Effort> {
    match name {
        "quick" => Ok(Effort::Quick),
        "standard" => Ok(Effort::Standard),
        "thorough" => Ok(Effort::Thorough),
        other => {
            Err(PyValueError::new_err(format!("effort is {other:?}, expected \"quick\", \"standard\" or \"thorough\"")))
        }
    }
}

/// The settings of an effort with others laid over them, which are JSON.
pub(crate) fn config(effort: &str, settings: &str) -> PyResult<TrainConfig> {
    let settings: toml::Table = serde_json::from_str(settings).map_err(raised)?;
    TrainConfig::effort(self::effort(effort)?).laid_over(&settings).map_err(raised)
}

/// A label from Python.
pub(crate) fn label(label: i64) -> PyResult<u32> {
    u32::try_from(label).map_err(|_| PyValueError::new_err(format!("y has the label {label}, expected 0 or more")))
}

/// Learns from vectors ``x``, shape ``(n, width)``, and labels ``y``, shape ``(n,)``, counted from 0 without a gap. ``names`` has a title for each
/// label, ``settings`` are JSON over those of the effort, ``jitter`` is noise on every example in deviations of a feature within labels, and
/// ``held_out`` the share of every label's vectors by which the unknown threshold is chosen. ``progress`` is called with phase, step and
/// steps.
#[pyfunction]
#[pyo3(signature = (x, y, names, *, effort = "standard", settings = "{}", jitter = 0.0, held_out = 0.2, checkpoints = None, progress = None))]
#[expect(clippy::too_many_arguments, reason = "keywords, in Python")]
pub(crate) fn train(
    py: Python<'_>,
    x: PyArrayLike2<'_, f32, AllowTypeChange>,
    y: Vec<i64>,
    names: Vec<String>,
    effort: &str,
    settings: &str,
    jitter: f32,
    held_out: f32,
    checkpoints: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Model> {
    let config = config(effort, settings)?;
    let y: Vec<u32> = y.into_iter().map(label).collect::<PyResult<_>>()?;
    let (x, count) = (x.as_array().to_owned(), y.iter().max().map_or(0, |&label| label as usize + 1));
    if names.len() != count {
        let found = names.len();
        return Err(PyValueError::new_err(format!(
            "names has {found} titles, expected {count}, one for each label of y"
        )));
    }
    let listener = Listener::new(progress);
    let trained = py.detach(|| -> Result<_, LearnError> {
        let library = LabelledVectors::new(x, &y)?.with_jitter(jitter)?.with_held_out(held_out)?;
        let model = train_vectors(&library, &config, checkpoints.as_deref(), &listener)?;
        model.halves("vectors", titles(names))
    });
    let (client, server) = listener.or_raised(trained)?;
    Ok(Model::new(client, server, toml::to_string_pretty(&config).map_err(raised)?))
}
