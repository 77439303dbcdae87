//! `sordino inspect`: what is proven of a model and what it will cost, before any cryptography.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sordino_fhe::decision::Margins;
use sordino_fhe::{EvaluationKey, FheError, Plan, params};
use sordino_model::cost::{CostReport, WeightForm};
use sordino_model::{
    ClientModel, Decider, MAX_SCORE, Pair, Protocol, Resolution, ServerModel, load_client, load_server,
};
use sordino_service::{Choice, alternatives, front};

use crate::calibration::{Calibration, cores};
use crate::library::{held_out, open_model};
use crate::protocol::{DecisionArgs, clusters};
use crate::report::{self, say};
use crate::wish::judged;

/// Print a model's proven ranges and its cost in every protocol, before anyone pays for them.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino inspect models/mine --probes 2 --json")]
pub(crate) struct Inspect {
    /// Model folder.
    model: PathBuf,
    /// Clusters that the client asks for in routed and picked; picked-decided is priced with as many as hold 64 passages.
    #[arg(long, default_value_t = 2, value_name = "M")]
    probes: usize,
    /// Clusters that the server follows, in decided.
    #[arg(long, default_value_t = 1, value_name = "M", alias = "one-trip-probes")]
    decided_probes: usize,
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
    /// Protocols that cannot serve the model, and why.
    refused: Vec<Refused>,
    /// Where the server decides: the plans that no other beats, by what training held out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fronts: Vec<Front>,
}

/// Plans of one protocol of which none is beaten by another in everything at once, the least work first.
#[derive(Serialize)]
struct Front {
    protocol: &'static str,
    /// Clips by which they are judged.
    clips: usize,
    plans: Vec<PlanOutcome>,
}

#[derive(Serialize)]
struct PlanOutcome {
    probes: usize,
    resolution: Resolution,
    /// Share of the clips that plain integers name rightly.
    right: f64,
    /// Share of the clips whose answer is certain.
    certain: f64,
    /// Blind rotations, those of a finer resolution as the products that they take.
    work: f64,
    bytes_up: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Refused {
    protocol: &'static str,
    reason: String,
}

/// What the server is expected to take, from the timings that `calibrate` kept.
#[derive(Serialize)]
struct Prediction {
    threads: usize,
    seconds: f64,
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
    /// The protocol with its options, in words.
    plan: String,
    /// The first stage that the server evaluates.
    first_stage: usize,
    failure_log2: f64,
    /// Where the server decides: by how much winners must lead to be certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    margins: Option<MarginOutcome>,
    trips: Vec<CostReport>,
    bytes_up: usize,
    bytes_down: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_key_bytes: Option<usize>,
    predicted: Vec<Prediction>,
}

#[derive(Serialize)]
struct MarginOutcome {
    /// Per stage, in score units.
    stages: Vec<f64>,
    /// The same as a fraction of the largest difference of two scores.
    relative: Vec<f64>,
    /// Distance of the best score from the threshold between known and unknown, in score units.
    threshold: f64,
}

impl Inspect {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let server = open_model(&self.model, load_server)?;
        let calibration = Calibration::load();
        let (mut protocols, mut refused) = (Vec::new(), Vec::new());
        let routed = Protocol::Routed { probes: self.probes };
        let decided = Protocol::Decided { probes: self.decided_probes, answers: 1, resolution: Resolution::Standard };
        let picked_decided =
            Protocol::PickedDecided { probes: self.probes, answers: 1, resolution: Resolution::Standard };
        let picked_decided = picked_decided.suited(server.hierarchy().shape());
        let picked = [Protocol::Picked { probes: self.probes }, picked_decided];
        // Of a server half alone nobody can say whether clients have its routing layers.
        let client = load_client(&self.model).ok();
        let public = |protocol: &Protocol| client.as_ref().is_some_and(|client| client.speaks(*protocol).is_ok());
        let asked = [Protocol::Flat, routed, decided]
            .into_iter()
            .chain(picked.into_iter().chain([Protocol::Raw]).filter(public));
        for protocol in asked.map(|protocol| self.decisions.of(protocol)) {
            match outcome(&server, protocol, calibration.as_ref()) {
                Ok(outcome) => protocols.push(outcome),
                Err(error) => refused.push(Refused { protocol: protocol.name(), reason: error.to_string() }),
            }
        }
        let fronts = match &client {
            Some(client) => fronts(&self.model, client, &server, calibration.as_ref())?,
            None => Vec::new(),
        };
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
            protocols,
            refused,
            fronts,
        };
        report::print(json, &outcome, human)
    }
}

