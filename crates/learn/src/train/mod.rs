//! The whole of learning, in order: [`train`] for indexed music, [`train_on`] for clips from anywhere, [`train_vectors`] for
//! vectors that are no sound at all; afterwards [`add_tracks`] for a few more tracks, and [`tune`] for other surroundings.

mod added;
mod front_heads;
mod leaves;
mod sound;
mod training_set;
mod tuned;
mod vectors;

use ndarray::{Array2, ArrayView2, Axis};
use sordino_front::Front;
use sordino_model::HeldOut;

use crate::clusters::tree::Tree;
use crate::examples::{Classes, Examples, Purpose, Songs, rounds};
use crate::heads::routing::Router;
use crate::heads::{hubness, last_stage, nearest, routing};
use crate::math::random::random_rotation;
use crate::run::training_run::TrainingRun;
use crate::space::unit_vectors::UnitVectors;
use crate::unknown::threshold::Calibration;
use crate::{FloatModel, LearnError, TrainConfig};
use training_set::TrainingSet;

pub use added::{Added, NewTracks, add_tracks};
pub use sound::{train, train_on};
pub use tuned::{Change, Shares, Surroundings, Tuned, tune};
pub use vectors::train_vectors;

/// Learns from examples: whitening, clusters, routing stages, the last stage, the flat classifier, and their unknown thresholds.
fn learn(examples: &dyn Examples, config: &TrainConfig, run: &TrainingRun<'_>) -> Result<FloatModel, LearnError> {
    let songs = examples.songs();
    let classes = examples.classes().clone();
    let branching = branching(config, classes.len())?;
    let set = TrainingSet::draw(examples, config, run)?;

    // The projected vectors are coordinates in the whitened space already; only the rotation is left to do.
    let narrow = set.whitening.narrowed(config.width);
    let rotation = random_rotation(narrow.width(), config.seed);
    let space = narrow.rotated(rotation.view());
    let vectors = set.vectors(config.width, Some(rotation.view()));
    let prototypes = vectors.prototypes();
    let mut tree = Tree::grow(prototypes.view(), &branching, config.clusters, config.seed)?;

    run.end_of("clusters")?;

    let seen = if config.router.learned { set.vectors(config.router.directions, None) } else { vectors };
    let route = |tree: &Tree, suffix: &str| {
        let stage = |stage| {
            if !config.router.learned {
                return nearest::nearest(prototypes.view(), tree, stage, &config.router);
            }
            let phase = format!("routing {stage}{suffix}");
            routing::train(&seen, &set.frequencies, tree, stage, &config.router, &phase, run)
        };
        (0..branching.len()).map(stage).collect::<Result<Vec<Router>, LearnError>>()
    };
    let balance = config.clusters.balance;
    for round in 0..config.clusters.learned {
        let routers = route(&tree, &format!(", to be learned {round}"))?;
        tree = tree.reassigned(&leaves::probabilities(&seen, &tree, &routers), balance);
    }
    if config.spill > 1 {
        let routers = route(&tree, ", to be spilled")?;
        let candidates = leaves::likeliest(&leaves::probabilities(&seen, &tree, &routers), config.spill + 4);
        tree = tree.spilled(&candidates, config.spill, balance);
    }
    let tree = tree.replicated(config.clusters.prototypes);
    let routers = route(&tree, "")?;

    let biases = biases(&vectors, prototypes.view(), &classes, &songs, config.tracks.hubness);
    run.end_of("hubs")?;
    let rows = |tree: &Tree, phase| {
        let stage = last_stage::train(&vectors, prototypes.view(), tree, &classes, &config.tracks, phase, run)?;
        Ok::<_, LearnError>(last_stage::biased(stage, tree, &biases))
    };
    let last = rows(&tree, "tracks")?;
    let flat = if config.flat && !branching.is_empty() {
        let all = Tree::grow(prototypes.view(), &[], config.clusters, config.seed)?;
        Some(rows(&all, "flat")?)
    } else {
        None
    };

    let router_space = set.whitening.narrowed(config.router.directions);
    let heads = front_heads::heads(examples.width(), config, &router_space, &space, &routers)?;
    let front = examples.front(heads)?;
    let (inputs, held_out) = held_out(examples, &front, config.unknown.clips, run)?;
    let scale = front.head(branching.len())?.quantiser().scale;
    let calibration = Calibration {
        inputs,
        scale,
        classes: &classes,
        songs: &songs,
        unknown: &set.unknown,
        settings: config.unknown,
        looked_into: config.looked_into(),
    };
    let threshold = calibration.threshold(&last, tree.leaves());
    let all = [(0..classes.len() as u32).collect()];
    let flat = flat.map(|flat| (calibration.threshold(&flat, &all), flat)).map(|(threshold, flat)| (flat, threshold));
    run.end_of("thresholds")?;
    let stages = routers.into_iter().map(|router| router.stage).chain([last]).collect();
    let starts = (0..classes.len()).map(|class| examples.start(class)).collect();
    Ok(FloatModel { config: config.clone(), front, classes, starts, songs, tree, stages, threshold, flat, held_out })
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

/// What is added to the scores of every class's row: its hubness taken off, as far as `strength` says.
fn biases(
    vectors: &UnitVectors<'_>,
    prototypes: ArrayView2<f32>,
    classes: &Classes,
    songs: &Songs,
    strength: f32,
) -> Vec<f32> {
    let sample = hubness::sample(vectors.len());
    let song = |class: usize| songs.of(classes.label(class));
    let same_song = |row: usize, i: usize| song(row) == song(sample[i] % classes.len());
    hubness::biases(prototypes, vectors.of(&sample).view(), strength, same_song)
}

/// Integer vectors of examples that training has not seen, as the last stage sees them: `[rounds * classes, width]`. And some of them
/// before that, of as many classes as can be, whose ids are labels.
fn held_out(
    examples: &dyn Examples,
    front: &Front,
    per_label: usize,
    run: &TrainingRun<'_>,
) -> Result<(Array2<f32>, HeldOut), LearnError> {
    /// Examples that are kept: a share of them has a standard error of two points and a half at most.
    const KEPT: usize = 400;
    let head = front.head(front.heads().len() - 1)?;
    let classes = examples.classes();
    let (of, count) = (classes.rounds(per_label, 1), classes.len());
    let mut inputs = Array2::zeros((of * count, head.quantiser().bound.width));
    // The same number of every round, as far apart as can be.
    let stride = (of * count).div_ceil(KEPT).max(1);
    let mut features = Array2::zeros(((of * count).div_ceil(stride), examples.width()));
    let mut ids = Vec::with_capacity(features.nrows());
    for (round, mut block) in inputs.axis_chunks_iter_mut(Axis(0), count).enumerate() {
        let vectors = rounds::draw(examples, Purpose::Calibration, round..round + 1, of, run)?;
        block.assign(&head.input_batch(vectors.view())?.mapv(|v| v as f32));
        for class in (0..count).filter(|class| (round * count + class).is_multiple_of(stride)) {
            features.row_mut(ids.len()).assign(&vectors.row(class));
            ids.push(classes.label(class));
        }
    }
    Ok((inputs, HeldOut { features, ids }))
}
