//! Queries asked of a model in several ways, judged and tallied.

use std::path::Path;

use anyhow::Context;
use ndarray::Array2;
use serde::Serialize;
use sordino_corpus::{Catalogue, Condition, CropSplit, QuerySet, QuerySpec, SoundOptions};
use sordino_front::Front;
use sordino_lab::{Counts, Disturbances, Stacked, stacked};
use sordino_learn::Answer;
use sordino_model::{ClientModel, Protocol};

use crate::report::{note, percent};

/// A query's features, and what it was.
pub(crate) struct Asked {
    pub(crate) track: u32,
    pub(crate) crop: usize,
    pub(crate) condition: String,
    pub(crate) offset: usize,
    /// Name of the impulse response that it was heard through; empty for none.
    pub(crate) room: String,
    /// The track's place in the library, if it is in it.
    pub(crate) place: Option<u32>,
}

impl Asked {
    /// Whether the track is in the library.
    pub(crate) fn known(&self) -> bool {
        self.place.is_some()
    }
}

/// The features of many queries, shape `[queries, width]`, beside what they were.
pub(crate) struct Queries {
    pub(crate) asked: Vec<Asked>,
    pub(crate) features: Array2<f32>,
}

/// What is asked of every track.
pub(crate) struct Questions {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) crops: usize,
    pub(crate) split: CropSplit,
    pub(crate) seed: u64,
}

impl Queries {
    /// Renders every query in the waveform domain and puts it through the front end. `place` gives a track's place in the
    /// library by its id, if it is in it.
    pub(crate) fn render(
        catalogue: &Catalogue,
        front: &Front,
        questions: &Questions,
        hearing: &Disturbances,
        place: impl Fn(u32) -> Option<u32> + Sync,
    ) -> anyhow::Result<Self> {
        let spec = QuerySpec {
            seconds: front.spec().query_seconds,
            conditions: questions.conditions.clone(),
            crops: questions.crops,
            split: questions.split,
            seed: questions.seed,
        };
        let sound = SoundOptions::default();
        let set = QuerySet::new(catalogue, front.spec(), &spec, &hearing.noise, &hearing.impulses, sound)?;
        let bar = crate::report::bar(set.len() as u64, "queries");
        let (rendered, rejected) = set.map(|query| {
            let features = front.features(&query.samples);
            bar.inc(1);
            let condition = spec.conditions[query.condition].to_string();
            let room = query.room.unwrap_or_default();
            let (track, crop, offset) = (query.id, query.crop, query.offset);
            let asked = Asked { track, crop, condition, offset, room, place: place(track) };
            (asked, features)
        });
        bar.finish_and_clear();
        for entry in rejected {
            note!("not asked: {}: {}", entry.source, entry.reason);
        }
        let Stacked { features, asked, refused } = stacked(rendered, front.width())?;
        for (query, error) in refused {
            note!("not asked: track {} at {}: {error}", query.track, query.offset);
        }
        Ok(Self { asked, features })
    }
}

/// One way to answer: a precision and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) precision: &'static str,
    pub(crate) protocol: Protocol,
}

/// A row of the results: one condition, one method.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) condition: String,
    pub(crate) protocol: &'static str,
    pub(crate) probes: usize,
    pub(crate) precision: &'static str,
    pub(crate) queries: usize,
    /// Per cent of known songs whose best track is theirs.
    pub(crate) top1: f64,
    /// Per cent of known songs among the best three.
    pub(crate) top3: f64,
    /// Per cent of known songs reported unknown.
    pub(crate) known_lost: f64,
    pub(crate) unknown_queries: usize,
    /// Per cent of unknown songs reported unknown.
    pub(crate) unknown_rejected: f64,
}

/// A row of the table by rooms: one impulse response under one condition, one method, known songs only.
#[derive(Clone, Debug, Serialize)]
struct RoomRow {
    room: String,
    condition: String,
    protocol: &'static str,
    probes: usize,
    precision: &'static str,
    queries: usize,
    top1: f64,
    top3: f64,
    known_lost: f64,
}

/// What the queries of one condition, heard in one room or in none, came to by one method.
struct Tally {
    condition: String,
    room: String,
    method: Method,
    counts: Counts,
}

/// Everything that was asked and answered, over all folds.
#[derive(Default)]
pub(crate) struct Results {
    tallies: Vec<Tally>,
    raw: Vec<[String; 12]>,
}

