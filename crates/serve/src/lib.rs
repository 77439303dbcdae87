//! A library's model behind HTTP: what a person self-hosts, and what an operator can trust.
//!
//! Comes in: model folders, and requests. Goes out: what `docs/formats.md` specifies, over the API that `/v1/openapi.json` describes, and a
//! page for browsers. All work on ciphertexts is that of [`sordino_service::Server`]; this crate adds sockets, keys on disk, queues and
//! budgets. It refuses to know about sound and training.
//!
//! Tokio carries the bytes, and each protocol has a queue with threads of its own ([`Options::threads`]), so that a query of seconds never
//! stops one of milliseconds. Nothing that a client sends is logged, nor its address.

mod api;
mod budget;
mod cache;
mod caller;
mod catalogue;
mod lane;
mod listen;
mod metrics;
mod objects;
mod options;
mod problem;
mod state;
mod store;
mod worker;
mod workers;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum_server::Handle;
use thiserror::Error;
use tokio::sync::oneshot;

pub use budget::Budget;
pub use catalogue::CatalogueError;
pub use objects::Objects;
pub use options::{BudgetRule, Options};
pub use store::{KeyRecord, Store, StoreError, TokenRecord};
pub use worker::{WorkerOptions, run_worker};

use crate::listen::Listener;
use crate::state::State;

/// How often model folders are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(3_600);

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A model is not served.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The key store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        reason: io::Error,
    },
    /// The certificate cannot be used.
    #[error("certificate {chain} with key {key}: {reason}; expected a certificate chain and its private key, both PEM")]
    Certificate {
        /// The chain.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: io::Error,
    },
    /// A worker is not what its place says.
    #[error("{0}")]
    Workers(String),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A server that is ready to run.
pub struct Server {
    state: state::App,
    listener: Listener,
}

impl Server {
    /// Opens models, store and socket. The server answers from [`Server::run`] on.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn open(options: Options) -> Result<Self, ServeError> {
        store::provider();
        let listener = Listener::open(&options).await?;
        Ok(Self { state: State::open(options).await?, listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Answers until `stop` says so or is dropped, then finishes what was begun.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn run(self, stop: oneshot::Receiver<()>) -> Result<(), ServeError> {
        let Self { state, listener } = self;
        let options = state.settings.clone();
        let handle = Handle::new();
        let stopping = {
            let (state, handle, drain) = (state.clone(), handle.clone(), options.drain);
            async move {
                // An error is a stop, too: nobody is left who could say it.
                let _ = stop.await;
                state.stop();
                tracing::info!("stopping; queries that were begun are finished");
                handle.graceful_shutdown(Some(drain));
            }
        };
        let background = {
            let state = state.clone();
            let certificate = listener.follow_certificate(&options);
            async move { tokio::join!(watch(&state), sweep(&state), certificate) }
        };
        let operator = match options.metrics {
            None => None,
            Some(address) => {
                let server = axum_server::from_tcp({
                    let socket = listen::bind(address)?;
                    socket.set_nonblocking(true)?;
                    socket
                })?;
                Some(tokio::spawn(server.serve(api::operator(state.clone()).into_make_service())))
            }
        };
        let tasks = [
            tokio::spawn(stopping),
            tokio::spawn(async move {
                let _ = background.await;
            }),
        ];
        let served = listener.serve(api::router(state), &options, handle).await;
        tasks.iter().for_each(|task| task.abort());
        operator.iter().for_each(|task| task.abort());
        Ok(served?)
    }
}

/// Runs a server on threads of its own until the process is told to end (SIGTERM, or Ctrl-C). `listening` hears where, once it is open.
///
/// # Errors
/// [`ServeError`].
pub fn run(options: Options, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::open(options).await?;
        listening(server.address()?);
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            signal().await;
            // The server may have ended by itself.
            let _ = stop.send(());
        });
        server.run(stopped).await
    })
}

/// Waits until the process is told to end.
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

/// The OpenAPI document of the server, as JSON.
pub fn openapi() -> String {
    api::document().to_pretty_json().unwrap_or_default()
}

/// Swaps new editions of models in.
async fn watch(state: &state::App) {
    loop {
        tokio::time::sleep(LOOK).await;
        let state = state.clone();
        // A panic while a folder is read must not end the watching.
        let _ = tokio::task::spawn_blocking(move || state.catalogue.refresh()).await;
    }
}

/// Sweeps the store now and then.
async fn sweep(state: &state::App) {
    loop {
        if let Err(error) = state.store.sweep(state.settings.budget.window()).await {
            tracing::warn!(error = error.unnamed(), "the key store could not be swept");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
