//! The whole of learning, in order: [`train`] for indexed music, [`train_on`] for clips from anywhere, [`train_vectors`] for
//! vectors that are no sound at all; afterwards [`add_tracks`] for a few more tracks, and [`tune`] for other surroundings.

mod added;
mod crowded;
mod front_heads;
mod job;
mod leaves;
mod parts;
mod sound;
mod tuned;
mod vectors;

use std::time::Duration;

use ndarray::{Array2, ArrayView2, Axis};
use sordino_front::Front;
use sordino_model::HeldOut;

use crate::clusters::tree::Tree;
use crate::examples::{Classes, Examples, Songs};
use crate::heads::routing::Router;
use crate::heads::{hubness, last_stage, nearest, routing};
use crate::run::training_run::TrainingRun;
use crate::space::unit_vectors::{Rows, Sight, UnitVectors};
use crate::unknown::imitation::{Imitation, LeftOut, Strangers, Unknown};
use crate::unknown::threshold::Calibration;
use crate::{FloatModel, LearnError, TrainConfig};
use crowded::Crowded;
use job::{Gathered, Job};

pub use added::{Added, NewTracks, add_tracks};
pub use parts::{Merged, Step, merge_parts, merge_vectors, train_part, train_vectors_part};
pub use sound::{train, train_on};
pub use tuned::{Change, Shares, Surroundings, Tuned, tune};
pub use vectors::train_vectors;

/// Learns from examples: whitening, clusters, routing stages, the last stage, the flat classifier, and their unknown thresholds.
fn learn(
    examples: &dyn Examples,
    songs: Songs,
    config: &TrainConfig,
    run: &TrainingRun<'_>,
) -> Result<FloatModel, LearnError> {
    // Said before hours are spent.
    branching(config, examples.classes().len() + config.distractors.rows)?;
    let job = Job::new(examples, config)?;
    let works = examples.works(&songs);
    let gathered = job.whole(&works, run)?;
    conclude(&job, songs, &works, gathered, run)
}

/// The end of learning: all that needs every part of the library.
fn conclude(
    job: &Job<'_>,
    songs: Songs,
    works: &Songs,
    gathered: Gathered<'_>,
    run: &TrainingRun<'_>,
) -> Result<FloatModel, LearnError> {
    let Job { examples, config, .. } = *job;
    let unknown = strangers(job, works, &gathered.imitations)?;
    let Crowded { classes, songs, frequencies, gathered } = job.crowded(songs, works, gathered)?;
    let Gathered { space: whitening, prototypes, sample, rows: projected, held_out, .. } = gathered;
    let branching = branching(config, classes.len())?;
    if !config.distractors.is_none() {
        run.end_of("distractors")?;
    }

    let rotation = job.rotation(&whitening);
    let space = whitening.narrowed(config.width).rotated(rotation.view());
    let mut tree = Tree::grow(prototypes.view(), &branching, config.clusters, config.seed)?;

    run.end_of("clusters")?;

    // Where nothing is learned from them, nobody looks at the examples.
    let nothing = Array2::zeros((0, whitening.width()));
    let projected: &dyn Rows = projected.as_deref().unwrap_or(&nothing);
    let vectors = |width, rotation| UnitVectors::new(projected, Sight { width, rotation }, classes.len());
    let last_seen = vectors(config.width, Some(rotation.view()));
    let seen = if config.router.learned { vectors(config.router.directions, None) } else { last_seen };
    let route = |tree: &Tree, suffix: &str| {
        let stage = |stage| {
            if !config.router.learned {
                return nearest::nearest(prototypes.view(), tree, stage, &config.router);
            }
            let phase = format!("routing {stage}{suffix}");
            routing::train(&seen, &frequencies, tree, stage, &config.router, &phase, run)
        };
        (0..branching.len()).map(stage).collect::<Result<Vec<Router>, LearnError>>()
    };
    let balance = config.clusters.balance;
    for round in 0..config.clusters.learned {
        let routers = route(&tree, &format!(", to be learned {round}"))?;
        tree = tree.reassigned(&leaves::probabilities(&seen, &tree, &routers)?, balance);
    }
    if config.spill > 1 {
        let routers = route(&tree, ", to be spilled")?;
        let candidates = leaves::likeliest(&leaves::probabilities(&seen, &tree, &routers)?, config.spill + 4);
        tree = tree.spilled(&candidates, config.spill, balance);
    }
    let tree = tree.replicated(config.clusters.prototypes);
    let routers = route(&tree, "")?;

    let song = |class: usize| songs.of(classes.label(class));
    let of_sample: Vec<u32> = job.sample().iter().map(|(_, class)| song(class)).collect();
    let same_song = |row: usize, example: usize| song(row) == of_sample[example];
    let biases = hubness::biases(prototypes.view(), sample.view(), config.tracks.hubness, same_song);
    run.end_of("hubs")?;
    let rows = |tree: &Tree, phase| {
        let stage = last_stage::train(&last_seen, prototypes.view(), tree, &classes, &config.tracks, phase, run)?;
        Ok::<_, LearnError>(last_stage::biased(stage, tree, &biases))
    };
    let last = rows(&tree, "tracks")?;
    let flat = if config.flat && !branching.is_empty() {
        let all = Tree::grow(prototypes.view(), &[], config.clusters, config.seed)?;
        Some(rows(&all, "flat")?)
    } else {
        None
    };

    let router_space = whitening.narrowed(config.router.directions);
    let heads = front_heads::heads(examples.width(), config, &router_space, &space, &routers)?;
    let front = examples.front(heads)?;
    let of: Vec<usize> = job.held_out().iter().map(|(_, class)| class).collect();
    let (inputs, kept) = kept(&classes, &front, &of, held_out.view())?;
    let scale = front.head(branching.len())?.quantiser().scale;
    let calibration = Calibration {
        inputs,
        of: &of,
        scale,
        classes: &classes,
        songs: &songs,
        unknown: &unknown,
        settings: config.unknown,
        looked_into: config.looked_into(),
    };
    let threshold = calibration.threshold(&last, tree.leaves());
    let all = [(0..classes.len() as u32).collect()];
    let flat = flat.map(|flat| (calibration.threshold(&flat, &all), flat)).map(|(threshold, flat)| (flat, threshold));
    run.end_of("thresholds")?;
    let stages = routers.into_iter().map(|router| router.stage).chain([last]).collect();
    // A song that does not exist begins at its beginning.
    let real = examples.classes().len();
    let start = |class| if class < real { examples.start(class) } else { Some(Duration::ZERO) };
    let starts = (0..classes.len()).map(start).collect();
    Ok(FloatModel {
        config: config.clone(),
        front,
        classes,
        starts,
        songs,
        tree,
        stages,
        threshold,
        flat,
        held_out: kept,
    })
}

