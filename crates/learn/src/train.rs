//! [`train`]: the whole of learning, in order.

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};
use sha2::{Digest, Sha256};
use sordino_audio::{ImpulseBank, NoiseBank};
use sordino_corpus::MelTable;
use sordino_front::{Activation, FeatureSpec, Front, Head, Layer, Network, Quantiser};

use crate::clusters::tree::Tree;
use crate::examples::passages::Passages;
use crate::heads::routing::Routing;
use crate::heads::trunk::Affine;
use crate::heads::{hubness, last, routing};
use crate::model::FloatModel;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::session::{Session, stream};
use crate::sound::augmented::Augmented;
use crate::sound::clips::Clips;
use crate::sound::embedding;
use crate::space::examples::Examples;
use crate::space::pool::{Pool, Purpose, Rounds};
use crate::space::whitening::{Whitening, WhiteningSettings, random_rotation};
use crate::unknown::threshold::Calibration;
use crate::{Grid, LearnError, TrainConfig};

/// Trains a model for a table of cached mel power, disturbed with the training parts of the banks. With a folder for
/// checkpoints, a run that was stopped goes on where it was, to the same result.
///
/// # Errors
/// As [`train_on`], and [`LearnError::Audio`] for banks that do not suit `config.augment`.
pub fn train(
    table: &MelTable,
    noise: &NoiseBank,
    impulses: &ImpulseBank,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FloatModel, LearnError> {
    config.validate()?;
    let library = Augmented::new(table, noise, impulses, &config.augment, config.split())?
        .with_passages(config.passage_hop)?
        .with_recorded_share(config.recorded_share)?;
    train_on(&library, table.spec(), config, checkpoints, progress)
}

/// Trains a model on clips from anywhere: the embedding network where there is one, whitening, clusters, routing stages,
/// the last stage, the flat classifier, and their unknown thresholds.
///
/// # Errors
/// [`LearnError`] for settings outside their range, a library that is too small, sound that cannot be used, training
/// that diverges, checkpoints that cannot be written, or where `progress` asks to stop.
pub fn train_on(
    library: &dyn Clips,
    spec: &FeatureSpec,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FloatModel, LearnError> {
    config.validate()?;
    let checkpoints = match checkpoints {
        Some(folder) => {
            let identity = identity(library, spec, config, folder)?;
            Checkpoints::new(folder, identity, config.checkpoint_every)?
        }
        None => Checkpoints::none(),
    };
    let device = config.device.open()?.autodiff();
    let session = Session { device, seed: config.seed, checkpoints, progress };

    let network =
        config.embedding.as_ref().map(|settings| embedding::train(library, spec, settings, &session)).transpose()?;
    let features = extractor(spec, config, network)?;
    let directions = config.width.max(config.router.directions);
    let settings = WhiteningSettings { width: directions, ridge: config.ridge };
    let pool = Pool::draw(library, &features, config, settings, &session)?;

    // The projected features are coordinates in the whitened space already; only the rotation is left to do.
    let narrow = pool.whitening.narrowed(config.width);
    let rotation = random_rotation(narrow.width(), config.seed);
    let space = narrow.rotated(rotation.view());
    let examples = pool.examples(config.width, Some(rotation.view()));
    let prototypes = examples.prototypes();
    let passages = library.passages();
    let branching = config.branching(passages.len());
    let mut tree = Tree::grow(prototypes.view(), &branching, config.clusters, config.seed)?;

    session.done("clusters")?;

    let seen = pool.examples(config.router.directions, None);
    let route = |tree: &Tree, suffix: &str| {
        let stage = |stage| {
            let phase = format!("routing {stage}{suffix}");
            routing::train(&seen, &pool.turns, tree, stage, &config.router, &phase, &session)
        };
        (0..branching.len()).map(stage).collect::<Result<Vec<Routing>, LearnError>>()
    };
    let balance = config.clusters.balance;
    for round in 0..config.clusters.learned {
        let routings = route(&tree, &format!(", to be learned {round}"))?;
        tree = tree.reassigned(&worth(&seen, &tree, &routings), balance);
    }
    if config.spill > 1 {
        let routings = route(&tree, ", to be spilled")?;
        let candidates = candidates(&worth(&seen, &tree, &routings), config.spill + 4);
        tree = tree.spilled(&candidates, config.spill, balance);
    }
    let tree = tree.replicated(config.clusters.prototypes);
    let routings = route(&tree, "")?;

    let biases = biases(&examples, prototypes.view(), &passages, config.tracks.hubness);
    session.done("hubs")?;
    let rows = |tree: &Tree, phase| {
        let stage = last::train(&examples, prototypes.view(), tree, &passages, &config.tracks, phase, &session)?;
        Ok::<_, LearnError>(last::biased(stage, tree, &biases))
    };
    let last = rows(&tree, "tracks")?;
    let flat = if config.flat && !branching.is_empty() {
        let all = Tree::grow(prototypes.view(), &[], config.clusters, config.seed)?;
        Some(rows(&all, "flat")?)
    } else {
        None
    };

    let router_space = pool.whitening.narrowed(config.router.directions);
    let front = assemble(&features, config, &router_space, &space, &routings)?;
    let inputs = held_out(library, &front, config.unknown.clips, &session)?;
    let strangers = pool.strangers;
    let scale = front.head(branching.len())?.quantiser().scale;
    let settings = config.unknown;
    let calibration = Calibration { inputs, scale, passages: &passages, strangers, settings };
    let threshold = calibration.threshold(&last, tree.leaves());
    let all = [(0..passages.len() as u32).collect()];
    let flat = flat.map(|flat| (calibration.threshold(&flat, &all), flat)).map(|(threshold, flat)| (flat, threshold));
    session.done("thresholds")?;
    let stages = routings.into_iter().map(|routing| routing.stage).chain([last]).collect();
    Ok(FloatModel { config: config.clone(), front, passages, tree, stages, threshold, flat })
}

/// What two runs must share to share checkpoints: settings, and some of the sound.
fn identity(
    library: &dyn Clips,
    spec: &FeatureSpec,
    config: &TrainConfig,
    folder: &Path,
) -> Result<String, LearnError> {
    const SAMPLES: usize = 16;
    let json = serde_json::to_vec(&(spec, config, library.passages()))
        .map_err(|error| LearnError::Checkpoint { path: folder.into(), reason: error.to_string() })?;
    let mut hash = Sha256::new();
    hash.update(json);
    let passages = library.passages().len();
    for i in 0..SAMPLES.min(passages) {
        for value in library.draw(i * passages / SAMPLES.min(passages), &mut stream(config.seed, i as u64))? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A front end that is only asked for base features; its head is never used.
fn extractor(spec: &FeatureSpec, config: &TrainConfig, network: Option<Network>) -> Result<Front, LearnError> {
    let width = Front::features_width(spec, config.statistics, network.as_ref());
    let quantiser = Quantiser::for_unit_vectors(width, 8, 1.0)?;
    let head = Head::new("features", width, vec![Layer::UnitNorm], quantiser)?;
    Ok(Front::new(spec.clone(), config.statistics, network, vec![head])?)
}

/// What is added to the scores of every passage's row: its hubness taken off, as far as `strength` says.
fn biases(examples: &Examples<'_>, prototypes: ArrayView2<f32>, passages: &Passages, strength: f32) -> Vec<f32> {
    let sample = hubness::sample(examples.clips());
    let of_track = |row: usize, clip: usize| passages.track(row) == passages.track(sample[clip] % passages.len());
    hubness::biases(prototypes, examples.vectors(&sample).view(), strength, of_track)
}

/// How likely every passage is led to every leaf, `[passages, leaves]`: the product of its routing probabilities, averaged over
/// its clips.
fn worth(examples: &Examples<'_>, tree: &Tree, routings: &[Routing]) -> Array2<f32> {
    const ROUNDS: usize = 16;
    let rounds = examples.rounds().min(ROUNDS);
    let mut worth = Array2::<f32>::zeros((examples.passage_count(), tree.leaves().len()));
    for round in 0..rounds {
        let vectors = examples.round(round);
        let logs: Vec<Array2<f32>> = routings.iter().map(|r| r.log_probabilities(vectors.view())).collect();
        for ((passage, leaf), worth) in worth.indexed_iter_mut() {
            let path = |(stage, logs): (usize, &Array2<f32>)| {
                let (group, slot) = tree.choice(stage, leaf);
                logs[(passage, group * tree.branching()[stage] + slot)]
            };
            *worth += logs.iter().enumerate().map(path).sum::<f32>().exp() / rounds as f32;
        }
    }
    worth
}

/// The `keep` likeliest leaves of every passage.
fn candidates(worth: &Array2<f32>, keep: usize) -> Vec<Vec<(usize, f32)>> {
    let strongest = |row: ndarray::ArrayView1<f32>| {
        let mut leaves: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
        leaves.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        leaves.truncate(keep);
        leaves
    };
    worth.rows().into_iter().map(strongest).collect()
}

/// The front end with one head per stage.
fn assemble(
    features: &Front,
    config: &TrainConfig,
    router_space: &Whitening,
    space: &Whitening,
    routings: &[Routing],
) -> Result<Front, LearnError> {
    let affine = |Affine { weight, bias }: Affine| Layer::Affine { weight, bias };
    let width = features.width();
    let mut heads = Vec::new();
    for (stage, routing) in routings.iter().enumerate() {
        let mut layers = vec![affine(router_space.affine()), Layer::UnitNorm];
        for (i, map) in routing.trunk.iter().enumerate() {
            if i > 0 {
                layers.push(Layer::Activation(Activation::Relu));
            }
            layers.push(affine(map.clone()));
        }
        layers.push(Layer::UnitNorm);
        let quantiser = quantiser(routing.input, config.router.bottleneck)?;
        heads.push(Head::new(format!("routing-{stage}"), width, layers, quantiser)?);
    }
    let layers = vec![affine(space.affine()), Layer::UnitNorm];
    let grid = Grid::for_unit_vectors(config.tracks.input_bits, space.width())?;
    heads.push(Head::new("tracks", width, layers, quantiser(grid, space.width())?)?);
    let network = features.network().cloned();
    Ok(Front::new(features.spec().clone(), config.statistics, network, heads)?)
}

fn quantiser(grid: Grid, width: usize) -> Result<Quantiser, LearnError> {
    Ok(Quantiser::for_unit_vectors(width, u32::from(grid.bits()), grid.scale())?)
}

/// Integer vectors of clips that training has not seen, as the last stage sees them: `[rounds * passages, width]`.
fn held_out(
    library: &dyn Clips,
    front: &Front,
    per_track: usize,
    session: &Session<'_>,
) -> Result<Array2<f32>, LearnError> {
    let head = front.head(front.heads().len() - 1)?;
    let passages = library.passages();
    let (rounds, passages) = (passages.rounds(per_track, 1), passages.len());
    let mut inputs = Array2::zeros((rounds * passages, head.quantiser().bound.width));
    for (round, mut block) in inputs.axis_chunks_iter_mut(Axis(0), passages).enumerate() {
        let source = Rounds { library, front, purpose: Purpose::Calibration };
        let features = source.draw(round..round + 1, rounds, session)?;
        block.assign(&head.input_batch(features.view())?.mapv(|v| v as f32));
    }
    Ok(inputs)
}
