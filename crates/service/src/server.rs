//! [`Server`]: the library's owner.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sordino_fhe::decision::{self, Shares};
use sordino_fhe::params::ParameterSet;
use sordino_fhe::{FheError, KeyId, Plan, ServerKey};
use sordino_model::cost::WeightForm;
use sordino_model::{Protocol, ServerModel};

use crate::share::only_decided;
use crate::{Hello, ServiceError};

/// A model prepared for one protocol, and the evaluation keys of the clients that need one, each expanded once. It holds no secret of
/// any client and answers any number of them at once.
pub struct Server {
    hello: Hello,
    prepared: sordino_fhe::Server,
    keys: RwLock<HashMap<KeyId, Arc<ServerKey>>>,
    most_keys: usize,
}

/// Evaluation keys that a server holds unless it is told otherwise: 3.4 GB of the standard set.
const MOST_KEYS: usize = 16;

impl Server {
    /// Plans `protocol` for `model` and moves its weights to the Fourier domain.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for scores that no plan can hold, or options that do not fit the model.
    pub fn new(
        model: &ServerModel,
        protocol: Protocol,
        parameters: &'static ParameterSet,
    ) -> Result<Self, ServiceError> {
        Self::holding(model, protocol, parameters, WeightForm::default())
    }

    /// [`Server::new`] with the form in which weights are held.
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub fn holding(
        model: &ServerModel,
        protocol: Protocol,
        parameters: &'static ParameterSet,
        form: WeightForm,
    ) -> Result<Self, ServiceError> {
        let hierarchy = model.stages_for(protocol);
        let plan = Plan::new(parameters, protocol, hierarchy)?;
        let hello = Hello::new(protocol, model.hash(), plan.clone());
        let prepared = sordino_fhe::Server::holding(model.hash(), hierarchy, plan, form)?;
        Ok(Self::with(hello, prepared))
    }

    /// The same where workers hold the last stage, which [`crate::Worker`] is one of. Clients see no difference.
    ///
    /// # Errors
    /// Those of [`Server::new`], and [`FheError::Share`] for a protocol in which the client decides.
    pub fn coordinating(
        model: &ServerModel,
        protocol: Protocol,
        parameters: &'static ParameterSet,
        form: WeightForm,
        shares: Arc<dyn Shares>,
    ) -> Result<Self, ServiceError> {
        let hierarchy = model.stages_for(protocol);
        let Plan::Decision(plan) = Plan::new(parameters, protocol, hierarchy)? else {
            return Err(only_decided(protocol));
        };
        let hello = Hello::new(protocol, model.hash(), Plan::Decision(plan.clone()));
        let prepared = decision::Server::coordinating(model.hash(), hierarchy, plan, form, shares)?;
        Ok(Self::with(hello, sordino_fhe::Server::Decision(prepared)))
    }

    fn with(hello: Hello, prepared: sordino_fhe::Server) -> Self {
        Self { hello, prepared, keys: RwLock::default(), most_keys: MOST_KEYS }
    }

    /// The same, holding at most so many evaluation keys.
    #[must_use]
    pub fn with_most_keys(self, most_keys: usize) -> Self {
        Self { most_keys, ..self }
    }

    /// What every client needs once, as a message: [`Hello`].
    pub fn hello(&self) -> Vec<u8> {
        self.hello.to_bytes()
    }

    /// The protocol that it speaks.
    pub fn protocol(&self) -> Protocol {
        self.hello.protocol
    }

    /// The public plan.
    pub fn plan(&self) -> &Plan {
        &self.hello.plan
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.prepared.weight_bytes()
    }

    /// Keeps a client's evaluation key, expanded, for its queries, and returns its name. Only `decided` needs one. The name is the
    /// key's hash: nobody can replace another's key.
    ///
    /// # Errors
    /// [`ServiceError::TooManyKeys`].
    pub fn register(&self, key: ServerKey) -> Result<KeyId, ServiceError> {
        let id = key.id();
        // A poisoned lock means that another registration panicked; the map itself is still good.
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= self.most_keys && !keys.contains_key(&id) {
            return Err(ServiceError::TooManyKeys { limit: self.most_keys });
        }
        keys.insert(id, Arc::new(key));
        Ok(id)
    }

    /// Drops the evaluation key of a client that has no more queries.
    pub fn forget(&self, key: KeyId) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Answers one query message, which names its trip and, where it needs one, its evaluation key.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for anything that is no query for this model, [`FheError::NoEvaluationKey`] among them for a client that
    /// has not registered one.
    pub fn answer(&self, query: &[u8]) -> Result<Vec<u8>, ServiceError> {
        let key = match self.key_of(query)? {
            None => None,
            Some(id) => {
                let key = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
                Some(key.ok_or(FheError::NoEvaluationKey)?)
            }
        };
        self.answer_under(key.as_deref(), query, &|| true)
    }

    /// The evaluation key that a query asks for; `None` where it needs none. For whoever keeps keys elsewhere than here.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for anything that is no query for this model.
    pub fn key_of(&self, query: &[u8]) -> Result<Option<KeyId>, ServiceError> {
        Ok(self.prepared.key_of(query)?)
    }

    /// Answers one query message under the key that [`Server::key_of`] names, as long as `wanted` says so. Runs on the rayon pool it is
    /// called in.
    ///
    /// # Errors
    /// As [`Server::answer`], and [`FheError::Stopped`] where `wanted` said no.
    pub fn answer_under(
        &self,
        key: Option<&ServerKey>,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, ServiceError> {
        Ok(self.prepared.answer_while(key, query, wanted)?)
    }
}
