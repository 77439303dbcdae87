//! What a query costs in every protocol, before anyone pays for it.

use sordino_fhe::{Plan, PlannerOptions, params};
use sordino_model::{Protocol, ServerModel};

use crate::LabError;
use crate::row::Price;

/// The price of a query in a protocol where the client decides.
pub(crate) fn of(server: &ServerModel, protocol: Protocol) -> Result<Price, LabError> {
    let options = PlannerOptions::default();
    let (hierarchy, plan) = match protocol {
        Protocol::Flat => (server.flat(), Plan::flat(&params::STANDARD, server.flat(), options)?),
        Protocol::Trips { probes } => {
            let hierarchy = server.hierarchy();
            (hierarchy, Plan::trip_per_stage(&params::STANDARD, hierarchy, probes, options)?)
        }
    };
    let (mut up, mut down) = (0, 0);
    for trip in 0..plan.trips().len() {
        let cost = plan.cost(trip, hierarchy.shape())?;
        (up, down) = (up + cost.bytes_up, down + cost.bytes_down);
    }
    let client_learns = match protocol {
        Protocol::Flat => "every track's score",
        Protocol::Trips { .. } => "every cluster's score, and the scores of the tracks in the clusters it picked",
    };
    Ok(Price {
        bytes_up: Some(up),
        bytes_down: Some(down),
        rotations: Some(0),
        rotations_in_a_row: Some(0),
        server_learns: SERVER_LEARNS.into(),
        client_learns: client_learns.into(),
        ..Price::default()
    })
}

/// What the server learns in every protocol.
pub(crate) const SERVER_LEARNS: &str = "that a query was made, its size and time";
