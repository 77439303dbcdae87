//! `sordino inspect`: what is proven of a model and what it will cost, before any cryptography.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sordino_fhe::{EvaluationKey, OneTripOptions, OneTripPlan, Plan, PlannerOptions, params};
use sordino_model::{CostReport, Hierarchy, MAX_SCORE, Protocol, load_server};

use crate::report;

/// Print a model's proven ranges and its cost in every protocol, before anyone pays for them.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino inspect models/mine --probes 2 --json")]
pub(crate) struct Inspect {
    /// Model folder.
    model: PathBuf,
    /// Clusters that the client asks for, in two-trip.
    #[arg(long, default_value_t = 2, value_name = "M")]
    probes: usize,
}

#[derive(Serialize)]
struct Outcome {
    name: String,
    hash: String,
    largest_score_allowed: u64,
    stages: Vec<StageOutcome>,
    protocols: Vec<ProtocolOutcome>,
    one_trip: OneTripOutcome,
}

#[derive(Serialize)]
struct OneTripOutcome {
    failure_log2: f64,
    /// Per stage, by how many score units the winner must lead to be certain.
    margins: Vec<f64>,
    /// The same as a fraction of the largest difference of two scores.
    relative_margins: Vec<f64>,
    threshold_margin: f64,
    bytes_up: usize,
    bytes_down: usize,
    evaluation_key_bytes: usize,
    cost: String,
}

#[derive(Serialize)]
struct StageOutcome {
    groups: usize,
    slots: usize,
    used: usize,
    width: usize,
    largest_score: u64,
}

#[derive(Serialize)]
struct ProtocolOutcome {
    protocol: &'static str,
    failure_log2: f64,
    trips: Vec<CostReport>,
    bytes_up: usize,
    bytes_down: usize,
    features_per_ciphertext: Vec<usize>,
}

impl Inspect {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let server = load_server(&self.model)?;
        let flat = protocol("flat", server.flat(), Protocol::Flat)?;
        let trips = protocol("two-trip", server.hierarchy(), Protocol::Trips { probes: self.probes })?;
        let stages = server.hierarchy().stages().iter().map(|stage| StageOutcome {
            groups: stage.groups(),
            slots: stage.outputs(),
            used: stage.shape().used(),
            width: stage.input().width,
            largest_score: stage.score_bound(),
        });
        let outcome = Outcome {
            name: server.name().into(),
            hash: server.hash().to_string(),
            largest_score_allowed: MAX_SCORE,
            stages: stages.collect(),
            protocols: vec![flat, trips],
            one_trip: one_trip(server.hierarchy())?,
        };
        report::print(json, &outcome, human)
    }
}

fn protocol(name: &'static str, hierarchy: &Hierarchy, protocol: Protocol) -> anyhow::Result<ProtocolOutcome> {
    let options = PlannerOptions::default();
    let plan = match protocol {
        Protocol::Flat => Plan::flat(&params::STANDARD, hierarchy, options)?,
        Protocol::Trips { probes } => Plan::trip_per_stage(&params::STANDARD, hierarchy, probes, options)?,
    };
    let costs = (0..plan.trips().len()).map(|trip| plan.cost(trip, hierarchy.shape()));
    let trips: Vec<CostReport> = costs.collect::<Result<_, _>>()?;
    Ok(ProtocolOutcome {
        protocol: name,
        failure_log2: plan.failure_log2(),
        bytes_up: trips.iter().map(|t| t.bytes_up).sum(),
        bytes_down: trips.iter().map(|t| t.bytes_down).sum(),
        features_per_ciphertext: plan.trips().iter().map(|t| t.layout.packing.features()).collect(),
        trips,
    })
}

fn one_trip(hierarchy: &Hierarchy) -> anyhow::Result<OneTripOutcome> {
    let plan = OneTripPlan::new(&params::STANDARD, hierarchy, OneTripOptions::default())?;
    let (certainty, cost) = (plan.certainty(hierarchy.shape())?, plan.cost(hierarchy.shape())?);
    Ok(OneTripOutcome {
        failure_log2: certainty.failure_log2,
        margins: certainty.margins,
        relative_margins: certainty.relative,
        threshold_margin: certainty.threshold,
        bytes_up: cost.bytes_up,
        bytes_down: cost.bytes_down,
        evaluation_key_bytes: EvaluationKey::wire_bytes(&params::STANDARD),
        cost: cost.to_string(),
    })
}

fn human(o: &Outcome) {
    println!("{} ({})\n", o.name, o.hash);
    println!("Range: no score can exceed these bounds, for any input (allowed: {})", o.largest_score_allowed);
    for (s, stage) in o.stages.iter().enumerate() {
        println!(
            "  stage {s}: {} groups of up to {} slots ({} used), {} features, |score| <= {}",
            stage.groups, stage.slots, stage.used, stage.width, stage.largest_score
        );
    }
    for p in &o.protocols {
        println!("\nCost of {}: a query fails with probability at most 2^{:.0}", p.protocol, p.failure_log2);
        println!(
            "  {} up, {} down, no evaluation keys",
            report::bytes(p.bytes_up as u64),
            report::bytes(p.bytes_down as u64)
        );
        for (trip, (cost, features)) in p.trips.iter().zip(&p.features_per_ciphertext).enumerate() {
            println!("  trip {}, {features} features per ciphertext", trip + 1);
            cost.to_string().lines().for_each(|line| println!("    {line}"));
        }
    }
    let one = &o.one_trip;
    println!("\nCost of one-trip: certain but with probability 2^{:.0} for a winner that leads by", one.failure_log2);
    for (stage, (margin, relative)) in one.margins.iter().zip(&one.relative_margins).enumerate() {
        println!("  {margin:.0} score units in stage {stage} ({:.1} % of the largest difference)", 100.0 * relative);
    }
    println!("  and whose score is {:.0} from the unknown threshold", one.threshold_margin);
    println!(
        "  {} up, {} down; evaluation key, once, {}",
        report::bytes(one.bytes_up as u64),
        report::bytes(one.bytes_down as u64),
        report::bytes(one.evaluation_key_bytes as u64)
    );
    one.cost.lines().for_each(|line| println!("    {line}"));
}
