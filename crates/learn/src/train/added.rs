//! [`add_tracks`]: new tracks for a model that is trained, without training it again.
//!
//! The space, the trunk and the routing stay as they are. A new passage gets a row as `quick` makes them, the mean of its disturbed clips,
//! and lives in the clusters that the router leads nearly all of those clips to. Its bias follows from the rows that are there: how much a row
//! resembles the others says, along a line, how much of a hub it is, and what is taken off for that.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};
use sordino_audio::{AugmentSpec, ImpulseBank, NoiseBank};
use sordino_corpus::{MelTable, follows_from_sound, part_ids};
use sordino_model::circuit::{Clear, StageId};
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientModel, Library, NewRow, Pair, PairError, Protocol, Row, ServerModel};

use crate::examples::{Examples, rounds};
use crate::heads::hubness::hubness;
use crate::math::grid::UniformGrid;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::training_run::TrainingRun;
use crate::sound::clip_examples::ClipExamples;
use crate::sound::{AugmentedClips, Clips, labels};
use crate::space::unit_vectors::prototypes;
use crate::{LearnError, TrainConfig, model::integer_answers};

/// What became of new tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// Ids of those that were added.
    pub tracks: Vec<u32>,
    /// Those that are in the library already by their sound: their place in the table, and the id of the track that each is.
    pub known: Vec<(u32, u32)>,
    /// Slots of every cluster before and after: more where the new rows filled one.
    pub slots: (usize, usize),
}

/// Tracks that a library does not have, and how training clips of them are made.
#[derive(Clone, Copy, Debug)]
pub struct NewTracks<'a> {
    /// Their sound.
    pub table: &'a MelTable,
    /// The training part of the noise.
    pub noise: &'a NoiseBank,
    /// The training part of the rooms.
    pub impulses: &'a ImpulseBank,
    /// What the model was trained with.
    pub config: &'a TrainConfig,
    /// Whether a track that is there already is added too, as a copy.
    pub copies: bool,
}

/// Adds tracks to the library of a model. A track that the model names by nearly all its passages in step, undisturbed, is there already.
/// Where ids are taken, the new ones are parted from them as [`part_ids`] does.
///
/// # Errors
/// [`LearnError`] for settings, sound or banks that do not suit, a model of other features, or where `progress` asks to stop.
pub fn add_tracks(
    client: &ClientModel,
    server: &ServerModel,
    new: &NewTracks<'_>,
    progress: &dyn Progress,
) -> Result<(Library, Added), LearnError> {
    let NewTracks { table, noise, impulses, config, copies } = *new;
    config.validate()?;
    let mut library = Library::of(client, server)?;
    let run = TrainingRun {
        device: config.device.open()?,
        // Other clips than those of training, should it be a track of training.
        seed: config.seed ^ 0x0add,
        checkpoints: Checkpoints::none(),
        progress,
    };
    let clips = |augment: &AugmentSpec| {
        AugmentedClips::new(table, noise, impulses, augment, config.split())?.with_passages(config.passage_hop)
    };
    let network = client.front().network();
    let undisturbed = clips(&AugmentSpec::clean())?;
    let clean = ClipExamples::new(&undisturbed, table.spec(), config.statistics, network.cloned())?;
    if clean.width() != client.front().width() {
        let (found, expected) = (vec![clean.width()], vec![client.front().width()]);
        return Err(LearnError::Shape { what: "features of the new tracks", found, expected });
    }
    let mut known = known(client, server, &clean, &run)?;
    // What has the id of a track, and that follows from the sound, is that track.
    for (track, id) in (0..).zip(table.tracks().iter().map(|track| track.id)) {
        if follows_from_sound(id) && library.find(id).is_ok() {
            known.insert(track, id);
        }
    }
    let songs = undisturbed.songs();

    let disturbed = clips(&config.augment)?;
    let examples = ClipExamples::new(&disturbed, table.spec(), config.statistics, network.cloned())?;
    let classes = examples.classes();
    let of = classes.rounds(config.clips_per_track, 4);
    let features = rounds::draw(&examples, &(0..classes.len()), 0..of, of, &run)?;
    let rows = rows(client, server, features.view(), classes.len(), config)?;
    let places = Places::of(client, server.hierarchy(), features.view(), classes.len(), config)?;

    let mut added = Added { slots: (library.slots(), library.slots()), ..Added::default() };
    let mut ids: Vec<u32> = table.tracks().iter().map(|track| track.id).collect();
    part_ids(library.labels().iter().map(|label| label.track_id), &mut ids)?;
    for (track, mut label) in labels(table).into_iter().enumerate() {
        label.track_id = ids[track];
        let there = known.get(&(track as u32)).copied();
        if let Some(there) = there.filter(|_| !copies) {
            added.known.push((track as u32, there));
            continue;
        }
        let passages = (0..classes.len()).filter(|&class| classes.label(class) as usize == track);
        let new: Vec<NewRow> = passages
            .map(|class| {
                let start =
                    examples.start(class).map_or(0, |start| u32::try_from(start.as_millis()).unwrap_or(u32::MAX));
                let (weights, bias, flat_bias) = rows[class].clone();
                NewRow { row: Row { weights, bias, start }, groups: places.of_class(class, config.spill), flat_bias }
            })
            .collect();
        let first = songs.of(track as u32) as usize;
        let copy_of = there.or_else(|| (first != track && added.tracks.contains(&ids[first])).then(|| ids[first]));
        added.tracks.push(label.track_id);
        library.add(label, &new, copy_of)?;
    }
    added.slots.1 = library.slots();
    Ok((library, added))
}

