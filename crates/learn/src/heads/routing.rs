//! [`train`]: one routing stage, from base features to the choice of a group of the next stage.
//!
//! A public trunk (hidden layers, then a bottleneck of unit length) and a quantised cosine classifier on top. The trunk
//! runs in the clear on the client; only the last, linear layer is evaluated encrypted. Bottleneck and weights are
//! rounded while training, so that the integers lose nothing that training has not seen.

use burn::module::Module;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::clusters::tree::Tree;
use crate::heads::cosine::{Bank, scores_in_groups};
use crate::heads::stage::FloatStage;
use crate::heads::trunk::{Affine, Trunk};
use crate::math::product::times_transposed;
use crate::run::progress::Metric;
use crate::run::session::{Batches, Descent, Session, Step, stream};
use crate::run::tensor::{NEVER, array2, array3, marginal_cross_entropy, tensor};
use crate::space::examples::Examples;
use crate::space::whitening::normalise_rows;
use crate::{Grid, LearnError};

/// How a routing stage is built and trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// Strongest between-track directions that the trunk sees.
    pub directions: usize,
    /// Widths of the trunk's hidden layers; none makes the stage linear in the features.
    pub hidden: Vec<usize>,
    /// Width of the vector that is encrypted.
    pub bottleneck: usize,
    /// Bits of an entry of that vector, 2 to 8.
    pub input_bits: u8,
    /// Bits of a weight, 2 to 8.
    pub weight_bits: u8,
    /// Whether both are rounded while training, or only after it.
    pub aware: bool,
    /// Inverse temperature of the softmax over cosines.
    pub scale: f32,
    /// Whether that is only where it starts, to be learned with the weights.
    pub learn_scale: bool,
    /// In training, normal noise is added to what the trunk sees, whose entries are of size 1, before its unit length: of
    /// a standard deviation drawn for every clip between 0 and this. Whitening made the scatter of a passage's clips round, so
    /// this stands for any number of further disturbed clips.
    pub noise: f32,
    /// Share of the hidden units that are left out in every training step.
    pub dropout: f32,
    /// How to descend.
    pub descent: Descent,
    /// Most steps of the descent: clips of a large library are passed over less often than `descent.epochs` says.
    pub most_steps: usize,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            directions: 256,
            hidden: vec![2_048],
            bottleneck: 128,
            input_bits: 6,
            weight_bits: 6,
            aware: true,
            scale: 8.0,
            learn_scale: false,
            noise: 2.0,
            dropout: 0.0,
            descent: Descent { epochs: 40, batch: 256, learning_rate: 1e-2, weight_decay: 1e-4 },
            most_steps: 100_000,
        }
    }
}

impl RouterSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.descent.validate("router.descent")?;
        for bits in [self.input_bits, self.weight_bits] {
            Grid::for_unit_vectors(bits, 1)?;
        }
        let sizes = self.directions > 0 && self.most_steps > 0 && self.bottleneck > 1 && !self.hidden.contains(&0);
        let rates = self.noise >= 0.0 && self.noise.is_finite() && (0.0..0.95).contains(&self.dropout);
        if !(sizes && rates && self.scale > 0.0 && self.scale.is_finite()) {
            let expected =
                "positive directions, hidden layers, steps and scale, a bottleneck of at least 2, dropout below 0.95"
                    .into();
            return Err(LearnError::Setting { setting: "router", found: format!("{self:?}"), expected });
        }
        Ok(())
    }
}

/// A trained routing stage.
pub(crate) struct Routing {
    /// The trunk's affine maps, ReLU between them, unit length behind.
    pub(crate) trunk: Vec<Affine>,
    /// Grid of the unit vector that is encrypted.
    pub(crate) input: Grid,
    /// The classifier.
    pub(crate) stage: FloatStage,
    /// Inverse temperature of its softmax over cosines.
    pub(crate) scale: f32,
}

