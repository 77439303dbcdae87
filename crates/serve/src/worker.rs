//! [`run_worker`]: a share of models behind HTTP, for a coordinator.
//!
//! A worker has no clients, keys or budgets: it is asked by the coordinator alone, over a network of the server's own. What it sees is
//! encrypted, and what it answers is too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sordino_fhe::decision::Share;
use sordino_fhe::params::STANDARD;
use sordino_model::cost::WeightForm;
use sordino_model::{Decider, Protocol, load_client, load_server};
use sordino_service::Worker;
use tokio::sync::Semaphore;

use crate::{CatalogueError, ServeError, listen};

/// How a worker is run.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Model folders, the same as the coordinator's.
    pub models: Vec<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The share of every model that is held.
    pub share: Share,
    /// The coordinator's protocols. Of those in which the client decides there are no shares.
    pub protocols: Vec<Protocol>,
    /// How weights are held.
    pub weights: WeightForm,
}

/// Models and protocols by name.
type Shelf = BTreeMap<(String, &'static str), Arc<Worker>>;

struct App {
    share: Share,
    shelf: Shelf,
    /// A request keeps all threads busy: one at a time.
    turn: Semaphore,
}

/// Answers a coordinator until the process is told to end. `listening` hears where, once the weights are ready.
///
/// # Errors
/// [`ServeError`].
pub fn run_worker(options: WorkerOptions, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut shelf = Shelf::new();
    for folder in &options.models {
        prepare(folder, &options, &mut shelf)?;
    }
    let longest = shelf.values().map(|worker| worker.request_len()).max().unwrap_or(0);
    let app = Arc::new(App { share: options.share, shelf, turn: Semaphore::new(1) });
    let routes = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(async || "ready\n"))
        .route("/v1/share", get(held))
        .route("/v1/models/{model}/shares/{protocol}", post(answer))
        .layer(DefaultBodyLimit::max(longest))
        .with_state(app);
    runtime.block_on(async {
        let socket = listen::bind(options.listen)?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        listening(socket.local_addr()?);
        Ok(axum::serve(socket, routes).with_graceful_shutdown(crate::signal()).await?)
    })
}

/// Prepares a model's share in every protocol that it has shares in.
fn prepare(folder: &std::path::Path, options: &WorkerOptions, shelf: &mut Shelf) -> Result<(), ServeError> {
    let refuse =
        |reason: Box<dyn std::error::Error + Send + Sync>| CatalogueError::Model { path: folder.into(), reason };
    let (client, server) = (load_client(folder), load_server(folder));
    let (client, server) = (client.map_err(|e| refuse(e.into()))?, server.map_err(|e| refuse(e.into()))?);
    let name = folder.canonicalize().ok().and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    let name = name.ok_or_else(|| refuse("the folder has no name".into()))?;
    let mut last: Option<sordino_service::ServiceError> = None;
    let before = shelf.len();
    for &protocol in options.protocols.iter().filter(|protocol| protocol.decider() == Decider::Server) {
        let protocol = protocol.suited(client.stages_for(protocol).shape());
        if client.speaks(protocol).is_err() {
            continue;
        }
        match Worker::new(&server, protocol, &STANDARD, options.share, options.weights) {
            Ok(worker) => {
                if worker.weight_bytes() == 0 {
                    let share = options.share.to_string();
                    tracing::warn!(
                        model = name,
                        share,
                        "this share is empty: there are more workers than the model has parts"
                    );
                }
                shelf.insert((name.clone(), protocol.name()), Arc::new(worker));
            }
            Err(error) => {
                tracing::warn!(model = name, protocol = protocol.name(), %error, "a protocol is left out");
                last = Some(error);
            }
        }
    }
    if shelf.len() == before {
        let none = "there is no protocol in which the server decides, and only those have shares";
        return Err(refuse(last.map_or_else(|| none.into(), Into::into)).into());
    }
    Ok(())
}

/// What a worker says of itself.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Held {
    /// Which share, such as `1/2`.
    pub(crate) share: String,
    /// Models and protocols.
    pub(crate) held: Vec<(String, String)>,
    /// Bytes of the prepared weights.
    pub(crate) weight_bytes: usize,
}

async fn held(State(app): State<Arc<App>>) -> Json<Held> {
    let held = app.shelf.keys().map(|(model, protocol)| (model.clone(), (*protocol).to_owned())).collect();
    let weight_bytes = app.shelf.values().map(|worker| worker.weight_bytes()).sum();
    Json(Held { share: app.share.to_string(), held, weight_bytes })
}

async fn answer(
    State(app): State<Arc<App>>,
    Path((model, protocol)): Path<(String, String)>,
    request: Bytes,
) -> impl IntoResponse {
    let found = app.shelf.iter().find(|((name, spoken), _)| *name == model && *spoken == protocol);
    let Some(worker) = found.map(|(_, worker)| worker.clone()) else {
        let held: Vec<String> = app.shelf.keys().map(|(name, spoken)| format!("{name} in {spoken}")).collect();
        return (
            StatusCode::NOT_FOUND,
            format!("{model} in {protocol} is not held here; held: {}", held.join(", ")).into(),
        );
    };
    let Ok(_turn) = app.turn.acquire().await else { return (StatusCode::SERVICE_UNAVAILABLE, Vec::new()) };
    match tokio::task::spawn_blocking(move || worker.answer(&request)).await {
        Ok(Ok(reply)) => (StatusCode::OK, reply),
        Ok(Err(error)) => (StatusCode::CONFLICT, error.to_string().into()),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}
