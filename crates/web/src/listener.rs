//! [`Listener`]: who asks, in a browser.

use serde::Serialize;
use sordino_fhe::{ClientKey, KeyId};
use sordino_model::{ClientModel, Decider, Evidence, Label, ModelHash, Protocol, Verdict};
use sordino_service::{Answer, Client};
use wasm_bindgen::prelude::*;

use crate::{Key, Model, sentence};

/// Tracks of an answer that are handed to the page.
const SHOWN: usize = 5;

/// A client of one model and protocol.
#[wasm_bindgen]
pub struct Listener {
    client: Client,
}

/// What follows a reply: another message for the server, or the answer.
#[wasm_bindgen(getter_with_clone)]
pub struct Step {
    /// The next message, if another trip follows.
    pub message: Option<Vec<u8>>,
    /// The answer as JSON: `{"known", "shade": "named", "probably" or "unknown", "wrong", "matches": [{"label", "track_id", "artist",
    /// "title", "album", "score", "from_seconds", "to_seconds", "copies": [{"track_id", "artist", "title", "album", "licence"}]}], "evidence": {"measure": "lead" or "score", "found",
    /// "above"}}`, the best first; what the client cannot see or the model does not say is null or missing. It must not travel to the
    /// server, nor anything that follows from it.
    pub answer: Option<String>,
}

#[derive(Serialize)]
struct Found<'a> {
    known: bool,
    #[serde(flatten)]
    verdict: Verdict,
    matches: Vec<Named<'a>>,
    /// Where the client decides.
    evidence: Option<Evidence>,
}

#[derive(Serialize)]
struct Named<'a> {
    label: usize,
    track_id: u32,
    artist: &'a str,
    title: &'a str,
    album: &'a str,
    /// Where the client sees it.
    score: Option<i64>,
    /// Where in the track, if the model says.
    from_seconds: Option<f64>,
    to_seconds: Option<f64>,
    /// Other tracks of the same recording.
    copies: Vec<&'a Label>,
}

#[wasm_bindgen]
impl Listener {
    /// A client with its half of the model, its key, and the hello of the server. `evaluation` is the name under which the server keeps
    /// the evaluation key, where it decides.
    ///
    /// # Errors
    /// For a name that is none, and a hello that cannot be read or does not fit the model or the key.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &Model, key: &Key, evaluation: Option<String>, hello: &[u8]) -> Result<Self, JsError> {
        let key = match evaluation {
            Some(name) => {
                let hash: ModelHash = name.parse().map_err(|error| sentence(&error))?;
                ClientKey::registered(key.secret.clone(), KeyId(hash.0))
            }
            None => key.secret.clone().into(),
        };
        let client = Client::new(model.half.clone(), key, hello).map_err(|error| sentence(&error))?;
        Ok(Self { client })
    }

    /// Whether the server decides, for which it needs an evaluation key.
    #[wasm_bindgen(getter, js_name = serverDecides)]
    pub fn server_decides(&self) -> bool {
        self.client.protocol().decider() == Decider::Server
    }

    /// Starts a query about features: the first message. A query that waits for a reply is given up.
    ///
    /// # Errors
    /// For features that do not fit the model.
    pub fn start(&mut self, features: &[f32]) -> Result<Vec<u8>, JsError> {
        Ok(self.client.start(features).map_err(|error| sentence(&error))?.bytes)
    }

    /// Takes the reply to the last message. A reply that is refused leaves the query waiting.
    ///
    /// # Errors
    /// For anything but a reply to that message.
    pub fn receive(&mut self, reply: &[u8]) -> Result<Step, JsError> {
        match self.client.receive(reply).map_err(|error| sentence(&error))? {
            sordino_service::Step::Send(message) => Ok(Step { message: Some(message.bytes), answer: None }),
            sordino_service::Step::Done(answer) => {
                let answer =
                    json(self.client.model(), self.client.protocol(), &answer).map_err(|error| sentence(&error))?;
                Ok(Step { message: None, answer: Some(answer) })
            }
        }
    }
}

/// What a page shows of an answer.
fn json(model: &ClientModel, protocol: Protocol, answer: &Answer) -> serde_json::Result<String> {
    let matches = answer.matches.iter().take(SHOWN).map(|found| {
        let label = &model.labels()[found.label];
        let passage = model.passage(found);
        Named {
            label: found.label,
            track_id: label.track_id,
            artist: &label.artist,
            title: &label.title,
            album: &label.album,
            score: found.score,
            from_seconds: passage.as_ref().map(|passage| passage.start.as_secs_f64()),
            to_seconds: passage.map(|passage| passage.end.as_secs_f64()),
            copies: model.copies(found.label).map(|copy| &model.labels()[copy]).collect(),
        }
    });
    let verdict = model.verdict(protocol, answer);
    serde_json::to_string(&Found {
        known: answer.known,
        verdict,
        matches: matches.collect(),
        evidence: answer.evidence,
    })
}
