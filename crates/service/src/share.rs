//! [`Worker`]: a share of a model's last stage, for a server whose weights are spread over several machines.

use sordino_fhe::Plan;
use sordino_fhe::decision::{Share, ShareServer};
use sordino_fhe::params::ParameterSet;
use sordino_model::cost::WeightForm;
use sordino_model::{Protocol, ServerModel};

use crate::ServiceError;

/// A share of a model, prepared for one protocol in which the server decides. It answers the requests of a coordinator,
/// [`crate::Server::coordinating`], and holds no key of any client.
pub struct Worker {
    protocol: Protocol,
    prepared: ShareServer,
}

impl Worker {
    /// Plans `protocol` for `model`, as the coordinator does, and prepares the weights of a share.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] as for a server, and for a protocol in which the client decides.
    pub fn new(
        model: &ServerModel,
        protocol: Protocol,
        parameters: &'static ParameterSet,
        share: Share,
        form: WeightForm,
    ) -> Result<Self, ServiceError> {
        let hierarchy = model.stages_for(protocol);
        let Plan::Decision(plan) = Plan::new(parameters, protocol, hierarchy)? else {
            return Err(only_decided(protocol));
        };
        Ok(Self { protocol, prepared: ShareServer::new(model.hash(), hierarchy, plan, share, form)? })
    }

    /// The protocol that it is for.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Which share it is.
    pub fn share(&self) -> Share {
        self.prepared.share()
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.prepared.weight_bytes()
    }

    /// Bytes of a request.
    pub fn request_len(&self) -> usize {
        self.prepared.request_len()
    }

    /// Answers a request of a coordinator. Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for anything that is no request for this model under this plan.
    pub fn answer(&self, request: &[u8]) -> Result<Vec<u8>, ServiceError> {
        Ok(self.prepared.answer(request)?)
    }
}

/// Why a protocol has no shares.
pub(crate) fn only_decided(protocol: Protocol) -> ServiceError {
    let what = format!("{} returns scores; expected a protocol in which the server decides", protocol.name());
    sordino_fhe::FheError::Share { what }.into()
}
