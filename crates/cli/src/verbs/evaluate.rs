//! `sordino evaluate`: accuracy on noisy queries, in floating point, in integers and encrypted.

use std::collections::HashMap;
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use sordino_corpus::{Catalogue, Condition, CropSplit, Part, Track, folds, follows_from_sound};
use sordino_fhe::{Plan, params};
use sordino_lab::DisturbanceCache;
use sordino_lab::evaluate::{
    Agreement, AnswerSettings, Evaluation, Finding, Queries, Row, Subject, System, Table, write_table,
};
use sordino_lab::system::Sordino;
use sordino_model::cost::WeightForm;
use sordino_model::files::{read_file, write_file};
use sordino_model::stage::HierarchyShape;
use sordino_model::{Label, Protocol, Resolution, load_pair};

use crate::calibration::Calibration;
use crate::disturbances::DisturbanceArgs;
use crate::library::{AskArg, IndexArgs, open_model};
use crate::protocol::{DecisionArgs, clusters, too_many_probes};
use crate::report::{self, Terminal, note, say};
use crate::verbs::train::{self, SettingArgs};

/// Measure accuracy on queries at unseen offsets with unseen noise and rooms. Tracks of the index that the model does not
/// know are the unknown songs.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino evaluate models/mine --index runs/index --encrypted 20\n  \
    sordino evaluate --train --folds 10 --index runs/index --noise esc50/ --ir rooms/ --out results/\n  \
    sordino evaluate --train --index runs/fma --index runs/composed --tracks 5000 --ask recorded --noise esc50/ --ir rooms/\n  \
    sordino evaluate models/mine --index runs/index --out results/ --part 1/4")]
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
    /// Conditions: `clean`, or parts such as `4%fast`, `2%slow`, `5dB`, `reverb`, `phone`, `300-3400Hz` joined with `+`.
    #[arg(long, value_delimiter = ',', default_value = "clean,10dB,5dB,0dB,5dB+reverb")]
    conditions: Vec<Condition>,
    /// Random excerpts per track, at most a thousand.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    crops: u16,
    /// Numbers of clusters to follow in routed.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_name = "M[,M]", value_parser = clap::value_parser!(u16).range(1..=64))]
    probes: Vec<u16>,
    /// Ask this many of the queries encrypted too, in every protocol, and compare every score with the clear.
    #[arg(long, default_value_t = 0, value_name = "N")]
    encrypted: usize,
    /// Ask this many of the queries in decided too, and in picked-decided where the model's routing is public, about a second each, and hold every answer and its margins against the clear.
    #[arg(long, alias = "one-trip", default_value_t = 0, value_name = "N")]
    decided: usize,
    /// Ask this many of the queries in raw too, where the model hears encrypted samples, half a minute each, and all of them in the clear; all sound that is asked
    /// about is held in memory.
    #[arg(long, default_value_t = 0, value_name = "N")]
    raw_queries: usize,
    /// Clusters that decided follows.
    #[arg(long, alias = "one-trip-probes", default_value_t = 1, value_name = "M", value_parser = clap::value_parser!(u16).range(1..=64))]
    decided_probes: u16,
    #[command(flatten)]
    decisions: DecisionArgs,
    /// Secret keys among which the encrypted queries are divided.
    #[arg(long, default_value_t = 3, value_name = "K")]
    keys: usize,
    /// Seed of the queries.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    query_seed: u64,
    /// Folder for `rows.csv`, `rooms.csv`, `queries.csv` and `evaluation.json`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ask about the tracks of this part alone, one of so many, and leave the answers in --out: the same with --merge writes the results.
    #[arg(long, value_name = "I/N", requires = "out", conflicts_with_all = ["train", "encrypted", "decided", "raw_queries"])]
    part: Option<Part>,
    /// Write the results of parts that were asked with the same options into the same --out.
    #[arg(long, requires = "out", conflicts_with_all = ["part", "train", "encrypted", "decided", "raw_queries"])]
    merge: bool,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
}

/// What is followed where nobody says, also in a model with fewer clusters.
const DEFAULT_PROBES: [u16; 2] = [1, 2];

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
    /// Encrypted beside clear where the client decides, for every fold.
    encrypted: Vec<Agreement>,
    /// The same where the server decides.
    decided: Vec<Agreement>,
}

/// What the files of parts are called, before the number.
const PART_FILE: &str = "answers-";

fn part_file(part: Part) -> String {
    format!("{PART_FILE}{}-of-{}.json", part.number() + 1, part.of())
}