/// New tracks by their places that the model names by three quarters of their passages or more, all as far into the track that it takes
/// them for as they are into their own, give or take half a query; each with that track's id. Other parts of the same music are named too,
/// but not in step.
fn known(
    client: &ClientModel,
    server: &ServerModel,
    clean: &ClipExamples<'_>,
    run: &TrainingRun<'_>,
) -> Result<BTreeMap<u32, u32>, LearnError> {
    let classes = clean.classes();
    let features = rounds::draw(clean, &(0..clean.classes().len()), 0..1, 1, run)?;
    let answers = integer_answers(&Pair::new(client, server)?, Protocol::Flat, features.view())?;
    let reach = client.front().spec()?.query_seconds / 2.0;
    // How far what was found lies behind what was asked, for every track that was named; all alike where the model tells no places.
    let mut lags: BTreeMap<(u32, u32), Vec<f32>> = BTreeMap::new();
    for (class, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.known) {
        if let Some(&label) = answer.tracks.first() {
            let own = clean.start(class).map_or(0.0, |start| start.as_secs_f32());
            lags.entry((classes.label(class), label)).or_default().push(answer.start.map_or(0.0, |found| found - own));
        }
    }
    let same = |((track, label), mut lags): ((u32, u32), Vec<f32>)| {
        let passages = classes.all().iter().filter(|&&other| other == track).count();
        lags.sort_by(f32::total_cmp);
        let median = lags[lags.len() / 2];
        let in_step = lags.iter().filter(|lag| (*lag - median).abs() <= reach).count();
        (4 * in_step >= 3 * passages).then(|| (track, client.labels()[label as usize].track_id))
    };
    Ok(lags.into_iter().filter_map(same).collect())
}

/// The row of every class: integer weights, and its bias in the hierarchy and in `flat`.
fn rows(
    client: &ClientModel,
    server: &ServerModel,
    features: ArrayView2<f32>,
    classes: usize,
    config: &TrainConfig,
) -> Result<Vec<(Vec<i8>, i32, i32)>, LearnError> {
    let head = client.front().head(client.hierarchy().heads()[client.hierarchy().heads().len() - 1])?;
    let vectors = head.embed_batch(features)?;
    let of: Vec<u32> = (0..vectors.nrows()).map(|i| (i % classes) as u32).collect();
    let prototypes = prototypes(vectors.view(), &of, classes);
    let grid = UniformGrid::for_unit_vectors(config.tracks.weight_bits, vectors.ncols())?;
    let integers = prototypes.mapv(|w| grid.integer(w) as f32);
    let last = Line::fit(server.hierarchy().last()).biases(integers.view());
    let flat = server.own_flat().map(|flat| Line::fit(flat.last()).biases(integers.view()));
    let row = |class: usize| {
        // A grid of at most 8 bits gives at most 127.
        let weights = integers.row(class).iter().map(|&w| w as i8).collect();
        (weights, last[class], flat.as_ref().map_or(0, |flat| flat[class]))
    };
    Ok((0..classes).map(row).collect())
}

/// How the biases of a stage's rows follow from how much each resembles the others: along a line of least squares.
struct Line {
    rows: Array2<f32>,
    at_zero: f32,
    slope: f32,
}

impl Line {
    /// Most rows that the line is fitted to.
    const ROWS: usize = 4_096;