impl Routing {
    /// Logarithms of the choices' probabilities within their groups: `[clips, width]` to `[clips, groups * slots]`.
    pub(crate) fn log_probabilities(&self, inputs: ArrayView2<f32>) -> Array2<f32> {
        let last = self.trunk.len().saturating_sub(1);
        let mut z = self.trunk.iter().enumerate().fold(inputs.to_owned(), |x, (i, map)| {
            let y = times_transposed(x.view(), map.weight.view()) + &map.bias;
            if i < last { y.mapv_into(|v| v.max(0.0)) } else { y }
        });
        normalise_rows(&mut z);
        let mut scores = self.stage.scores(z.view()) * self.scale;
        let slots = self.stage.rows.dim().1;
        for mut row in scores.rows_mut() {
            for mut group in row.axis_chunks_iter_mut(Axis(0), slots) {
                let top = group.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                let sum: f32 = group.iter().map(|&v| (v - top).exp()).sum();
                group -= top + sum.ln();
            }
        }
        scores
    }
}

#[derive(Module, Debug)]
struct Network {
    trunk: Trunk,
    bank: Bank,
}

/// Trains the classifier of `tree`'s routing stage `stage`. `turns` says how often clips of every passage are drawn, one against
/// another.
pub(crate) fn train(
    examples: &Examples<'_>,
    turns: &[f32],
    tree: &Tree,
    stage: usize,
    settings: &RouterSettings,
    phase: &str,
    session: &Session<'_>,
) -> Result<Routing, LearnError> {
    settings.validate()?;
    let Session { device, seed, .. } = session;
    let seed = *seed;
    let (groups, slots) = (tree.groups(stage), tree.branching()[stage]);
    let input = Grid::for_unit_vectors(settings.input_bits, settings.bottleneck)?;
    let grid = Grid::for_unit_vectors(settings.weight_bits, settings.bottleneck)?;

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let widths = [&[examples.width()], settings.hidden.as_slice(), &[settings.bottleneck]].concat();
    let start = Array3::from_shape_simple_fn((groups, slots, settings.bottleneck), || StandardNormal.sample(&mut rng));
    let bank = Bank::new(start.view(), settings.scale, settings.learn_scale, device);
    let network = Network { trunk: Trunk::new(&widths, &mut rng, device), bank };

    let loudness = (examples.width() as f32).sqrt();
    let targets = Targets::new(tree, stage, examples.passage_count());
    let mut batches = Batches::new(examples.clips(), settings.descent.batch, seed).with_turns(turns);
    let steps = settings.descent.steps(examples.clips()).min(settings.most_steps);
    let network = session.train(phase, settings.descent, steps, network, |network: &Network, step| {
        let clips = batches.at(step);
        let mut rng = stream(seed, (1 << 40) + step as u64);
        // Entries of size 1 suit weights that start with variance 2 / in.
        let x = scattered(examples.vectors(clips), settings.noise, &mut rng);
        let (groups, allowed) = targets.draw(clips.iter().map(|c| c % examples.passage_count()), &mut rng);
        let x = x * loudness;
        let keep = |width| dropout_mask(clips.len(), width, settings.dropout, &mut rng);
        let masks: Vec<Array2<f32>> = settings.hidden.iter().copied().map(keep).collect();
        let masks = masks.iter().map(|mask| tensor(mask.view(), device)).collect();
        let z = input.seen(network.trunk.forward(tensor(x.view(), device), masks), settings.aware);
        let scores = scores_in_groups(z, network.bank.rows(grid, settings.aware), &groups);
        let correct = share_correct(array2(scores.clone().detach())?.view(), &allowed);
        let loss = marginal_cross_entropy(network.bank.logits(scores), tensor(allowed.view(), device));
        Ok(Step { loss, metric: Some(Metric { name: "top-1", value: correct }) })
    })?;
    let counts = vec![slots; groups];
    let stage =
        FloatStage { rows: array3(network.bank.unit_rows())?, biases: Array2::zeros((groups, slots)), counts, grid };
    let mut trunk = network.trunk.affines()?;
    if let Some(first) = trunk.first_mut() {
        first.weight *= loudness;
    }
    Ok(Routing { trunk, input, stage, scale: network.bank.scale()? })
}

