//! [`train`]: the last stage, one quantised cosine classifier per track, all leaves trained at once.
//!
//! With one leaf this is `flat`: quantisation-aware logistic regression over the whole library. With many, every step
//! weighs each clip against the tracks of its own leaf, and against rows drawn from all leaves, so that scores stay
//! comparable between leaves: with several probes, and for the unknown threshold, they meet.

use burn::tensor::Tensor;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rand::seq::index;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::bank::{Bank, scores_in_groups};
use crate::progress::Metric;
use crate::routing::{Examples, scattered, share_correct};
use crate::stage::FloatStage;
use crate::tensor::{NEVER, array2, array3, indices, marginal_cross_entropy, tensor};
use crate::trainer::{Batches, Descent, Session, Step, stream};
use crate::tree::Tree;
use crate::{Grid, LearnError};

/// How the last stage is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackSettings {
    /// Bits of an entry of the encrypted vector, 3 to 8.
    pub input_bits: u8,
    /// Bits of a weight, 3 to 8.
    pub weight_bits: u8,
    /// Rows of all leaves that every clip is weighed against in each step. Leaves of more slots than this (a large flat
    /// library is one) are only seen through them: a sampled softmax.
    pub negatives: usize,
    /// Inverse temperature of the softmax over cosines.
    pub scale: f32,
    /// Whether that is only where it starts, to be learned with the weights.
    pub learn_scale: bool,
    /// Noise added in training to the unit vectors, as in [`crate::RouterSettings`].
    pub noise: f32,
    /// How to descend from the mean of a track's clips. With no epochs, that mean is the row.
    pub descent: Descent,
}

impl Default for TrackSettings {
    fn default() -> Self {
        let descent = Descent { epochs: 2, batch: 256, learning_rate: 1e-3, weight_decay: 0.0 };
        Self { input_bits: 6, weight_bits: 6, negatives: 1_024, scale: 16.0, learn_scale: false, noise: 2.0, descent }
    }
}

impl TrackSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.descent.validate("tracks.descent")?;
        if self.negatives == 0 || !(self.scale > 0.0 && self.scale.is_finite()) {
            let expected = "a positive number of negatives and a positive scale".into();
            return Err(LearnError::Setting { setting: "tracks", found: format!("{self:?}"), expected });
        }
        Ok(())
    }
}

/// Trains the last stage below `tree`. `examples.inputs` are unit vectors, `prototypes` the unit mean of every track's,
/// shape `[tracks, width]`.
pub(crate) fn train(
    examples: &Examples<'_>,
    prototypes: ArrayView2<f32>,
    tree: &Tree,
    settings: &TrackSettings,
    phase: &str,
    session: &Session<'_>,
) -> Result<FloatStage, LearnError> {
    settings.validate()?;
    let Session { device, seed, .. } = session;
    let seed = *seed;
    let Examples { inputs, tracks, track_count } = *examples;
    let input = Grid::for_unit_vectors(settings.input_bits, inputs.ncols())?;
    let grid = Grid::for_unit_vectors(settings.weight_bits, inputs.ncols())?;
    let start = initial_rows(tree, prototypes);
    let counts: Vec<usize> = tree.leaves().iter().map(Vec::len).collect();
    if settings.descent.epochs == 0 {
        return Ok(FloatStage { rows: start, counts, grid });
    }

    let places = tree.places(track_count);
    let rivals = Rivals::new(tree, settings.negatives);
    let mut batches = Batches::new(tracks.len(), settings.descent.batch, seed);
    let steps = settings.descent.steps(tracks.len());
    let bank = Bank::new(start.view(), settings.scale, settings.learn_scale, device);
    let bank = session.train(phase, settings.descent, steps, bank, |bank: &Bank, step| {
        let clips = batches.at(step);
        let mut rng = stream(seed, (1 << 40) + step as u64);
        let of: Vec<u32> = clips.iter().map(|&c| tracks[c]).collect();
        let chosen: Vec<(usize, usize)> = of.iter().map(|&t| pick(&places[t as usize], &mut rng)).collect();
        let groups: Vec<usize> = chosen.iter().map(|c| c.0).collect();

        let x = input.fake(tensor(scattered(inputs.select(Axis(0), clips), settings.noise, &mut rng).view(), device));
        let weights = bank.rows(grid);
        if tree.slots() > settings.negatives {
            return Ok(Step { loss: rivals.loss(bank, x, weights, &of, &chosen, &mut rng), metric: None });
        }
        let (valid, allowed) = leaf_masks(tree, &chosen);
        let scores = scores_in_groups(x.clone(), weights.clone(), &groups);
        let correct = share_correct((array2(scores.clone().detach())? + &valid).view(), &allowed);
        let logits = bank.logits(scores) + tensor(valid.view(), device);
        let mut loss = marginal_cross_entropy(logits, tensor(allowed.view(), device));
        if tree.leaves().len() > 1 {
            loss = loss + rivals.loss(bank, x, weights, &of, &chosen, &mut rng);
        }
        Ok(Step { loss, metric: Some(Metric { name: "top-1", value: correct }) })
    })?;
    Ok(FloatStage { rows: array3(bank.unit_rows())?, counts, grid })
}

