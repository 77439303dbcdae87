//! What a query costs in every protocol, before anyone pays for it.

use sordino_fhe::{EvaluationKey, Plan, params};
use sordino_model::{Decider, Protocol, Resolution, Routing, ServerModel};

use crate::LabError;
use crate::evaluate::Cost;

/// The cost of a query.
pub(crate) fn of(server: &ServerModel, protocol: Protocol) -> Result<Cost, LabError> {
    let hierarchy = server.stages_for(protocol);
    let learns = protocol.learns();
    let (rotations, rotations_in_a_row) = decisions(server, protocol).unzip();
    let mut cost = Cost {
        rotations,
        rotations_in_a_row,
        server_learns: learns.server.into(),
        client_learns: learns.client.into(),
        ..Cost::default()
    };
    match protocol.decider() {
        Decider::Client => {
            let trips = Plan::new(&params::STANDARD, protocol, hierarchy)?.costs(hierarchy.shape())?;
            cost.bytes_up = Some(trips.iter().map(|trip| trip.bytes_up).sum());
            cost.bytes_down = Some(trips.iter().map(|trip| trip.bytes_down).sum());
        }
        Decider::Server => cost.key_bytes = EvaluationKey::bytes_for(protocol, &params::STANDARD),
    }
    Ok(cost)
}

/// Blind rotations, and how many of them follow one another, were the server to decide the same, encrypted; nothing where its
/// scores are too close together for that.
fn decisions(server: &ServerModel, protocol: Protocol) -> Option<(usize, usize)> {
    let hierarchy = server.stages_for(protocol);
    let (probes, resolution) = (protocol.probes().max(1), Resolution::Standard);
    let decided = match protocol.routing() {
        _ if protocol == Protocol::Raw => protocol,
        Routing::Public => Protocol::PickedDecided { probes, answers: 1, resolution },
        _ => Protocol::Decided { probes, answers: 1, resolution },
    };
    let costs = Plan::new(&params::STANDARD, decided, hierarchy).ok()?.costs(hierarchy.shape()).ok()?;
    let cost = costs.first()?;
    Some((cost.decisions.rotations(), cost.rotations_in_a_row))
}
