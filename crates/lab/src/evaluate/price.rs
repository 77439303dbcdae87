//! What a query costs in every protocol, before anyone pays for it.

use sordino_fhe::{EvaluationKey, OneTripOptions, OneTripPlan, Plan, PlannerOptions, params};
use sordino_model::{Hierarchy, Protocol, ServerModel};

use crate::LabError;
use crate::evaluate::row::Price;

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
    let trips = (0..plan.trips().len()).map(|trip| plan.cost(trip, hierarchy.shape()));
    let trips = trips.collect::<Result<Vec<_>, _>>()?;
    let (client_learns, probes) = match protocol {
        Protocol::Flat => ("every track's score", 1),
        Protocol::Trips { probes } => {
            ("every cluster's score, and the scores of the tracks in the clusters it picked", probes)
        }
    };
    let (rotations, rotations_in_a_row) = decided(hierarchy, probes).unzip();
    Ok(Price {
        bytes_up: Some(trips.iter().map(|trip| trip.bytes_up).sum()),
        bytes_down: Some(trips.iter().map(|trip| trip.bytes_down).sum()),
        rotations,
        rotations_in_a_row,
        server_learns: SERVER_LEARNS.into(),
        client_learns: client_learns.into(),
        ..Price::default()
    })
}

/// The price of a query where the server decides.
pub(crate) fn one_trip(server: &ServerModel, options: OneTripOptions) -> Price {
    let (rotations, rotations_in_a_row) = decided(server.hierarchy(), options.probes).unzip();
    Price {
        rotations,
        rotations_in_a_row,
        key_bytes: Some(EvaluationKey::wire_bytes(&params::STANDARD)),
        server_learns: SERVER_LEARNS.into(),
        client_learns: "nothing".into(),
        ..Price::default()
    }
}

/// Blind rotations, and how many of them follow one another, were the server to decide the same, encrypted; nothing where its
/// scores are too close together for that.
fn decided(hierarchy: &Hierarchy, probes: usize) -> Option<(usize, usize)> {
    let options = OneTripOptions { probes, ..OneTripOptions::default() };
    let plan = OneTripPlan::new(&params::STANDARD, hierarchy, options).ok()?;
    let cost = plan.cost(hierarchy.shape()).ok()?;
    Some((cost.decisions.rotations(), cost.rotations_in_a_row))
}

/// What the server learns in every protocol.
pub(crate) const SERVER_LEARNS: &str = "that a query was made, its size and time";
