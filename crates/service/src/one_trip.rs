//! The protocol in which the server decides, encrypted: one message each way, and an evaluation key sent once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use sordino_fhe::params::ParameterSet;
use sordino_fhe::{KeyId, OneTripClient, OneTripOptions, OneTripPlan, OneTripServer, SecretKey, ServerKey};
use sordino_model::{ClientModel, ServerModel};

use crate::{Carried, ServiceError, Trip};

/// A model prepared for the protocol, and the evaluation keys of its clients, each expanded once.
pub struct Server {
    prepared: OneTripServer,
    keys: RwLock<HashMap<KeyId, Arc<ServerKey>>>,
}

impl Server {
    /// Plans the protocol for `model` and moves its weights to the Fourier domain.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for scores that noise would drown, or options that do not fit the model.
    pub fn new(
        model: &ServerModel,
        options: OneTripOptions,
        parameters: &'static ParameterSet,
    ) -> Result<Self, ServiceError> {
        let hierarchy = model.hierarchy();
        let plan = OneTripPlan::new(parameters, hierarchy, options)?;
        Ok(Self { prepared: OneTripServer::new(model.hash(), hierarchy, plan)?, keys: RwLock::default() })
    }

    /// The public plan as a message, which every client needs once.
    pub fn plan(&self) -> Vec<u8> {
        self.prepared.plan().to_bytes()
    }

    /// Keeps a client's evaluation key, expanded, for its queries.
    pub fn register(&self, key: ServerKey) {
        // A poisoned lock means that another registration panicked; the map itself is still good.
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(key.id(), Arc::new(key));
    }

    /// Drops the evaluation key of a client that has no more queries.
    pub fn forget(&self, key: KeyId) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Answers one query message.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for anything that is no query for this model, [`ServiceError::NoEvaluationKey`] for a client that
    /// has not registered one.
    pub fn answer(&self, query: &[u8]) -> Result<Vec<u8>, ServiceError> {
        let id = self.prepared.key_of(query)?;
        let key = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let key = key.ok_or(ServiceError::NoEvaluationKey)?;
        Ok(self.prepared.answer(&key, query)?)
    }
}

/// A client of one server.
pub struct Client<'a> {
    model: &'a ClientModel,
    encryptor: OneTripClient<'a>,
}

/// An answer and what it took. It must not travel back to the server, nor anything that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Labels of the tracks that the server found, the best first; none for an unknown song.
    pub labels: Vec<usize>,
    /// The trip.
    pub trip: Trip,
}

impl<'a> Client<'a> {
    /// A client with its half of the model, its key, and the plan that the server handed out.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for a plan that cannot be read, or fits neither the key nor the model.
    pub fn new(model: &'a ClientModel, key: &'a SecretKey, plan: &[u8]) -> Result<Self, ServiceError> {
        let plan = OneTripPlan::from_bytes(plan)?;
        let shape = model.hierarchy().shape();
        Ok(Self { model, encryptor: OneTripClient::new(key, plan, model.server_hash(), shape)? })
    }

    /// Names the clip that `features` describes. `ask(query)` carries a message to the server and returns its reply.
    ///
    /// # Errors
    /// [`ServiceError`]: what `ask` returns, or a refused message.
    pub fn identify(
        &mut self,
        features: &[f32],
        ask: &mut dyn FnMut(&[u8]) -> Carried,
    ) -> Result<Verdict, ServiceError> {
        let outline = self.model.hierarchy();
        let start = Instant::now();
        let query = self.encryptor.query(&self.model.inputs(features)?)?;
        let encrypt = start.elapsed();
        let start = Instant::now();
        let reply = ask(&query)?;
        let wait = start.elapsed();
        let start = Instant::now();
        let answers = self.encryptor.answers(&reply)?;
        let mut labels = Vec::with_capacity(answers.len());
        for label in answers.into_iter().flatten().filter_map(|path| outline.label_at(path)) {
            // A track that lives in several clusters is named once.
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let trip = Trip { up: query.len(), down: reply.len(), encrypt, wait, decrypt: start.elapsed() };
        Ok(Verdict { labels, trip })
    }
}