fn pick(places: &[(usize, usize)], rng: &mut impl Rng) -> (usize, usize) {
    places[if places.len() > 1 { rng.random_range(0..places.len()) } else { 0 }]
}

/// Every track's prototype in each of its slots, zeros elsewhere.
fn initial_rows(tree: &Tree, prototypes: ArrayView2<f32>) -> Array3<f32> {
    let mut rows = Array3::zeros((tree.leaves().len(), tree.slots(), prototypes.ncols()));
    for (mut group, members) in rows.outer_iter_mut().zip(tree.leaves()) {
        for (mut row, &track) in group.rows_mut().into_iter().zip(members) {
            row.assign(&prototypes.row(track as usize));
        }
    }
    rows
}

/// For clips in given leaves and slots: which slots are in use, and which is right; 0 or [`NEVER`], `[clips, slots]`.
fn leaf_masks(tree: &Tree, chosen: &[(usize, usize)]) -> (Array2<f32>, Array2<f32>) {
    let mask = |keep: &dyn Fn(usize, usize) -> bool| {
        Array2::from_shape_fn((chosen.len(), tree.slots()), |(b, slot)| if keep(b, slot) { 0.0 } else { NEVER })
    };
    (mask(&|b, slot| slot < tree.leaves()[chosen[b].0].len()), mask(&|b, slot| slot == chosen[b].1))
}

/// Rows of all leaves, some of which every clip must beat.
struct Rivals {
    /// Row in the flattened bank, and track, of every used slot.
    used: Vec<(usize, u32)>,
    slots: usize,
    count: usize,
}

impl Rivals {
    fn new(tree: &Tree, count: usize) -> Self {
        let slots = tree.slots();
        let leaf = |(leaf, members): (usize, &Vec<u32>)| {
            members.iter().enumerate().map(|(slot, &track)| (leaf * slots + slot, track)).collect::<Vec<_>>()
        };
        let used: Vec<(usize, u32)> = tree.leaves().iter().enumerate().flat_map(leaf).collect();
        Self { count: count.min(used.len()), used, slots }
    }

    /// Cross entropy of each clip's own row against `count` random ones; other copies of its track do not count.
    fn loss(
        &self,
        bank: &Bank,
        x: Tensor<2>,
        weights: Tensor<3>,
        tracks: &[u32],
        chosen: &[(usize, usize)],
        rng: &mut impl Rng,
    ) -> Tensor<1> {
        let device = x.device();
        let [leaves, slots, width] = weights.dims();
        let mut picked = index::sample(rng, self.used.len(), self.count).into_vec();
        picked.sort_unstable();
        let flat = weights.reshape([leaves * slots, width]);
        let others = flat.clone().select(0, indices(picked.iter().map(|&i| self.used[i].0), &device));
        let own = flat.select(0, indices(chosen.iter().map(|&(leaf, slot)| leaf * self.slots + slot), &device));
        let others = bank.logits(x.clone().matmul(others.transpose()));
        let own = bank.logits((x * own).sum_dim(1));
        let same = Array2::from_shape_fn((tracks.len(), picked.len()), |(b, i)| {
            if self.used[picked[i]].1 == tracks[b] { NEVER } else { 0.0 }
        });
        let first = Array2::from_shape_fn((tracks.len(), picked.len() + 1), |(_, i)| if i == 0 { 0.0 } else { NEVER });
        let logits = Tensor::cat(vec![own, others + tensor(same.view(), &device)], 1);
        marginal_cross_entropy(logits, tensor(first.view(), &device))
    }
}
