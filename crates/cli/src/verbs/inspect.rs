//! `sordino inspect`: what is proven of a model and what it will cost, before any cryptography.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sordino_fhe::{EvaluationKey, FheError, OneTripOptions, OneTripPlan, Plan, PlannerOptions, params};
use sordino_model::{CostReport, Hierarchy, MAX_SCORE, Protocol, load_server};

use crate::calibration::{Calibration, cores};
use crate::protocol::DecisionArgs;
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
    /// Clusters that one-trip follows.
    #[arg(long, default_value_t = 1, value_name = "M")]
    one_trip_probes: usize,
    #[command(flatten)]
    decisions: DecisionArgs,
}

#[derive(Serialize)]
struct Outcome {
    name: String,
    hash: String,
    largest_score_allowed: u64,
    stages: Vec<StageOutcome>,
    protocols: Vec<ProtocolOutcome>,
    /// Missing where the model does not fit the protocol.
    one_trip: Option<OneTripOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_trip_refused: Option<String>,
}

/// What the server is expected to take, from the timings that `calibrate` kept.
#[derive(Serialize)]
struct Prediction {
    threads: usize,
    seconds: f64,
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
    cost: CostReport,
    predicted: Vec<Prediction>,
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
    predicted: Vec<Prediction>,
}

impl Inspect {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let server = load_server(&self.model)?;
        let calibration = Calibration::load();
        let flat = protocol("flat", server.flat(), Protocol::Flat, calibration.as_ref())?;
        let trips =
            protocol("two-trip", server.hierarchy(), Protocol::Trips { probes: self.probes }, calibration.as_ref())?;
        let stages = server.hierarchy().stages().iter().map(|stage| StageOutcome {
            groups: stage.groups(),
            slots: stage.outputs(),
            used: stage.shape().used(),
            width: stage.input().width,
            largest_score: stage.score_bound(),
        });
        let options = self.decisions.options(self.one_trip_probes);
        let (one_trip, one_trip_refused) = match one_trip(server.hierarchy(), options, calibration.as_ref()) {
            Ok(outcome) => (Some(outcome), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let outcome = Outcome {
            name: server.name().into(),
            hash: server.hash().to_string(),
            largest_score_allowed: MAX_SCORE,
            stages: stages.collect(),
            protocols: vec![flat, trips],
            one_trip,
            one_trip_refused,
        };
        report::print(json, &outcome, human)
    }
}

/// What `predict` says for one thread and for every core, and for machines of so many more such threads.
fn predictions<E>(more: &[usize], predict: impl Fn(usize) -> Result<Duration, E>) -> Result<Vec<Prediction>, E> {
    let mut threads = vec![1, cores()];
    threads.extend(more);
    threads.sort_unstable();
    threads.dedup();
    let predicted =
        threads.into_iter().map(|threads| Ok(Prediction { threads, seconds: predict(threads)?.as_secs_f64() }));
    predicted.collect()
}

fn protocol(
    name: &'static str,
    hierarchy: &Hierarchy,
    protocol: Protocol,
    calibration: Option<&Calibration>,
) -> anyhow::Result<ProtocolOutcome> {
    let options = PlannerOptions::default();
    let plan = match protocol {
        Protocol::Flat => Plan::flat(&params::STANDARD, hierarchy, options)?,
        Protocol::Trips { probes } => Plan::trip_per_stage(&params::STANDARD, hierarchy, probes, options)?,
    };
    let costs = (0..plan.trips().len()).map(|trip| plan.cost(trip, hierarchy.shape()));
    let trips: Vec<CostReport> = costs.collect::<Result<_, _>>()?;
    let predicted = match calibration {
        Some(c) => predictions(&[], |threads| c.trips(&plan, hierarchy.shape(), threads))?,
        None => Vec::new(),
    };
    Ok(ProtocolOutcome {
        predicted,
        protocol: name,
        failure_log2: plan.failure_log2(),
        bytes_up: trips.iter().map(|t| t.bytes_up).sum(),
        bytes_down: trips.iter().map(|t| t.bytes_down).sum(),
        features_per_ciphertext: plan.trips().iter().map(|t| t.layout.packing.features()).collect(),
        trips,
    })
}

fn one_trip(
    hierarchy: &Hierarchy,
    options: OneTripOptions,
    calibration: Option<&Calibration>,
) -> Result<OneTripOutcome, FheError> {
    let shape = hierarchy.shape();
    let plan = OneTripPlan::new(&params::STANDARD, hierarchy, options)?;
    let (certainty, schedule) = (plan.certainty(shape)?, plan.schedule(shape)?);
    let predicted = match calibration {
        Some(c) => predictions(&[16, 64], |threads| Ok::<_, FheError>(schedule.predict(&c.timings, threads)))?,
        None => Vec::new(),
    };
    Ok(OneTripOutcome {
        failure_log2: certainty.failure_log2,
        margins: certainty.margins,
        relative_margins: certainty.relative,
        threshold_margin: certainty.threshold,
        bytes_up: schedule.report.bytes_up,
        bytes_down: schedule.report.bytes_down,
        evaluation_key_bytes: EvaluationKey::wire_bytes(&params::STANDARD),
        cost: schedule.report,
        predicted,
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
        human_predictions(&p.predicted);
        for (trip, (cost, features)) in p.trips.iter().zip(&p.features_per_ciphertext).enumerate() {
            println!("  trip {}, {features} features per ciphertext", trip + 1);
            cost.to_string().lines().for_each(|line| println!("    {line}"));
        }
    }
    if let Some(refused) = &o.one_trip_refused {
        println!("\none-trip cannot serve this model: {refused}");
    }
    o.one_trip.iter().for_each(human_one_trip);
    let known = o.protocols.iter().any(|p| !p.predicted.is_empty());
    if !known {
        println!("\nRun `sordino calibrate` to see what the server is expected to take on this machine.");
    }
}

fn human_predictions(predicted: &[Prediction]) {
    let each = |p: &Prediction| {
        let time = report::seconds(Duration::from_secs_f64(p.seconds));
        format!("{time} on {} thread{}", p.threads, if p.threads == 1 { "" } else { "s" })
    };
    if !predicted.is_empty() {
        println!("  server, expected: {}", predicted.iter().map(each).collect::<Vec<_>>().join(", "));
    }
}

fn human_one_trip(one: &OneTripOutcome) {
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
    human_predictions(&one.predicted);
    one.cost.to_string().lines().for_each(|line| println!("    {line}"));
}
