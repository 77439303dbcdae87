//! What a query costs in every protocol, before anyone pays for it.

use sordino_fhe::{OneTripOptions, OneTripPlan, Plan, PlannerOptions, params};
use sordino_model::{Hierarchy, Protocol, ServerModel};

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
    let (client_learns, probes) = match protocol {
        Protocol::Flat => ("every track's score", 1),
        Protocol::Trips { probes } => {
            ("every cluster's score, and the scores of the tracks in the clusters it picked", probes)
        }
    };
    let (rotations, rotations_in_a_row) = decided(hierarchy, probes).unzip();
    Ok(Price {
        bytes_up: Some(up),
        bytes_down: Some(down),
        rotations,
        rotations_in_a_row,
        server_learns: SERVER_LEARNS.into(),
        client_learns: client_learns.into(),
        ..Price::default()
    })
}

/// Blind rotations, and how many of them follow one another, were the server to decide the same, encrypted; nothing where its
/// scores are too close together for that.
fn decided(hierarchy: &Hierarchy, probes: usize) -> Option<(usize, usize)> {
    let options = OneTripOptions { probes, ..OneTripOptions::default() };
    let plan = OneTripPlan::new(&params::STANDARD, hierarchy, options).ok()?;
    let cost = plan.cost(hierarchy.shape()).ok()?;
    Some((cost.decisions.rotations(), cost.depth))
}

/// What the server learns in every protocol.
pub(crate) const SERVER_LEARNS: &str = "that a query was made, its size and time";
