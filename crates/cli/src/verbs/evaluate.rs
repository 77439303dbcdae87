//! `sordino evaluate`: accuracy on noisy queries, in floating point, in integers and encrypted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use sordino_corpus::{Catalogue, Condition, CropSplit, Track, folds};
use sordino_lab::{Disturbances, Sample, protocols};
use sordino_learn::{Answer, FloatModel, float_answers, integer_answers};
use sordino_model::{ClientModel, Label, Pair, Protocol, ServerModel, load_pair};

use crate::decided::{self, Decided, DecidedQueries, Deciding};
use crate::disturbances::DisturbanceArgs;
use crate::evaluation::{self, Method, Queries, Questions, Results, Row};
use crate::library::{AskArg, IndexArgs};
use crate::protocol::DecisionArgs;
use crate::report::{self, note};
use crate::verbs::train::{self, SettingArgs};

/// Measure accuracy on queries at unseen offsets with unseen noise and rooms. Tracks of the index that the model does not
/// know are the unknown songs.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino evaluate models/mine --index runs/index --encrypted 20\n  \
    sordino evaluate --train --folds 10 --index runs/index --noise esc50/ --ir rooms/ --out results/\n  \
    sordino evaluate --train --index runs/fma --index runs/composed --tracks 5000 --ask recorded --noise esc50/ --ir rooms/")]
pub(crate) struct Evaluate {
    /// Model folder; not with --train.
    #[arg(required_unless_present = "train", conflicts_with = "train")]
    model: Option<PathBuf>,
    /// Train in this run instead of loading a model, so that floating point is measured too.
    #[arg(long)]
    train: bool,
    /// With --train: leave out this many parts of the library in turn, as unknown songs; 1 leaves out nothing.
    #[arg(long, default_value_t = 1, value_name = "K", requires = "train")]
    folds: usize,
    #[command(flatten)]
    library: IndexArgs,
    /// Which tracks of the library to ask about.
    #[arg(long, value_enum, default_value_t)]
    ask: AskArg,
    /// Conditions: `clean`, or parts such as `5dB`, `reverb`, `300-3400Hz` joined with `+`.
    #[arg(long, value_delimiter = ',', default_value = "clean,10dB,5dB,0dB,5dB+reverb")]
    conditions: Vec<Condition>,
    /// Random excerpts per track.
    #[arg(long, default_value_t = 2, value_name = "N")]
    crops: usize,
    /// Numbers of clusters to follow in routed.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_name = "M[,M]")]
    probes: Vec<usize>,
    /// Ask this many of the queries encrypted too, in every protocol, and compare every score with the clear.
    #[arg(long, default_value_t = 0, value_name = "N")]
    encrypted: usize,
    /// Ask this many of the queries in decided too, about a second each, and hold every answer and its margins against the clear.
    #[arg(long, default_value_t = 0, value_name = "N")]
    one_trip: usize,
    /// Clusters that decided follows.
    #[arg(long, default_value_t = 1, value_name = "M")]
    one_trip_probes: usize,
    #[command(flatten)]
    decisions: DecisionArgs,
    /// Secret keys among which the encrypted queries are divided.
    #[arg(long, default_value_t = 3, value_name = "K")]
    keys: usize,
    /// Seed of the queries.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    query_seed: u64,
    /// Folder for `rows.csv`, `rooms.csv`, `queries.csv`, `one_trip.csv` and `evaluation.json`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
}

#[derive(Serialize)]
struct Outcome {
    command: Vec<String>,
    version: &'static str,
    tracks: usize,
    folds: usize,
    training_seconds: f64,
    /// Seconds of every phase, for every fold.
    training_phases: Vec<Vec<(String, f64)>>,
    rows: Vec<Row>,
    encrypted: Vec<Agreement>,
    one_trip: Vec<Decided>,
}

/// What was found, fold by fold.
#[derive(Default)]
struct Findings {
    results: Results,
    encrypted: Vec<Agreement>,
    one_trip: Vec<Decided>,
    decided: DecidedQueries,
}