/// Scores of imitated unknown songs.
fn strangers(job: &Job<'_>, works: &Songs, imitations: &[Imitation]) -> Result<Vec<Unknown>, LearnError> {
    let classes = job.examples.classes();
    let strangers = Strangers { classes, songs: works, rounds: job.fitted, config: job.config };
    let mut scores = Vec::new();
    for (left_out, imitation) in LeftOut::in_turn(classes, works).iter().zip(imitations) {
        scores.extend(strangers.scores(left_out, imitation)?);
    }
    Ok(scores)
}

/// Slots of every routing stage, where there are classes enough to fill them: said before hours are spent.
fn branching(config: &TrainConfig, classes: usize) -> Result<Vec<usize>, LearnError> {
    let branching = config.branching(classes);
    let clusters = |branching: &[usize]| branching.iter().product::<usize>();
    if clusters(&branching) <= classes {
        return Ok(branching);
    }
    let alone = TrainConfig { spill: 1, ..config.clone() }.branching(classes);
    if clusters(&alone) <= classes {
        let expected = format!("fewer, for no more clusters than the {classes} passages that there are");
        return Err(LearnError::Setting { setting: "spill", found: config.spill.to_string(), expected });
    }
    let (found, expected) = (clusters(&branching).to_string(), format!("1 to {classes}, the number of passages"));
    Err(LearnError::Setting { setting: "clusters", found, expected })
}

/// Integer vectors of examples that training has not seen, each of the class that `of` says, as the last stage sees them:
/// `[examples, width]`. And some of the examples before that, evenly spread, whose ids are labels.
fn kept(
    classes: &Classes,
    front: &Front,
    of: &[usize],
    features: ArrayView2<f32>,
) -> Result<(Array2<f32>, HeldOut), LearnError> {
    /// Examples that are kept: a share of them has a standard error of two points and a half at most.
    const KEPT: usize = 400;
    /// Examples that are embedded at once.
    const AT_ONCE: usize = 2_048;
    let head = front.head(front.heads().len() - 1)?;
    let mut inputs = Array2::zeros((features.nrows(), head.quantiser().bound.width));
    let blocks = inputs.axis_chunks_iter_mut(Axis(0), AT_ONCE).zip(features.axis_chunks_iter(Axis(0), AT_ONCE));
    for (mut inputs, features) in blocks {
        inputs.assign(&head.input_batch(features)?.mapv(|v| v as f32));
    }
    let some = features.nrows().min(KEPT);
    let some: Vec<usize> = (0..some).map(|i| i * features.nrows() / some).collect();
    let ids = some.iter().map(|&place| classes.label(of[place])).collect();
    Ok((inputs, HeldOut { features: features.select(Axis(0), &some), ids }))
}