/// What can be chosen where the server decides.
fn fronts(
    folder: &Path,
    client: &ClientModel,
    server: &ServerModel,
    calibration: Option<&Calibration>,
) -> anyhow::Result<Vec<Front>> {
    let (held_out, pair) = (held_out(folder), Pair::new(client, server)?);
    let decides = |protocol: &Protocol| {
        protocol.decider() == Decider::Server && *protocol != Protocol::Raw && client.speaks(*protocol).is_ok()
    };
    let protocols = Protocol::ALL.into_iter().filter(|protocol| !held_out.is_empty() && decides(protocol));
    let of = |protocol: Protocol| {
        let usual = protocol.suited(server.hierarchy().shape());
        let all = alternatives(usual, false, clusters(server.hierarchy()));
        let found = judged(&pair, &held_out, &all, calibration)?;
        let mut plans: Vec<PlanOutcome> = front(&found).into_iter().map(PlanOutcome::from).collect();
        plans.sort_by(|a, b| a.work.total_cmp(&b.work));
        Ok(Front { protocol: protocol.name(), clips: held_out.ids.len(), plans })
    };
    protocols.map(of).filter(|front| front.as_ref().is_ok_and(|front| !front.plans.is_empty())).collect()
}

impl From<&Choice> for PlanOutcome {
    fn from(choice: &Choice) -> Self {
        Self {
            probes: choice.protocol.probes(),
            resolution: choice.protocol.decision().map_or(Resolution::Standard, |(_, resolution)| resolution),
            right: choice.right,
            certain: choice.certain,
            work: choice.work,
            bytes_up: choice.bytes_up,
            expected_seconds: choice.expected.map(|time| time.as_secs_f64()),
        }
    }
}

fn outcome(
    server: &ServerModel,
    protocol: Protocol,
    calibration: Option<&Calibration>,
) -> Result<ProtocolOutcome, FheError> {
    let hierarchy = server.stages_for(protocol);
    let (shape, plan) = (hierarchy.shape(), Plan::new(&params::STANDARD, protocol, hierarchy)?);
    let trips = plan.costs(shape)?;
    // What one thread and every core take; and machines of many such threads, where decisions keep them busy.
    let decides = protocol.decider() == Decider::Server;
    let mut threads = vec![1, cores()];
    threads.extend(decides.then_some([16, 64]).into_iter().flatten());
    threads.sort_unstable();
    threads.dedup();
    let predict = |c: &Calibration| {
        let expected = |&threads: &usize| {
            let seconds = plan.predict(shape, &c.timings, threads, WeightForm::default())?.as_secs_f64();
            Ok::<_, FheError>(Prediction { threads, seconds })
        };
        threads.iter().map(expected).collect::<Result<Vec<_>, _>>()
    };
    let margins = match &plan {
        Plan::Decision(plan) => Some(plan.margins(shape)?),
        _ => None,
    };
    let margins =
        margins.map(|Margins { stages, relative, threshold, .. }| MarginOutcome { stages, relative, threshold });
    Ok(ProtocolOutcome {
        protocol: protocol.name(),
        plan: protocol.to_string(),
        first_stage: shape.stages().len()
            - margins.as_ref().map_or(shape.stages().len(), |margins| margins.stages.len()),
        failure_log2: plan.failure_log2(shape)?,
        margins,
        bytes_up: trips.iter().map(|t| t.bytes_up).sum(),
        bytes_down: trips.iter().map(|t| t.bytes_down).sum(),
        trips,
        evaluation_key_bytes: EvaluationKey::bytes_for(protocol, &params::STANDARD),
        predicted: calibration.map(predict).transpose()?.unwrap_or_default(),
    })
}

