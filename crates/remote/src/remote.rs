//! [`Remote`]: a server at the other end of a network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sordino_fhe::{ClientKey, EvaluationKey, KeyId};
use sordino_model::ClientModel;
use ureq::http::Method;

use crate::error::shown;
use crate::halves::{self, Halves};
use crate::line::{Ask, Line};
use crate::offer::Offers;
use crate::{Address, ModelOffer, RemoteError, Session, Token, places};

/// Most bytes of a list of models, or of keys.
const MOST_LIST: u64 = 16 << 20;
/// Most bytes of what is said of one key.
const MOST_ENTRY: u64 = 64 << 10;
/// Most bytes of a hello: [`sordino_service::Hello`] refuses longer ones.
pub(crate) const MOST_HELLO: u64 = 32 << 10;

/// How a server is spoken to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the server knows the client by. Everything about keys needs one, and so does `decided`. One that was made up here is shown
    /// for nothing else.
    pub token: Option<Token>,
    /// A PEM file of the certificates to trust, and no others. Without one, those that browsers trust.
    pub certificates: Option<PathBuf>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// The folder in which client halves are kept; without one they are fetched each time.
    pub cache: Option<PathBuf>,
}

impl Default for Options {
    /// No token, the usual certificates and times, and the user's cache.
    fn default() -> Self {
        let cache = places::cache().map(|cache| cache.join("models"));
        Self { token: None, certificates: None, timeouts: Timeouts::default(), cache }
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer, once a request was sent: for `decided`, the server's work and its queue.
    pub answer: Duration,
    /// Fewest bytes a second that bodies may take their way at.
    pub least_rate: u64,
    /// How long a request may be repeated for. An answer that asks for a longer wait is an error at once.
    pub patience: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [connect, answer, patience] = [10, 180, 60].map(Duration::from_secs);
        Self { connect, answer, least_rate: 8 << 10, patience }
    }
}

impl Timeouts {
    /// For a body of so many bytes.
    pub(crate) fn transfer(&self, bytes: u64) -> Duration {
        self.connect + Duration::from_secs(bytes / self.least_rate.max(1))
    }
}

/// An evaluation key that a server holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Registration {
    /// The key's name, [`KeyId::hex`].
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When the server forgets it, in seconds since 1970.
    #[serde(default)]
    pub expires: Option<u64>,
}

#[derive(Deserialize)]
struct Registrations {
    keys: Vec<Registration>,
}

/// A server at the other end of a network.
pub struct Remote {
    line: Arc<Line>,
    halves: Halves,
}

impl Remote {
    /// Gets ready to speak to a server. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RemoteError::File`] or [`RemoteError::Certificates`] for certificates that cannot be read.
    pub fn connect(address: Address, options: Options) -> Result<Self, RemoteError> {
        let halves = Halves::new(options.cache.clone());
        Ok(Self { line: Arc::new(Line::new(address, options)?), halves })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.line.address
    }