/// How encrypted answers compare with the clear ones.
#[derive(Clone, Serialize)]
pub(crate) struct Agreement {
    pub(crate) protocol: &'static str,
    pub(crate) probes: usize,
    pub(crate) keys: usize,
    pub(crate) queries: usize,
    /// Queries of which every returned score equals the clear one.
    pub(crate) equal: usize,
    pub(crate) server_milliseconds_median: f64,
    pub(crate) client_milliseconds_median: f64,
    pub(crate) bytes_up: usize,
    pub(crate) bytes_down: usize,
}

impl Evaluate {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        anyhow::ensure!(self.folds >= 1 && self.crops >= 1, "--folds and --crops must be at least 1");
        let table = self.library.table()?;
        let catalogue = table.catalogue();
        let (training, hearing) = self.disturbances.load(table.spec().sample_rate)?;
        let mut findings = Findings::default();
        let mut training_seconds = 0.0;
        let mut training_phases = Vec::new();
        match &self.model {
            Some(folder) => {
                let (client, server) = load_pair(folder)?;
                let judged = Judged { fold: 0, float: None, client, server, split: CropSplit::UnseenOffset };
                self.judge(&judged, &catalogue, &hearing, &mut findings)?;
            }
            None => {
                let config = self.settings.config()?;
                for (fold, known) in self.libraries(&catalogue)?.into_iter().enumerate() {
                    let start = Instant::now();
                    let part = table.select(&known);
                    let (model, phases) = train::train(&part, &training, &config, None)?;
                    training_phases.push(phases);
                    training_seconds += start.elapsed().as_secs_f64();
                    let (client, server) = model.halves("evaluated", sordino_learn::labels(&part))?;
                    let judged = Judged { fold, float: Some(model), client, server, split: config.split() };
                    self.judge(&judged, &catalogue, &hearing, &mut findings)?;
                }
            }
        }
        let outcome = Outcome {
            command: std::env::args().collect(),
            version: env!("CARGO_PKG_VERSION"),
            tracks: catalogue.tracks.len(),
            folds: self.folds,
            training_seconds,
            training_phases,
            rows: findings.results.rows(),
            encrypted: findings.encrypted,
            one_trip: findings.one_trip,
        };
        if let Some(folder) = &self.out {
            findings.results.write(folder)?;
            findings.decided.write(folder)?;
            std::fs::write(folder.join("evaluation.json"), serde_json::to_string_pretty(&outcome)?)?;
        }
        report::print(json, &outcome, |o| {
            evaluation::human(&o.rows);
            o.encrypted.iter().for_each(print_agreement);
            o.one_trip.iter().for_each(decided::human);
        })
    }

    /// The positions of the tracks of each fold's library.
    fn libraries(&self, catalogue: &Catalogue) -> anyhow::Result<Vec<Vec<usize>>> {
        if self.folds == 1 {
            return Ok(vec![(0..catalogue.tracks.len()).collect()]);
        }
        Ok(folds(catalogue, self.folds, self.query_seed)?.into_iter().map(|fold| fold.known).collect())
    }

    /// Asks one model everything.
    fn judge(
        &self,
        judged: &Judged,
        catalogue: &Catalogue,
        hearing: &Disturbances,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let Judged { fold, float, client, server, split } = judged;
        let fold = *fold;
        let asked: Vec<usize> = (0..catalogue.tracks.len()).filter(|&i| self.ask.wants(&catalogue.tracks[i])).collect();
        let asked = catalogue.select(&asked);
        let places = places(&asked, client.labels());
        // Every fold hears other places, noise and rooms, so that its queries are not those of another fold asked again.
        let seed = self.query_seed.wrapping_add(fold as u64);
        let questions = Questions { conditions: self.conditions.clone(), crops: self.crops, split: *split, seed };
        let place = |id| places.get(&id).copied();
        let queries = Queries::render(&asked, client.front(), &questions, hearing, place)?;
        let pair = Pair::new(client, server)?;
        let features = queries.features.view();
        for protocol in protocols(&self.probes, server) {
            let mut add = |precision, answers: &[Answer]| {
                findings.results.add(fold, Method { precision, protocol }, &queries.asked, answers, client);
            };
            if let Some(model) = float {
                add("float", &float_answers(model, protocol, features)?);
            }
            add("integer", &integer_answers(&pair, protocol, features)?);
            if self.encrypted > 0 {
                let sample = Sample { queries: self.encrypted, keys: self.keys, seed };
                let agreement = encrypted(client, server, protocol, &queries, sample)?;
                findings.encrypted.push(agreement);
            }
        }
        if self.one_trip > 0 {
            let protocol = self.decisions.protocol(self.one_trip_probes);
            let sample = Sample { queries: self.one_trip, keys: self.keys, seed };
            let asking = Deciding { fold, sample, protocol };
            findings.one_trip.push(decided::ask(client, server, &queries, asking, &mut findings.decided)?);
        }
        Ok(())
    }
}

