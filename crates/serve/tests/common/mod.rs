//! A server in this process, on the committed model, and a client that is nothing but HTTP.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey};
use sordino_model::{Answer, ClientModel, Pair, Protocol, load_pair};
use sordino_serve::{BudgetRule, Options, ServeError, Server};
use sordino_service::{Client, Step};
use tempfile::TempDir;
use tokio::sync::oneshot;
use ureq::http::Response;
use ureq::{Agent, Body};

/// A token that a client made up.
pub(crate) const TOKEN: &str = "a-token-of-thirty-two-characters";

/// One key for all tests of a program: it takes a second to make.
pub(crate) static KEYS: LazyLock<(Arc<SecretKey>, EvaluationKey, Vec<u8>)> = LazyLock::new(|| {
    let secret = SecretKey::generate(&STANDARD);
    let evaluation = EvaluationKey::generate(&secret, |_| ());
    let mut bytes = Vec::new();
    evaluation.write(&mut bytes).expect("a vector takes everything");
    (Arc::new(secret), evaluation, bytes)
});

/// The model that the repository has.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed")
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) store: Option<TempDir>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    /// A server of the committed model that counts no budget, but for what `change` says.
    pub(crate) fn start(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), change)
    }

    /// The same, with a store that is there.
    pub(crate) fn start_in(store: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let place = store.path().to_str().expect("UTF-8").to_owned();
        let mut options = Options::new(vec![committed()], ([127, 0, 0, 1], 0).into(), place);
        options.budget = BudgetRule::None;
        options.threads = 2;
        change(&mut options);
        let (opened, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let server = Server::open(options).await?;
                opened.send(server.address()?).expect("the test waits");
                server.run(stopped).await
            })
        });
        let Ok(address) = address.recv() else {
            panic!(
                "the server did not start: {:?}",
                thread.join().expect("no panic").err().map(|error| error.to_string())
            )
        };
        Self { address, store: Some(store), stop: Mutex::new(Some(stop)), thread: Some(thread) }
    }

    /// An address that nobody listens on.
    pub(crate) fn free_address() -> SocketAddr {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        socket.local_addr().expect("an address")
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> TempDir {
        self.begin_to_stop();
        self.thread.take().expect("it runs").join().expect("no panic").expect("it stops without an error");
        self.store.take().expect("a store")
    }

    /// Tells it to stop.
    pub(crate) fn begin_to_stop(&self) {
        if let Some(stop) = self.stop.lock().expect("unpoisoned").take() {
            let _ = stop.send(());
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request without a body.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        self.send(method, path, headers, &[])
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<Body> {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if matches!(method, "GET" | "DELETE") {
            agent().run(request.body(()).expect("a request"))
        } else {
            agent().run(request.body(body).expect("a request"))
        };
        response.expect("a response")
    }

    /// Registers [`KEYS`].
    pub(crate) fn register(&self, token: &str) -> u16 {
        let (_, evaluation, bytes) = &*KEYS;
        let path = format!("/v1/keys/{}", evaluation.id().hex());
        self.send("PUT", &path, &[("authorization", &bearer(token))], bytes).status().as_u16()
    }

    /// Names the clip of these features.
    pub(crate) fn identify(
        &self,
        model: &Arc<ClientModel>,
        protocol: &str,
        features: &[f32],
    ) -> Result<Answer, (u16, Value)> {
        let (secret, evaluation, _) = &*KEYS;
        let base = format!("/v1/models/composed/protocols/{protocol}");
        let hello = bytes(self.ask("GET", &format!("{base}/hello"), &[]));
        let key = ClientKey::registered(secret.clone(), evaluation.id());
        let mut client = Client::new(model.clone(), key, &hello).expect("a hello for this model");
        let mut message = client.start(features).expect("a query");
        loop {
            let token = bearer(TOKEN);
            let reply = self.send("POST", &format!("{base}/queries"), &[("authorization", &token)], &message.bytes);
            let status = reply.status().as_u16();
            if status != 200 {
                return Err((status, json(reply)));
            }
            match client.receive(&bytes(reply)).expect("a reply") {
                Step::Send(next) => message = next,
                Step::Done(answer) => return Ok(answer),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn bytes(response: Response<Body>) -> Vec<u8> {
    response.into_body().into_with_config().limit(1 << 28).read_to_vec().expect("a body")
}

pub(crate) fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response)).expect("JSON")
}

/// Features that the front end could make, different for every number, and what plain integers make of them.
pub(crate) fn asked(model: &ClientModel, number: u32) -> Vec<f32> {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..model.front().width()).map(|_| next()).collect()
}

/// The answer of plain integers.
pub(crate) fn clear(folder: &Path, protocol: &str, features: &[f32]) -> Answer {
    let (client, server) = load_pair(folder).expect("a model");
    let protocol: Protocol = protocol.parse().expect("a protocol");
    Pair::new(&client, &server).expect("a pair").identify(protocol, features).expect("an answer")
}

pub(crate) fn half() -> Arc<ClientModel> {
    Arc::new(load_pair(&committed()).expect("a model").0)
}
