//! Queries that the server decides, encrypted, held against the clear: answers, leads and margins.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use sordino_fhe::decision::{Leads, Margins, Options, Plan};
use sordino_fhe::{Plan as AnyPlan, params};
use sordino_lab::{Asked as AskedOne, Sample};
use sordino_model::{ClientModel, Pair, Protocol, ServerModel};
use sordino_service::{Answer, Server};

use crate::calibration::Calibration;
use crate::evaluation::{Asked, Queries};
use crate::report::{self, percent};

/// One query, asked under one key.
struct Answered {
    fold: usize,
    /// Position among all queries.
    query: usize,
    key: usize,
    encrypted: Vec<usize>,
    clear: Vec<usize>,
    leads: Leads,
    certain: bool,
    server_milliseconds: f64,
    client_milliseconds: f64,
}

/// How encrypted decisions compare with the clear.
#[derive(Clone, Serialize)]
pub(crate) struct Decided {
    pub(crate) probes: usize,
    pub(crate) answers: usize,
    pub(crate) resolution: String,
    pub(crate) keys: usize,
    pub(crate) queries: usize,
    /// Queries whose encrypted answer is the clear one.
    pub(crate) equal: usize,
    /// Queries whose winners lead by their margins in every stage.
    pub(crate) certain: usize,
    /// Queries with another answer than the clear although it was certain.
    pub(crate) unexplained: usize,
    /// Queries about songs of the library.
    pub(crate) known_queries: usize,
    /// Per cent of those that were named rightly, in the clear and encrypted.
    pub(crate) named_clear: f64,
    pub(crate) named_encrypted: f64,
    /// By how many score units winners must lead, stage by stage.
    pub(crate) margins: Vec<f64>,
    pub(crate) relative_margins: Vec<f64>,
    pub(crate) threshold_margin: f64,
    pub(crate) failure_log2: f64,
    pub(crate) server_milliseconds_median: f64,
    pub(crate) server_milliseconds_most: f64,
    /// From the timings that `calibrate` kept, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_milliseconds_predicted: Option<f64>,
    pub(crate) client_milliseconds_median: f64,
    pub(crate) bytes_up: usize,
    pub(crate) bytes_down: usize,
}

/// Everything that was asked, one line each.
#[derive(Default)]
pub(crate) struct DecidedQueries(Vec<Vec<String>>);

/// What to ask.
#[derive(Clone, Copy)]
pub(crate) struct Deciding {
    pub(crate) fold: usize,
    pub(crate) sample: Sample,
    pub(crate) protocol: Protocol,
}

/// Asks queries drawn from all of them, divided among fresh keys.
pub(crate) fn ask(
    client: &ClientModel,
    server: &ServerModel,
    queries: &Queries,
    asking: Deciding,
    raw: &mut DecidedQueries,
) -> anyhow::Result<Decided> {
    let (hierarchy, outline) = (server.hierarchy(), client.hierarchy());
    let host = Server::new(server, asking.protocol, &params::STANDARD)?;
    let AnyPlan::Decision(plan) = host.plan() else {
        anyhow::bail!("{} does not let the server decide", asking.protocol)
    };
    let margins = plan.margins(hierarchy.shape())?;
    let pair = Pair::new(client, server)?;
    let (features, sample) = (queries.features.view(), asking.sample);
    let bar = report::bar(sample.queries.min(queries.asked.len()) as u64, asking.protocol.name());
    let (mut answered, mut bytes) = (Vec::new(), (0, 0));
    let labels = |answer: &Answer| answer.matches.iter().map(|found| found.label).collect();
    let keys = sordino_lab::ask(client, &host, features, sample, &bar, |AskedOne { key, place, found }| {
        let row = features.row(place).to_vec();
        let leads = plan.leads(hierarchy, &client.inputs(&row)?, |place| outline.label_at(place))?;
        answered.push(Answered {
            fold: asking.fold,
            query: place,
            key,
            clear: labels(&pair.identify(asking.protocol, &row)?),
            encrypted: labels(&found.answer),
            certain: leads.are_certain(&margins),
            leads,
            server_milliseconds: 1e3 * found.total(|trip| trip.wait).as_secs_f64(),
            client_milliseconds: 1e3 * found.total(|trip| trip.encrypt + trip.decrypt).as_secs_f64(),
        });
        bytes = found.bytes();
        Ok::<_, anyhow::Error>(())
    })?;
    bar.finish_and_clear();
    raw.add(&answered, queries, client, &margins);
    let outcome = judge(&answered, &queries.asked, client, keys, plan, margins);
    let (bytes_up, bytes_down) = bytes;
    let predict = |c: Calibration| plan.predict(hierarchy.shape(), &c.timings, rayon::current_num_threads());
    let predicted = Calibration::load().map(predict).transpose()?.map(|time| 1e3 * time.as_secs_f64());
    Ok(Decided { bytes_up, bytes_down, server_milliseconds_predicted: predicted, ..outcome })
}