/// The answers of a part.
#[derive(Serialize, Deserialize)]
struct LeftBehind {
    /// What was asked.
    asked: String,
    evaluation: Evaluation,
}

#[derive(Serialize)]
struct PartOutcome {
    part: String,
    queries: usize,
}

impl Evaluate {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        anyhow::ensure!(self.folds >= 1, "--folds is 0, expected at least 1");
        // Queries are cut from sound; mel power is for training.
        let table = if self.train { self.library.table()? } else { self.library.table_of(|_| 0..0)? };
        let catalogue = table.catalogue();
        let disturbances = DisturbanceCache::new(self.disturbances.source());
        let (mut finding, mut agreements) = (Finding::default(), Vec::new());
        let (mut training_seconds, mut training_phases) = (0.0, Vec::new());
        let mut ask = |system: &Sordino, fold, split| -> anyhow::Result<()> {
            let evaluation =
                if self.merge { self.parts()? } else { self.ask(system, &catalogue, fold, split, &disturbances)? };
            let deciding = [&self.deciding(system.server().hierarchy().shape())[..], &[Protocol::Raw]].concat();
            let predicted = |agreement| predicted(system, agreement, &deciding);
            agreements.extend(evaluation.agreements().into_iter().map(predicted).collect::<anyhow::Result<Vec<_>>>()?);
            finding.evaluation.merge(evaluation);
            finding.subject = self.subject(system, &catalogue, split);
            Ok(())
        };
        match &self.model {
            Some(folder) => {
                let (client, server) = open_model(folder, load_pair)?;
                self.library.check_query_seconds(client.front().spec()?.query_seconds)?;
                ask(&Sordino::new(client, server, None)?, 0, CropSplit::UnseenOffset)?;
            }
            None => {
                let config = self.settings.config()?;
                anyhow::ensure!(
                    config.raw.is_none(),
                    "a model that hears encrypted samples is not evaluated while it is trained: leave out --raw, or train it with `sordino train` and give its folder"
                );
                let training = disturbances.at(table.spec().sample_rate, &Terminal)?;
                for (fold, known) in self.libraries(&catalogue)?.into_iter().enumerate() {
                    let start = Instant::now();
                    let part = table.select(&known);
                    let (model, phases) = train::train(&part, &training.training, &config, None)?;
                    training_phases.push(phases);
                    training_seconds += start.elapsed().as_secs_f64();
                    let (client, server) = model.halves("evaluated", sordino_learn::sound::labels(&part))?;
                    ask(&Sordino::new(client, server, Some(model))?, fold, config.split())?;
                }
            }
        }
        if let (Some(part), Some(folder)) = (self.part, &self.out) {
            return self.leave(part, folder, finding.evaluation, json);
        }
        finding.subject.training_seconds = self.train.then_some(training_seconds);
        let server_decides = |agreement: &Agreement| agreement.decisions.is_some();
        let (decided, encrypted) = agreements.into_iter().partition(server_decides);
        let outcome = Outcome {
            command: report::command(),
            version: env!("CARGO_PKG_VERSION"),
            tracks: catalogue.tracks.len(),
            folds: self.folds,
            training_seconds,
            training_phases,
            rows: finding.rows(),
            encrypted,
            decided,
        };
        if let Some(folder) = &self.out {
            for table in [Table::Rows, Table::Rooms, Table::Queries] {
                write_table(table, std::slice::from_ref(&finding), folder, false)?;
            }
            let path = folder.join("evaluation.json");
            write_file(&path, serde_json::to_string_pretty(&outcome)?.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        report::print(json, &outcome, |o| {
            print_rows(&o.rows);
            o.encrypted.iter().chain(&o.decided).for_each(print_agreement);
        })
    }

    /// The positions of the tracks of each fold's library.
    fn libraries(&self, catalogue: &Catalogue) -> anyhow::Result<Vec<Vec<usize>>> {
        if self.folds == 1 {
            return Ok(vec![(0..catalogue.tracks.len()).collect()]);
        }
        Ok(folds(catalogue, self.folds, self.query_seed)?.into_iter().map(|fold| fold.known).collect())
    }

    /// What is asked, in words: all options but which part, and where it is left.
    fn asked(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        let probes: Vec<String> = self.probes.iter().map(u16::to_string).collect();
        format!(
            "{} by {}, {} tracks, {} crops, {}, {} probes, query seed {}, {}",
            self.model.as_deref().unwrap_or(Path::new("")).display(),
            self.library.describe(),
            format!("{:?}", self.ask).to_lowercase(),
            self.crops,
            conditions.join(" "),
            probes.join(" "),
            self.query_seed,
            self.disturbances.describe()
        )
    }

    /// Leaves the answers of a part.
    fn leave(&self, part: Part, folder: &Path, evaluation: Evaluation, json: bool) -> anyhow::Result<()> {
        let queries = evaluation.answers.first().map_or(0, |answers| answers.records.len());
        let left = LeftBehind { asked: self.asked(), evaluation };
        create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(part_file(part));
        write_file(&path, &serde_json::to_vec(&left)?).with_context(|| format!("cannot write {}", path.display()))?;
        report::print(json, &PartOutcome { part: part.to_string(), queries }, |o| {
            say!("part {}: {} queries are asked; when all parts are: the same with --merge", o.part, o.queries);
        })
    }

    /// The answers of all parts, in order.
    fn parts(&self) -> anyhow::Result<Evaluation> {
        /// Largest file of a part, in bytes.
        const LIMIT: u64 = 4 << 30;
        let folder = self.out.clone().unwrap_or_default();
        let missing = || format!("no part is in {}: ask every part first, with --part I/N", folder.display());
        let files = std::fs::read_dir(&folder).with_context(missing)?;
        let numbers = files.filter_map(|file| {
            let name = file.ok()?.file_name().into_string().ok()?;
            name.strip_prefix(PART_FILE)?.strip_suffix(".json")?.replace("-of-", "/").parse::<Part>().ok()
        });
        let of = numbers.map(Part::of).max().with_context(missing)?;
        let mut all = Evaluation::default();
        for part in Part::all(of) {
            let path = folder.join(part_file(part));
            let expected = || format!("{} cannot be read: ask part {part} first", path.display());
            let left: LeftBehind = serde_json::from_slice(&read_file(&path, LIMIT).with_context(expected)?)
                .with_context(|| format!("{} holds no answers: ask part {part} again", path.display()))?;
            anyhow::ensure!(
                left.asked == self.asked(),
                "{} was asked with other options, expected the same for all parts and --merge: {}",
                path.display(),
                left.asked
            );
            all.merge(left.evaluation);
        }
        // A promise is the model's, and not a part's.
        all.answers.iter_mut().for_each(|answers| answers.promises.truncate(1));
        Ok(all)
    }

    /// Asks one model everything.
    fn ask(
        &self,
        system: &Sordino,
        catalogue: &Catalogue,
        fold: usize,
        split: CropSplit,
        disturbances: &DisturbanceCache,
    ) -> anyhow::Result<Evaluation> {
        let part = self.part.unwrap_or(Part::WHOLE).range(catalogue.tracks.len());
        let asked: Vec<usize> = part.filter(|&i| self.ask.wants(&catalogue.tracks[i])).collect();
        let asked = catalogue.select(&asked);
        self.check_probes(system)?;
        let (labels, spec) = (system.client().labels(), system.client().front().spec()?);
        let conditions: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        // Every fold hears other places, noise and rooms, so that its queries are not those of another fold asked again.
        let seed = self.query_seed.wrapping_add(fold as u64);
        let queries = Queries {
            asked: &asked,
            ids: &labels.iter().map(|label| label.track_id).collect::<Vec<_>>(),
            places: &places(&asked, labels),
            spec,
            seconds: spec.query_seconds,
            conditions: &conditions,
            crops: self.crops.into(),
            split,
            seed,
            fold,
            disturbances,
            monitor: &Terminal,
        };
        let mut settings = AnswerSettings::default();
        settings.probes = self.probes.iter().copied().map(usize::from).collect();
        settings.encrypted = self.encrypted;
        settings.raw = self.raw_queries;
        if self.decided > 0 {
            let shape = system.server().hierarchy().shape();
            (settings.decided, settings.decided_queries) = (self.deciding(shape).into(), self.decided);
        }
        (settings.keys, settings.seed) = (self.keys, seed);
        Ok(system.evaluate(&queries, &settings)?)
    }

    /// Refuses more clusters to follow than the model has.
    fn check_probes(&self, system: &Sordino) -> anyhow::Result<()> {
        let hierarchy = system.server().hierarchy();
        let clusters = clusters(hierarchy);
        match self.probes.iter().find(|&&probes| usize::from(probes) > clusters) {
            // A flat model has none, and is asked in `flat` alone.
            Some(&probes) if hierarchy.stages().len() > 1 && self.probes != DEFAULT_PROBES => {
                anyhow::bail!(too_many_probes(probes.into(), clusters))
            }
            _ => Ok(()),
        }
    }

    /// The protocols in which the server decides, for a model of these stages. One that does not publish its routing layers is asked in the
    /// first alone.
    fn deciding(&self, shape: &HierarchyShape) -> [Protocol; 2] {
        let (probes, resolution) = (self.decided_probes.into(), Resolution::Standard);
        let picked = Protocol::PickedDecided { probes, answers: 1, resolution }.suited(shape);
        [Protocol::Decided { probes, answers: 1, resolution }, picked].map(|protocol| self.decisions.of(protocol))
    }

    fn subject(&self, system: &Sordino, catalogue: &Catalogue, split: CropSplit) -> Subject {
        let recorded = catalogue.tracks.iter().filter(|track| !track.source.is_composed()).count();
        let heard_seconds = match split {
            CropSplit::UnseenSound { train_seconds } => Some(train_seconds),
            _ => None,
        };
        Subject {
            grid: "evaluate".into(),
            system: Sordino::NAME.into(),
            tracks: system.client().labels().len(),
            recorded,
            rows: system.rows(),
            slots: system.stages(),
            // A model that takes no sound was refused when it was asked.
            seconds: system.client().front().spec().map_or(0.0, |spec| spec.query_seconds),
            heard_seconds,
            ..Subject::default()
        }
    }
}

/// An agreement with what the server should take, where `calibrate` kept timings.
fn predicted(system: &Sordino, agreement: Agreement, deciding: &[Protocol]) -> anyhow::Result<Agreement> {
    let asked = deciding.iter().find(|protocol| protocol.name() == agreement.method.protocol);
    let (Some(calibration), Some(&protocol)) = (Calibration::load(), asked) else { return Ok(agreement) };
    let hierarchy = system.server().stages_for(protocol);
    let plan = Plan::new(&params::STANDARD, protocol, hierarchy)?;
    let time =
        plan.predict(hierarchy.shape(), &calibration.timings, rayon::current_num_threads(), WeightForm::default())?;
    Ok(agreement.with_prediction(time))
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

/// Whether a model means this track: by its id where that follows from the sound, whatever it is called by now.
fn is(label: &Label, track: &Track) -> bool {
    follows_from_sound(track.id)
        || (&label.artist, &label.title, &label.album) == (&track.artist, &track.title, &track.album)
}

/// Prints what was answered in the clear for people.
fn print_rows(rows: &[Row]) {
    say!(
        "{:<14} {:<10} {:>6} {:<10} {:>7} {:>6} {:>6} {:>6} {:>9} {:>9}",
        "condition",
        "protocol",
        "probes",
        "precision",
        "queries",
        "top-1",
        "top-3",
        "lost",
        "unknown",
        "rejected"
    );
    let share = |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{share:.1}"));
    for row in rows.iter().filter(|row| row.equal.is_none()) {
        say!(
            "{:<14} {:<10} {:>6} {:<10} {:>7} {:>6} {:>6} {:>6} {:>9} {:>9}",
            row.condition,
            row.method.protocol,
            row.method.probes,
            row.method.precision,
            row.queries,
            share(row.top_1),
            share(row.top_3),
            share(row.lost),
            row.unknown_queries,
            share(row.rejected)
        );
    }
}

/// Prints encrypted beside clear for people.
fn print_agreement(a: &Agreement) {
    let milliseconds = |time: Option<f64>| time.map_or_else(|| "?".into(), |time| format!("{time:.1} ms"));
    let predicted = a.server_milliseconds_predicted.map(|ms| format!(", predicted {ms:.1}")).unwrap_or_default();
    say!(
        "encrypted {} (probes {}): {} of {} queries equal the clear, {} keys; median {}{predicted} server, {} client; {} up, {} down",
        a.method.protocol,
        a.method.probes,
        a.equal,
        a.queries,
        a.keys,
        milliseconds(a.server_milliseconds_median),
        milliseconds(a.client_milliseconds_median),
        report::bytes(a.bytes_up.unwrap_or(0) as u64),
        report::bytes(a.bytes_down.unwrap_or(0) as u64)
    );
    if let Some(d) = &a.decisions {
        let share = |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{share:.1} %"));
        say!(
            "  {} certain, {} differ although certain; named rightly: {} encrypted, {} in the clear, of {} queries of the library",
            d.certain,
            d.unexplained,
            share(d.named_encrypted),
            share(d.named_clear),
            d.known_queries
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_track_of_the_same_id_is_unknown() {
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
