//! [`Router`]: one routing stage, from base features to the choice of a group of the next stage.
//!
//! A public trunk (hidden layers, then a bottleneck of unit length) and a quantised cosine classifier on top. The trunk
//! runs in the clear on the client; only the last, linear layer is evaluated encrypted. Bottleneck and weights are
//! rounded while training, so that the integers lose nothing that training has not seen.

use burn::module::Module;
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::clusters::tree::Tree;
use crate::heads::cosine::{CosineClassifier, scores_in_groups};
use crate::heads::matched::Matched;
use crate::heads::noise::{dropout_mask, scattered};
use crate::heads::stage::FloatStage;
use crate::heads::trunk::{Trunk, random_affine};
use crate::math::affine::Affine;
use crate::math::grid::UniformGrid;
use crate::math::matrix::{argmax, normalise_rows, times_transposed};
use crate::math::random::stream;
use crate::run::batches::Batches;
use crate::run::descent::Descent;
use crate::run::progress::Metric;
use crate::run::tensor::{NEVER, array2, array3, marginal_cross_entropy, tensor};
use crate::run::training_run::{Objective, TrainingRun};
use crate::space::unit_vectors::UnitVectors;

/// How a routing stage is built and trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// Whether routing is learned. Else it leads to the clusters whose means are nearest, and of the other settings only the numbers of bits
    /// count: for clusters of a few classes that clients pick themselves.
    pub learned: bool,
    /// Strongest between-class directions that the trunk sees.
    pub directions: usize,
    /// Widths of the trunk's hidden layers, at most; none makes the stage linear in the features. A single layer starts with units
    /// that are each matched to a few classes. It is as wide as there are such units, or 1,024 where they are fewer.
    pub hidden: Vec<usize>,
    /// Classes that one of those units stands for on average, or more where `hidden` or spill say so; 0 starts the layer with random
    /// weights alone, and so do several layers. The trunk is public: with 1, units of one class begin as copies
    /// of rows.
    pub classes_per_unit: usize,
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
    /// a standard deviation drawn for every example between 0 and this. Whitening made the scatter of a class's examples round, so
    /// this stands for any number of further disturbed examples.
    pub noise: f32,
    /// Share of the hidden units that are left out in every training step.
    pub dropout: f32,
    /// How to descend.
    pub descent: Descent,
    /// Fewest steps of the descent: few examples are passed over more often than `descent.epochs` says.
    pub least_steps: usize,
    /// Most steps of it: very many examples are passed over less often.
    pub most_steps: usize,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            learned: true,
            directions: 256,
            hidden: vec![8_192],
            classes_per_unit: 2,
            bottleneck: 128,
            input_bits: 6,
            weight_bits: 6,
            aware: true,
            scale: 8.0,
            learn_scale: false,
            noise: 1.5,
            dropout: 0.0,
            descent: Descent { epochs: 5, batch: 256, learning_rate: 2e-3, weight_decay: 1e-4 },
            least_steps: 200,
            most_steps: 20_000,
        }
    }
}