    /// The models that it answers for.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn models(&self) -> Result<Vec<ModelOffer>, RemoteError> {
        let what = "the list of models";
        let offers: Offers = self.json(Ask::new(what, Method::GET, &["v1", "models"], MOST_LIST))?;
        Ok(offers.models)
    }

    /// The model of a name; without one, the only model that there is.
    ///
    /// # Errors
    /// [`RemoteError::NoModel`] where none has the name, [`RemoteError::WhichModel`] where none was named of several.
    pub fn model(&self, name: Option<&str>) -> Result<ModelOffer, RemoteError> {
        let mut models = self.models()?;
        let place = match name {
            Some(name) => models.iter().position(|model| model.name == name),
            None => (models.len() == 1).then_some(0),
        };
        let names: Vec<String> = models.iter().map(|model| shown(&model.name)).collect();
        let known = if names.is_empty() { "none".into() } else { names.join(", ") };
        let place = place.ok_or_else(|| match name {
            Some(name) => RemoteError::NoModel { found: name.into(), known },
            None => RemoteError::WhichModel { known },
        })?;
        Ok(models.swap_remove(place))
    }

    /// The client half of a model: from the cache, where it is there and whole, or else fetched and kept.
    ///
    /// # Errors
    /// [`RemoteError::OtherHash`] or [`RemoteError::Model`] for anything but the half that the offer names.
    pub fn client_half(&self, offer: &ModelOffer) -> Result<ClientModel, RemoteError> {
        if let Some(model) = self.halves.get(offer) {
            return Ok(model);
        }
        let limit = offer.client.bytes.min(halves::MOST_BYTES);
        let parts = ["v1", "models", &offer.name, "client"];
        let ask = Ask::new("the client half of the model", Method::GET, &parts, limit);
        let bytes = self.line.ask(Ask { query: format!("?hash={}", offer.client.hash), ..ask })?;
        let model = halves::checked(&bytes, offer)?;
        // A cache that cannot be written to costs time and nothing else.
        let _ = self.halves.keep(&bytes, offer.client.hash);
        Ok(model)
    }

    /// The hello of a model and a protocol, as it came.
    ///
    /// # Errors
    /// [`RemoteError::NoProtocol`] for one that the server does not speak.
    pub fn hello(&self, offer: &ModelOffer, protocol: &str) -> Result<Vec<u8>, RemoteError> {
        if offer.protocol(protocol).is_none() {
            let known: Vec<String> = offer.protocols.iter().map(|protocol| shown(&protocol.name)).collect();
            let (found, model, known) = (protocol.into(), shown(&offer.name), known.join(", "));
            return Err(RemoteError::NoProtocol { found, model, known });
        }
        let parts = ["v1", "models", &offer.name, "protocols", protocol, "hello"];
        self.line.ask(Ask::new("the hello", Method::GET, &parts, MOST_HELLO))
    }

    /// A client of a model in a protocol, ready to ask. It outlives this.
    ///
    /// # Errors
    /// [`RemoteError::ModelChanged`] where the server holds another version by now; [`RemoteError::Service`] for a hello that
    /// fits neither model nor key.
    pub fn session(
        &self,
        offer: &ModelOffer,
        protocol: &str,
        model: impl Into<Arc<ClientModel>>,
        key: impl Into<ClientKey>,
    ) -> Result<Session, RemoteError> {
        let hello = self.hello(offer, protocol)?;
        Session::new(self.line.clone(), offer, protocol, model.into(), key.into(), &hello)
    }

    /// Gives the server an evaluation key, unless it has it. `progress` is told the bytes that were sent, of
    /// [`EvaluationKey::wire_bytes`]; it is not called where nothing has to be sent.
    ///
    /// # Errors
    /// [`RemoteError::NoToken`], or [`RemoteError::Refused`] such as for a quota.
    pub fn register(&self, key: &EvaluationKey, progress: &mut dyn FnMut(u64)) -> Result<Registration, RemoteError> {
        if let Some(found) = self.registration(key.id())? {
            return Ok(found);
        }
        let mut bytes = Vec::with_capacity(EvaluationKey::wire_bytes(key.parameters()));
        key.write(&mut bytes).map_err(RemoteError::file("write", "memory".as_ref()))?;
        let (name, what) = (key.id().hex(), "the evaluation key");
        let parts = ["v1", "keys", &name];
        let ask = Ask::new(what, Method::PUT, &parts, MOST_ENTRY);
        let found: Registration =
            self.json(Ask { body: Some(&bytes), progress: Some(progress), owned: true, ..ask })?;
        if found.key != name {
            return Err(RemoteError::OtherHash { what, found: shown(&found.key), expected: name });
        }
        Ok(found)
    }

    /// The evaluation key of a name, if the server holds it for this token.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn registration(&self, key: KeyId) -> Result<Option<Registration>, RemoteError> {
        let name = key.hex();
        let parts = ["v1", "keys", &name];
        let ask = Ask::new("the state of the evaluation key", Method::GET, &parts, MOST_ENTRY);
        match self.json(Ask { owned: true, ..ask }) {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The evaluation keys that the server holds for this token.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn registrations(&self) -> Result<Vec<Registration>, RemoteError> {
        let ask = Ask::new("the list of evaluation keys", Method::GET, &["v1", "keys"], MOST_LIST);
        let found: Registrations = self.json(Ask { owned: true, ..ask })?;
        Ok(found.keys)
    }

    /// Has the server forget an evaluation key. One that it does not hold is forgotten.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn forget(&self, key: KeyId) -> Result<(), RemoteError> {
        let name = key.hex();
        match self.delete(&["v1", "keys", &name]) {
            Err(error) if is_missing(&error) => Ok(()),
            done => done,
        }
    }

    /// Has the server forget everything that belongs to this token.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn forget_all(&self) -> Result<(), RemoteError> {
        self.delete(&["v1", "keys"])
    }

    fn delete(&self, parts: &[&str]) -> Result<(), RemoteError> {
        let ask = Ask::new("to forget", Method::DELETE, parts, MOST_ENTRY);
        self.line.ask(Ask { owned: true, ..ask }).map(drop)
    }

    fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, RemoteError> {
        let what = ask.what;
        let body = self.line.ask(ask)?;
        serde_json::from_slice(&body).map_err(|error| RemoteError::Unexpected {
            server: self.address().to_string(),
            what,
            found: shown(&error.to_string()),
        })
    }
}

/// Whether the server says that it holds no such key.
fn is_missing(error: &RemoteError) -> bool {
    match error {
        RemoteError::KeyMissing { .. } => true,
        RemoteError::Refused { problem, .. } => problem.status == 404,
        _ => false,
    }
}