/// A model, and the part of every track that may be asked about.
struct Judged {
    fold: usize,
    float: Option<FloatModel>,
    client: ClientModel,
    server: ServerModel,
    split: CropSplit,
}

/// The places in a model's library of those tracks that it knows, by their ids. Ids alone would not do: every folder counts from one.
fn places(asked: &Catalogue, labels: &[Label]) -> HashMap<u32, u32> {
    let labels: HashMap<u32, (&Label, u32)> =
        labels.iter().zip(0..).map(|(label, place)| (label.track_id, (label, place))).collect();
    let (mut known, mut others) = (HashMap::new(), 0);
    for track in &asked.tracks {
        match labels.get(&track.id) {
            Some(&(label, place)) if is(label, track) => _ = known.insert(track.id, place),
            Some(_) => others += 1,
            None => (),
        }
    }
    if others > 0 {
        note!(
            "{others} of {} tracks that are asked about have the id of a track of the model but another artist, title or album, and count as \
             unknown songs: give the indexes that the model was trained on, in their order",
            asked.tracks.len()
        );
    }
    known
}

/// Whether a model means this track.
fn is(label: &Label, track: &Track) -> bool {
    (&label.artist, &label.title, &label.album) == (&track.artist, &track.title, &track.album)
}

/// Asks a sample of the queries encrypted, and compares whole rankings, every score of them, with the clear.
fn encrypted(
    client: &ClientModel,
    server: &ServerModel,
    protocol: Protocol,
    queries: &Queries,
    sample: Sample,
) -> anyhow::Result<Agreement> {
    let bar = report::bar(sample.queries as u64, "encrypted");
    let found = sordino_lab::encrypted(client, server, protocol, queries.features.view(), sample, &bar)?;
    bar.finish_and_clear();
    Ok(Agreement {
        protocol: protocol.name(),
        probes: protocol.probes(),
        keys: found.keys,
        queries: found.answers.len(),
        equal: found.equal,
        server_milliseconds_median: 1e3 * found.server_seconds.unwrap_or(f64::NAN),
        client_milliseconds_median: 1e3 * found.client_seconds.unwrap_or(f64::NAN),
        bytes_up: found.bytes_up,
        bytes_down: found.bytes_down,
    })
}

pub(crate) fn print_agreement(a: &Agreement) {
    println!(
        "encrypted {} (probes {}): {} of {} queries equal the clear, {} keys; median {:.1} ms server, \
         {:.1} ms client; {} up, {} down",
        a.protocol,
        a.probes,
        a.equal,
        a.queries,
        a.keys,
        a.server_milliseconds_median,
        a.client_milliseconds_median,
        report::bytes(a.bytes_up as u64),
        report::bytes(a.bytes_down as u64)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_track_of_the_same_id_is_a_stranger() {
        let library = sordino_corpus::synth::catalogue(5, 1);
        let mut labels: Vec<Label> = library.tracks[1..4]
            .iter()
            .map(|track| Label {
                track_id: track.id,
                artist: track.artist.clone(),
                title: track.title.clone(),
                album: track.album.clone(),
                licence: String::new(),
            })
            .collect();
        labels[1].title.push('!');
        let ids = [library.tracks[1].id, library.tracks[3].id];
        assert_eq!(places(&library, &labels), HashMap::from([(ids[0], 0), (ids[1], 2)]));
    }
}