impl RouterSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.descent.validate("router.descent")?;
        for bits in [self.input_bits, self.weight_bits] {
            UniformGrid::for_unit_vectors(bits, 1)?;
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
pub(crate) struct Router {
    /// The trunk's affine maps, ReLU between them, unit length behind; none where routing is not learned.
    pub(crate) trunk: Vec<Affine>,
    /// Grid of the unit vector that is encrypted.
    pub(crate) input: UniformGrid,
    /// The classifier.
    pub(crate) stage: FloatStage,
    /// Inverse temperature of its softmax over cosines.
    pub(crate) scale: f32,
}

impl Router {
    /// Logarithms of the choices' probabilities within their groups: `[examples, width]` to `[examples, groups * slots]`.
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
    classifier: CosineClassifier,
}

/// Trains the classifier of `tree`'s routing stage `stage`. `frequencies` says how often examples of every
/// class are drawn, one against another.
pub(crate) fn train(
    vectors: &UnitVectors<'_>,
    frequencies: &[f32],
    tree: &Tree,
    stage: usize,
    settings: &RouterSettings,
    phase: &str,
    run: &TrainingRun<'_>,
) -> Result<Router, LearnError> {
    settings.validate()?;
    let TrainingRun { device, seed, .. } = run;
    let seed = *seed;
    let (groups, slots) = (tree.groups(stage), tree.branching()[stage]);
    let input = UniformGrid::for_unit_vectors(settings.input_bits, settings.bottleneck)?;
    let grid = UniformGrid::for_unit_vectors(settings.weight_bits, settings.bottleneck)?;

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shape = (groups, slots, settings.bottleneck);
    let mut rows = Array3::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng));
    normalise_rows(&mut rows);
    let trunk = first_trunk(vectors, tree, stage, settings, rows.view(), &mut rng)?;
    let classifier = CosineClassifier::new(rows.view(), settings.scale, settings.learn_scale, device);
    let hidden: Vec<usize> = trunk[..trunk.len() - 1].iter().map(|map| map.bias.len()).collect();
    let network = Network { trunk: Trunk::new(&trunk, device), classifier };

    let loudness = (vectors.width() as f32).sqrt();
    let targets = Targets::new(tree, stage, vectors.class_count());
    let mut batches = Batches::new(vectors.len(), settings.descent.batch, seed).with_frequencies(frequencies);
    let steps = settings.descent.steps(vectors.len()).max(settings.least_steps).min(settings.most_steps);
    let network = run.train(phase, settings.descent, steps, network, |network: &Network, step| {
        let examples = batches.at(step);
        let mut rng = stream(seed, (1 << 40) + step as u64);
        // Entries of size 1 suit weights that start with variance 2 / in.
        let x = scattered(vectors.of(examples)?, settings.noise, &mut rng);
        let (groups, allowed) = targets.draw(examples.iter().map(|example| example % vectors.class_count()), &mut rng);
        let x = x * loudness;
        let keep = |width| dropout_mask(examples.len(), width, settings.dropout, &mut rng);
        let masks: Vec<Array2<f32>> = hidden.iter().copied().map(keep).collect();
        let masks = masks.iter().map(|mask| tensor(mask.view(), device)).collect();
        let z = input.seen(network.trunk.forward(tensor(x.view(), device), masks), settings.aware);
        let scores = scores_in_groups(z, network.classifier.rows(grid, settings.aware), &groups);
        let correct = share_correct(array2(scores.clone().detach())?.view(), &allowed);
        let loss = marginal_cross_entropy(network.classifier.logits(scores), tensor(allowed.view(), device));
        Ok(Objective { loss, metric: Some(Metric { name: "top-1", value: correct }) })
    })?;
    let counts = vec![slots; groups];
    let stage = FloatStage {
        rows: array3(network.classifier.unit_rows())?,
        biases: Array2::zeros((groups, slots)),
        counts,
        grid,
    };
    let mut trunk = network.trunk.affines()?;
    if let Some(first) = trunk.first_mut() {
        first.weight *= loudness;
    }
    Ok(Router { trunk, input, stage, scale: network.classifier.scale()? })
}

/// The trunk before training: hidden units matched to groups of classes, where it has one hidden layer, and random ones besides.
fn first_trunk(
    vectors: &UnitVectors<'_>,
    tree: &Tree,
    stage: usize,
    settings: &RouterSettings,
    rows: ArrayView3<f32>,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Affine>, LearnError> {
    /// Hidden units, where so many are allowed, of a library that has too few classes to match them to.
    const FEWEST: usize = 1_024;
    if let (&[most], 1..) = (&settings.hidden[..], settings.classes_per_unit) {
        let units = most.min(vectors.class_count() / settings.classes_per_unit);
        let alone = settings.classes_per_unit == 1;
        let matched = Matched::new(vectors.prototypes()?.view(), tree, stage, units, alone, rng.random())?;
        let units = matched.len().max(most.min(FEWEST));
        let mut hidden = random_affine(vectors.width(), units, rng);
        let mut outgoing = random_affine(units, settings.bottleneck, rng);
        matched.put_into(&mut hidden, &mut outgoing, rows);
        return Ok(vec![hidden, outgoing]);
    }
    let widths = [&[vectors.width()], settings.hidden.as_slice(), &[settings.bottleneck]].concat();
    Ok(widths.windows(2).map(|w| random_affine(w[0], w[1], rng)).collect())
}

/// The right choices of every class at one stage.
struct Targets {
    /// Per class: groups it is in, and its slots in each.
    choices: Vec<Vec<(usize, Vec<usize>)>>,
    slots: usize,
}

impl Targets {
    fn new(tree: &Tree, stage: usize, classes: usize) -> Self {
        let per_class = |places: Vec<(usize, usize)>| {
            let mut choices: Vec<(usize, Vec<usize>)> = Vec::new();
            for (group, slot) in places.into_iter().map(|(leaf, _)| tree.choice(stage, leaf)) {
                match choices.iter_mut().find(|(g, _)| *g == group) {
                    Some((_, slots)) => slots.push(slot),
                    None => choices.push((group, vec![slot])),
                }
            }
            choices
        };
        Self { choices: tree.places(classes).into_iter().map(per_class).collect(), slots: tree.branching()[stage] }
    }

    /// One group for each example's class, and the slots allowed in it as a mask `[batch, slots]`: 0 or [`NEVER`].
    fn draw(&self, classes: impl Iterator<Item = usize>, rng: &mut ChaCha8Rng) -> (Vec<usize>, Array2<f32>) {
        let mut groups = Vec::new();
        let mut allowed = Vec::new();
        for class in classes {
            let choices = &self.choices[class];
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
fn share_correct(scores: ArrayView2<f32>, allowed: &Array2<f32>) -> f32 {
    let right =
        |(s, a): &(ndarray::ArrayView1<f32>, ndarray::ArrayView1<f32>)| argmax(s.iter()).is_some_and(|i| a[i] == 0.0);
    scores.rows().into_iter().zip(allowed.rows()).filter(right).count() as f32 / scores.nrows().max(1) as f32
}