/// Unit vectors with normal noise, of unit length again. The noise's standard deviation, in units of the root mean square
/// entry of a unit vector, is drawn for every row between 0 and `noise`.
pub(crate) fn scattered(mut vectors: Array2<f32>, noise: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if noise > 0.0 {
        let unit = (vectors.ncols() as f32).sqrt().recip();
        for mut row in vectors.rows_mut() {
            let deviation = noise * unit * rng.random::<f32>();
            row.mapv_inplace(|v| v + deviation * rng.sample::<f32, _>(StandardNormal));
        }
        normalise_rows(&mut vectors);
    }
    vectors
}

/// Zero for a share `dropout` of the entries, and so much above one for the others that the mean is one.
fn dropout_mask(rows: usize, columns: usize, dropout: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if dropout == 0.0 {
        return Array2::ones((1, 1));
    }
    Array2::from_shape_simple_fn((rows, columns), || {
        if rng.random::<f32>() < dropout { 0.0 } else { 1.0 / (1.0 - dropout) }
    })
}

/// The right choices of every passage at one stage.
struct Targets {
    /// Per passage: groups it is in, and its slots in each.
    choices: Vec<Vec<(usize, Vec<usize>)>>,
    slots: usize,
}

impl Targets {
    fn new(tree: &Tree, stage: usize, passages: usize) -> Self {
        let per_passage = |places: Vec<(usize, usize)>| {
            let mut choices: Vec<(usize, Vec<usize>)> = Vec::new();
            for (group, slot) in places.into_iter().map(|(leaf, _)| tree.choice(stage, leaf)) {
                match choices.iter_mut().find(|(g, _)| *g == group) {
                    Some((_, slots)) => slots.push(slot),
                    None => choices.push((group, vec![slot])),
                }
            }
            choices
        };
        Self { choices: tree.places(passages).into_iter().map(per_passage).collect(), slots: tree.branching()[stage] }
    }

    /// One group for each clip's passage, and the slots allowed in it as a mask `[batch, slots]`: 0 or [`NEVER`].
    fn draw(&self, passages: impl Iterator<Item = usize>, rng: &mut ChaCha8Rng) -> (Vec<usize>, Array2<f32>) {
        let mut groups = Vec::new();
        let mut allowed = Vec::new();
        for passage in passages {
            let choices = &self.choices[passage];
            let (group, slots) = &choices[if choices.len() > 1 { rng.random_range(0..choices.len()) } else { 0 }];
            groups.push(*group);
            allowed.push(slots);
        }
        let mut mask = Array2::from_elem((groups.len(), self.slots), NEVER);
        for (mut row, slots) in mask.rows_mut().into_iter().zip(allowed) {
            for &slot in slots {
                row[slot] = 0.0;
            }
        }
        (groups, mask)
    }
}

/// Share of rows whose largest score is an allowed one.
pub(crate) fn share_correct(scores: ArrayView2<f32>, allowed: &Array2<f32>) -> f32 {
    let right =
        |(s, a): &(ndarray::ArrayView1<f32>, ndarray::ArrayView1<f32>)| argmax(s.iter()).is_some_and(|i| a[i] == 0.0);
    scores.rows().into_iter().zip(allowed.rows()).filter(right).count() as f32 / scores.nrows().max(1) as f32
}

/// Index of the first largest number.
pub(crate) fn argmax<'a>(values: impl Iterator<Item = &'a f32>) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, &value) in values.enumerate() {
        if best.is_none_or(|(_, top)| value > top) {
            best = Some((i, value));
        }
    }
    best.map(|(i, _)| i)
}
