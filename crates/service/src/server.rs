//! [`Server`]: the library's owner.

use sordino_fhe::params::ParameterSet;
use sordino_fhe::{Plan, PlannerOptions, PreparedModel};
use sordino_model::{Protocol, ServerModel};

use crate::ServiceError;

/// A model prepared for one protocol. It holds no secret of any client and answers any number of them.
pub struct Server {
    prepared: PreparedModel,
}

impl Server {
    /// Plans the protocol for `model` and moves its weights to the Fourier domain.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for scores that no plan can hold.
    pub fn new(
        model: &ServerModel,
        protocol: Protocol,
        parameters: &'static ParameterSet,
    ) -> Result<Self, ServiceError> {
        let options = PlannerOptions::default();
        let (hierarchy, plan) = match protocol {
            Protocol::Flat => (model.flat(), Plan::flat(parameters, model.flat(), options)?),
            Protocol::Trips { probes } => {
                (model.hierarchy(), Plan::trip_per_stage(parameters, model.hierarchy(), probes, options)?)
            }
        };
        Ok(Self { prepared: PreparedModel::new(model.hash(), hierarchy, plan)? })
    }

    /// The public plan as a message, which every client needs once.
    pub fn plan(&self) -> Vec<u8> {
        self.prepared.plan().to_bytes()
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.prepared.weight_bytes()
    }

    /// Answers one query message.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for anything that is no query of this trip for this model.
    pub fn answer(&self, trip: usize, query: &[u8]) -> Result<Vec<u8>, ServiceError> {
        Ok(self.prepared.answer(trip, query)?)
    }
}
