//! [`Session`]: one client of one server, in one protocol.

use std::sync::Arc;

use sordino_fhe::ClientKey;
use sordino_model::{ClientModel, Decider, Protocol};
use sordino_service::{Client, Exchange, Hello, ServiceError, exchange};
use ureq::http::Method;

use crate::line::{Ask, Line};
use crate::{ModelOffer, RemoteError};

/// A client that asks one server in one protocol.
pub struct Session {
    line: Arc<Line>,
    model: String,
    protocol: String,
    client: Client,
    /// Bytes of the longest reply, by the plan.
    longest: u64,
}

impl Session {
    pub(crate) fn new(
        line: Arc<Line>,
        offer: &ModelOffer,
        protocol: &str,
        model: Arc<ClientModel>,
        key: ClientKey,
        hello: &[u8],
    ) -> Result<Self, RemoteError> {
        let said = Hello::from_bytes(hello)?;
        if said.protocol.name() != protocol {
            let (server, what) = (line.address.to_string(), "the hello");
            return Err(RemoteError::Unexpected { server, what, found: format!("one of {}", said.protocol) });
        }
        if said.model != offer.hash {
            let reason = format!("its hello is of the model {}, expected {}", said.model, offer.hash);
            return Err(RemoteError::ModelChanged { server: line.address.to_string(), reason });
        }
        let client = Client::new(model, key, hello)?;
        let shape = client.model().stages_for(said.protocol).shape();
        let costs = said.plan.costs(shape).map_err(ServiceError::from)?;
        let longest = costs.iter().map(|cost| cost.bytes_down as u64).max().unwrap_or_default();
        Ok(Self { line, model: offer.name.clone(), protocol: protocol.into(), client, longest })
    }

    /// The client's half of the model.
    pub fn model(&self) -> &ClientModel {
        self.client.model()
    }

    /// The protocol, with the options that the server has chosen.
    pub fn protocol(&self) -> Protocol {
        self.client.protocol()
    }

    /// From the next query on, lets such a share of unknown songs pass for known: [`Client::accept`].
    ///
    /// # Errors
    /// [`RemoteError`] for a model that does not say how far unknown songs reach.
    pub fn accept(&mut self, share: f32) -> Result<(), RemoteError> {
        Ok(self.client.accept(share)?)
    }

    /// Names the clip that `features` describe: base features, as the front end makes them.
    ///
    /// # Errors
    /// [`RemoteError::ModelChanged`] or [`RemoteError::KeyMissing`] where something has to be done before the clip is asked for anew;
    /// any other [`RemoteError`].
    pub fn identify(&mut self, features: &[f32]) -> Result<Exchange, RemoteError> {
        let Self { line, model, protocol, client, longest } = self;
        let owned = client.protocol().decider() == Decider::Server;
        // What went wrong on the line, which says more than the client can pass on.
        let mut failure = None;
        let mut carry = |message: &[u8]| {
            let parts = ["v1", "models", model, "protocols", protocol, "queries"];
            let ask = Ask::new("the query", Method::POST, &parts, *longest);
            line.ask(Ask { body: Some(message), owned, ..ask }).map_err(|error| {
                let reason = error.to_string();
                failure = Some(error);
                ServiceError::Transport { reason }
            })
        };
        let done = exchange(client, features, &mut carry);
        done.map_err(|error| failure.unwrap_or(error.into()))
    }
}