impl Results {
    /// Adds one method's answers, in the order of the queries; `client` knows the tracks' ids.
    pub(crate) fn add(
        &mut self,
        fold: usize,
        method: Method,
        queries: &[Asked],
        answers: &[Answer],
        client: &ClientModel,
    ) {
        for (query, answer) in queries.iter().zip(answers) {
            let same = |t: &Tally| t.condition == query.condition && t.room == query.room && t.method == method;
            let place = self.tallies.iter().position(same).unwrap_or_else(|| {
                let (condition, room) = (query.condition.clone(), query.room.clone());
                self.tallies.push(Tally { condition, room, method, counts: Counts::default() });
                self.tallies.len() - 1
            });
            self.tallies[place].counts.add(answer, query.place);
            let ids = answer.tracks.iter().map(|&track| client.labels()[track as usize].track_id.to_string());
            let top = ids.collect::<Vec<_>>().join(" ");
            self.raw.push([
                fold.to_string(),
                query.track.to_string(),
                query.crop.to_string(),
                query.offset.to_string(),
                query.condition.clone(),
                query.room.clone(),
                query.known().to_string(),
                method.protocol.name().into(),
                method.protocol.probes().to_string(),
                method.precision.into(),
                top,
                answer.known.to_string(),
            ]);
        }
    }

    /// One row per condition and method.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut whole: Vec<(&str, Method, Counts)> = Vec::new();
        for Tally { condition, method, counts, .. } in &self.tallies {
            match whole.iter_mut().find(|(c, m, _)| c == condition && m == method) {
                Some((_, _, sum)) => sum.merge(*counts),
                None => whole.push((condition, *method, *counts)),
            }
        }
        let row = |(condition, method, t): (&str, Method, Counts)| Row {
            condition: condition.into(),
            protocol: method.protocol.name(),
            probes: method.protocol.probes(),
            precision: method.precision,
            queries: t.known,
            top1: percent(t.top_1, t.known),
            top3: percent(t.top_3, t.known),
            known_lost: percent(t.lost, t.known),
            unknown_queries: t.strangers,
            unknown_rejected: percent(t.rejected, t.strangers),
        };
        whole.into_iter().map(row).collect()
    }

    /// One row per room, condition and method, rooms by name.
    fn rooms(&self) -> Vec<RoomRow> {
        let row = |Tally { condition, room, method, counts }: &Tally| RoomRow {
            room: room.clone(),
            condition: condition.clone(),
            protocol: method.protocol.name(),
            probes: method.protocol.probes(),
            precision: method.precision,
            queries: counts.known,
            top1: percent(counts.top_1, counts.known),
            top3: percent(counts.top_3, counts.known),
            known_lost: percent(counts.lost, counts.known),
        };
        let heard = self.tallies.iter().filter(|tally| !tally.room.is_empty() && tally.counts.known > 0);
        let mut rows: Vec<RoomRow> = heard.map(row).collect();
        rows.sort_by(|a, b| a.room.cmp(&b.room));
        rows
    }

    /// Writes `rows.csv` (the table), `rooms.csv` (the same by impulse response, where queries were heard through any) and `queries.csv`
    /// (one line per query and method) to a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut table = csv::Writer::from_path(folder.join("rows.csv"))?;
        self.rows().iter().try_for_each(|row| table.serialize(row))?;
        table.flush()?;
        let rooms = self.rooms();
        if !rooms.is_empty() {
            let mut table = csv::Writer::from_path(folder.join("rooms.csv"))?;
            rooms.iter().try_for_each(|row| table.serialize(row))?;
            table.flush()?;
        }
        let mut raw = csv::Writer::from_path(folder.join("queries.csv"))?;
        raw.write_record([
            "fold",
            "track",
            "crop",
            "offset",
            "condition",
            "room",
            "in_library",
            "protocol",
            "probes",
            "precision",
            "top",
            "reported_known",
        ])?;
        self.raw.iter().try_for_each(|line| raw.write_record(line))?;
        raw.flush()?;
        Ok(())
    }
}

/// Prints rows for people.
pub(crate) fn human(rows: &[Row]) {
    println!(
        "{:<14} {:<10} {:>6} {:<10} {:>7} {:>6} {:>6} {:>6} {:>9} {:>9}",
        "condition", "protocol", "probes", "precision", "queries", "top-1", "top-3", "lost", "strangers", "rejected"
    );
    for r in rows {
        println!(
            "{:<14} {:<10} {:>6} {:<10} {:>7} {:>6.1} {:>6.1} {:>6.1} {:>9} {:>9.1}",
            r.condition,
            r.protocol,
            r.probes,
            r.precision,
            r.queries,
            r.top1,
            r.top3,
            r.known_lost,
            r.unknown_queries,
            r.unknown_rejected
        );
    }
}