    fn fit(stage: &Stage) -> Self {
        let slots: Vec<(usize, usize)> =
            (0..stage.groups()).flat_map(|group| (0..stage.count(group)).map(move |slot| (group, slot))).collect();
        let step = slots.len().div_ceil(Self::ROWS).max(1);
        let some: Vec<(usize, usize)> = slots.into_iter().step_by(step).collect();
        let weight = |(row, i): (usize, usize)| f32::from(stage.row(some[row].0, some[row].1)[i]);
        let rows = Array2::from_shape_fn((some.len(), stage.input().width), weight);
        let likeness = Self::likeness(rows.view(), rows.view());
        let biases: Vec<f32> = some.iter().map(|&(group, slot)| stage.bias(group, slot) as f32).collect();
        let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len().max(1) as f32;
        let (mean_x, mean_y) = (mean(&likeness), mean(&biases));
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (x, y) in likeness.iter().zip(&biases) {
            covariance += (x - mean_x) * (y - mean_y);
            variance += (x - mean_x) * (x - mean_x);
        }
        let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
        Self { rows, at_zero: mean_y - slope * mean_x, slope }
    }

    /// How much of a hub each row is among the others. One that is among them does not count itself.
    fn likeness(rows: ArrayView2<f32>, others: ArrayView2<f32>) -> Vec<f32> {
        hubness(rows, others, |row, other| rows.row(row) == others.row(other))
    }

    fn biases(&self, rows: ArrayView2<f32>) -> Vec<i32> {
        let bias = |likeness: f32| (self.at_zero + self.slope * likeness).round() as i32;
        Self::likeness(rows, self.rows.view()).into_iter().map(bias).collect()
    }
}

/// Where the router leads the clips of every class.
struct Places {
    /// Share of the clips that go to each group of the last stage first, and their mean score there to tell equals apart.
    shares: Vec<BTreeMap<usize, (f32, f32)>>,
}

impl Places {
    /// Share of a class's clips whose first choice holds its row. The router has not learned the class, so they scatter.
    const COVERED: f32 = 0.9;
    /// Groups that a row may live in for that, beyond those that every row lives in.
    const MORE: usize = 3;

    fn of(
        client: &ClientModel,
        hierarchy: &Hierarchy,
        features: ArrayView2<f32>,
        classes: usize,
        config: &TrainConfig,
    ) -> Result<Self, LearnError> {
        const AT_ONCE: usize = 1_024;
        let keep = config.spill + Self::MORE;
        let (stages, clear) = (hierarchy.stages(), Clear::new(hierarchy));
        let mut shares = vec![BTreeMap::<usize, (f32, f32)>::new(); classes];
        let rounds = (features.nrows() / classes.max(1)).max(1) as f32;
        for (chunk, features) in features.axis_chunks_iter(Axis(0), AT_ONCE).enumerate() {
            let scores = client.hierarchy().heads()[..stages.len() - 1].iter().enumerate().map(|(stage, &head)| {
                let inputs = client.front().head(head)?.input_batch(features)?;
                Ok(clear.linear_batch(StageId(stage), inputs.view()).map_err(PairError::from)?)
            });
            let scores: Vec<Array2<i64>> = scores.collect::<Result<_, LearnError>>()?;
            for clip in 0..features.nrows() {
                let class = (chunk * AT_ONCE + clip) % classes;
                // The best paths, as a client that probes so many would take them.
                let paths =
                    scores.iter().zip(stages).fold(vec![(0, 0.0)], |paths: Vec<(usize, f32)>, (scores, stage)| {
                        let below = |&(group, so_far): &(usize, f32)| {
                            let slots = 0..stage.count(group);
                            let place = group * stage.outputs();
                            slots
                                .map(move |slot| (place + slot, so_far + scores[(clip, place + slot)] as f32))
                                .collect::<Vec<_>>()
                        };
                        let mut next: Vec<(usize, f32)> = paths.iter().flat_map(below).collect();
                        next.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                        next.truncate(keep);
                        next
                    });
                for (rank, (group, score)) in paths.into_iter().enumerate() {
                    let place = shares[class].entry(group).or_default();
                    place.0 += if rank == 0 { 1.0 / rounds } else { 0.0 };
                    place.1 += score / rounds;
                }
            }
        }
        Ok(Self { shares })
    }

    /// The likeliest groups for a class: `spill` of them, or more until they cover nearly all of its clips.
    fn of_class(&self, class: usize, spill: usize) -> Vec<usize> {
        let mut likeliest: Vec<(usize, (f32, f32))> =
            self.shares[class].iter().map(|(&g, &share)| (g, share)).collect();
        likeliest.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then(b.1.1.total_cmp(&a.1.1)).then(a.0.cmp(&b.0)));
        likeliest.truncate(spill.max(1) + Self::MORE);
        let mut covered = 0.0;
        let enough = |(place, (group, (share, _))): (usize, (usize, (f32, f32)))| {
            let wanted = place < spill.max(1) || covered < Self::COVERED && share > 0.0;
            covered += share;
            wanted.then_some(group)
        };
        likeliest.into_iter().enumerate().map_while(enough).collect()
    }
}