fn judge(
    answered: &[Answered],
    asked: &[Asked],
    client: &ClientModel,
    keys: usize,
    plan: &Plan,
    margins: Margins,
) -> Decided {
    let count = |what: &dyn Fn(&Answered) -> bool| answered.iter().filter(|a| what(a)).count();
    let known = |a: &Answered| asked[a.query].known();
    let right = |a: &Answered, labels: &[usize]| {
        labels.first().is_some_and(|&label| client.labels()[label].track_id == asked[a.query].track)
    };
    let known_queries = count(&known);
    let sorted = |time: fn(&Answered) -> f64| {
        let mut times: Vec<f64> = answered.iter().map(time).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (server, of_client) = (sorted(|a| a.server_milliseconds), sorted(|a| a.client_milliseconds));
    let middle = |times: &[f64]| times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let Options { probes, answers, resolution, .. } = plan.options();
    Decided {
        probes,
        answers,
        resolution: format!("{resolution:?}").to_lowercase(),
        keys,
        queries: answered.len(),
        equal: count(&|a| a.encrypted == a.clear),
        certain: count(&|a| a.certain),
        unexplained: count(&|a| a.certain && a.encrypted != a.clear),
        known_queries,
        named_clear: percent(count(&|a| known(a) && right(a, &a.clear)), known_queries),
        named_encrypted: percent(count(&|a| known(a) && right(a, &a.encrypted)), known_queries),
        margins: margins.stages,
        relative_margins: margins.relative,
        threshold_margin: margins.threshold,
        failure_log2: margins.failure_log2,
        server_milliseconds_median: middle(&server),
        server_milliseconds_most: server.last().copied().unwrap_or(f64::NAN),
        server_milliseconds_predicted: None,
        client_milliseconds_median: middle(&of_client),
        bytes_up: 0,
        bytes_down: 0,
    }
}

impl DecidedQueries {
    fn add(&mut self, answered: &[Answered], queries: &Queries, client: &ClientModel, margins: &Margins) {
        let ids = |labels: &[usize]| {
            let ids: Vec<String> = labels.iter().map(|&label| client.labels()[label].track_id.to_string()).collect();
            ids.join(" ")
        };
        let joined = |numbers: Vec<String>| numbers.join(" ");
        for a in answered {
            let asked = &queries.asked[a.query];
            let (equal, leads) = (a.encrypted == a.clear, &a.leads);
            let (margin, threshold) = margins.last_stage(leads.siblings);
            let routing = margins.stages.iter().take(leads.stages.len().saturating_sub(1));
            let verdict = match (equal, a.certain) {
                (true, _) => "equal",
                (false, false) => "explained",
                (false, true) => "UNEXPLAINED",
            };
            self.0.push(vec![
                a.fold.to_string(),
                asked.track.to_string(),
                asked.crop.to_string(),
                asked.condition.clone(),
                asked.known().to_string(),
                a.key.to_string(),
                ids(&a.clear),
                ids(&a.encrypted),
                joined(leads.stages.iter().map(u64::to_string).collect()),
                joined(routing.chain([&margin]).map(|margin| format!("{margin:.0}")).collect()),
                leads.siblings.to_string(),
                format!("{:.1}", leads.threshold),
                format!("{threshold:.0}"),
                a.certain.to_string(),
                verdict.into(),
                format!("{:.1}", a.server_milliseconds),
            ]);
        }
    }

    /// Writes `one_trip.csv`, if anything was asked.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let path = folder.join("one_trip.csv");
        let mut out = csv::Writer::from_path(&path).with_context(|| format!("cannot write {}", path.display()))?;
        out.write_record([
            "fold",
            "track",
            "crop",
            "condition",
            "in_library",
            "key",
            "clear",
            "encrypted",
            "leads",
            "margins",
            "siblings",
            "threshold_distance",
            "threshold_margin",
            "certain",
            "verdict",
            "server_milliseconds",
        ])?;
        self.0.iter().try_for_each(|line| out.write_record(line))?;
        Ok(out.flush()?)
    }
}

/// Prints the comparison for people.
pub(crate) fn human(d: &Decided) {
    println!(
        "decided ({} probe(s), {} answer(s), {}): {} of {} queries equal the clear under {} keys; {} were certain, {} differ although \
         certain",
        d.probes, d.answers, d.resolution, d.equal, d.queries, d.keys, d.certain, d.unexplained
    );
    println!(
        "  named rightly: {:.1} % encrypted, {:.1} % in the clear, of {} queries of the library",
        d.named_encrypted, d.named_clear, d.known_queries
    );
    let predicted = d.server_milliseconds_predicted.map(|ms| format!(", predicted {ms:.0}")).unwrap_or_default();
    println!(
        "  server: median {:.0} ms{predicted}, most {:.0} ms; client {:.1} ms; {} up, {} down",
        d.server_milliseconds_median,
        d.server_milliseconds_most,
        d.client_milliseconds_median,
        report::bytes(d.bytes_up as u64),
        report::bytes(d.bytes_down as u64)
    );
}