fn human(o: &Outcome) {
    say!("{} ({})\n", o.name, o.hash);
    say!("Range: no score can exceed these bounds, for any input (allowed: {})", o.largest_score_allowed);
    for (s, stage) in o.stages.iter().enumerate() {
        say!(
            "  stage {s}: {} of up to {} slots ({} used), {} features, |score| <= {}",
            if stage.groups == 1 { "1 group".into() } else { format!("{} groups", stage.groups) },
            stage.slots,
            stage.used,
            stage.width,
            stage.largest_score
        );
    }
    o.protocols.iter().for_each(human_protocol);
    for Refused { protocol, reason } in &o.refused {
        say!("\n{protocol} cannot serve this model: {reason}");
    }
    o.fronts.iter().for_each(human_front);
    if o.protocols.iter().all(|p| p.predicted.is_empty()) {
        say!("\nRun `sordino calibrate` to see what the server is expected to take on this machine.");
    }
}

fn human_front(front: &Front) {
    say!(
        "\nPlans of {} to choose from: every other is worse in one of these columns and better in none",
        front.protocol
    );
    say!(
        "  {:>6}  {:<10}  {:>13}  {:>7}  {:>9}  {:>8}  server",
        "probes",
        "resolution",
        "named rightly",
        "certain",
        "rotations",
        "up"
    );
    for plan in &front.plans {
        let expected = plan.expected_seconds.map_or("-".into(), |s| report::seconds(Duration::from_secs_f64(s)));
        say!(
            "  {:>6}  {:<10}  {:>11.1} %  {:>5.1} %  {:>9.0}  {:>8}  {expected}",
            plan.probes,
            plan.resolution.name(),
            100.0 * plan.right,
            100.0 * plan.certain,
            plan.work,
            report::bytes(plan.bytes_up as u64),
        );
    }
    say!(
        "  of {} clips of these tracks that training has not seen, in noise and rooms like its own. Named rightly: on plain integers,\n  \
         where \"unknown\" is wrong. Certain: the winners lead by the plan's margins, so that the encrypted answer is that of plain\n  \
         integers. Rotations: a finer one counts as the products that it takes. `identify --certain` and `--within` choose among them.",
        front.clips
    );
}

fn human_predictions(predicted: &[Prediction]) {
    let each = |p: &Prediction| {
        let time = report::seconds(Duration::from_secs_f64(p.seconds));
        format!("{time} on {} thread{}", p.threads, if p.threads == 1 { "" } else { "s" })
    };
    if !predicted.is_empty() {
        say!("  server, expected: {}", predicted.iter().map(each).collect::<Vec<_>>().join(", "));
    }
}

fn human_protocol(p: &ProtocolOutcome) {
    say!("\nCost of {}: a query fails with probability at most 2^{:.0}", p.plan, p.failure_log2);
    if let Some(margins) = &p.margins {
        say!("  if its winner leads by");
        for (stage, (margin, relative)) in margins.stages.iter().zip(&margins.relative).enumerate() {
            say!(
                "    {margin:.0} score units in stage {} ({:.1} % of the largest difference)",
                p.first_stage + stage,
                100.0 * relative
            );
        }
        say!("    and its score is {:.0} from the unknown threshold", margins.threshold);
    }
    let key = p.evaluation_key_bytes.map_or("none".into(), |bytes| format!("{}, once", report::bytes(bytes as u64)));
    let (up, down) = (report::bytes(p.bytes_up as u64), report::bytes(p.bytes_down as u64));
    say!("  {up} up, {down} down; evaluation key: {key}");
    human_predictions(&p.predicted);
    for (trip, cost) in p.trips.iter().enumerate() {
        say!("  trip {}", trip + 1);
        cost.to_string().lines().for_each(|line| say!("    {line}"));
    }
}
