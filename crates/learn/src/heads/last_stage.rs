//! [`train`]: the last stage, one quantised cosine classifier per class, all leaves trained at once.
//!
//! With one leaf this is `flat`: quantisation-aware logistic regression over the whole library. With many, every step
//! takes examples of a few leaves and weighs each against the classes of its own leaf, and against the other leaves' and rows
//! drawn from everywhere, so that scores stay comparable between leaves: with several probes, and for the unknown
//! threshold, they meet.

use ndarray::{Array2, Array3, ArrayView2};
use rand::seq::index;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::clusters::tree::Tree;
use crate::examples::classes::Classes;
use crate::heads::cosine::CosineClassifier;
use crate::heads::noise::scattered;
use crate::heads::stage::FloatStage;
use crate::math::grid::UniformGrid;
use crate::math::matrix::argmax;
use crate::math::random::stream;
use crate::run::descent::Descent;
use crate::run::progress::Metric;
use crate::run::tensor::{NEVER, array2, array3, marginal_cross_entropy, tensor};
use crate::run::training_run::{Objective, TrainingRun};
use crate::space::unit_vectors::UnitVectors;

/// How the last stage is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LastStageSettings {
    /// Bits of an entry of the encrypted vector, 2 to 8.
    pub input_bits: u8,
    /// Bits of a weight, 2 to 8.
    pub weight_bits: u8,
    /// Whether both are rounded while training, or only after it.
    pub aware: bool,
    /// Rows drawn from everywhere that every example is weighed against in each step, and about as many of whole leaves. Leaves
    /// of more slots than this (a large flat library is one) are only seen through such rows: a sampled softmax.
    pub negatives: usize,
    /// Inverse temperature of the softmax over cosines.
    pub scale: f32,
    /// Whether that is only where it starts, to be learned with the weights.
    pub learn_scale: bool,
    /// Noise added in training to the unit vectors, as in [`super::RouterSettings`].
    pub noise: f32,
    /// How much of what a row scores with other labels' examples is taken off its scores: 0 nothing, 1 all.
    pub hubness: f32,
    /// How to descend from the mean of a class's examples. With no epochs, that mean is the row.
    pub descent: Descent,
}

impl Default for LastStageSettings {
    fn default() -> Self {
        let descent = Descent { epochs: 1, batch: 256, learning_rate: 3e-4, weight_decay: 0.0 };
        Self {
            input_bits: 6,
            weight_bits: 6,
            aware: true,
            negatives: 1_024,
            scale: 16.0,
            learn_scale: false,
            noise: 2.0,
            hubness: 1.0,
            descent,
        }
    }
}

impl LastStageSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.descent.validate("tracks.descent")?;
        for bits in [self.input_bits, self.weight_bits] {
            UniformGrid::for_unit_vectors(bits, 1)?;
        }
        if self.negatives == 0 || !(self.scale > 0.0 && self.scale.is_finite()) {
            let expected = "a positive number of negatives and a positive scale".into();
            return Err(LearnError::Setting { setting: "tracks", found: format!("{self:?}"), expected });
        }
        if !(0.0..=2.0).contains(&self.hubness) {
            let (found, expected) = (self.hubness.to_string(), "0 to 2".into());
            return Err(LearnError::Setting { setting: "tracks.hubness", found, expected });
        }
        Ok(())
    }
}

/// Trains the last stage below `tree`. `prototypes` are the unit means of every class's examples, shape `[classes, width]`;
/// `classes` says which have one label. Slots have no biases yet.
pub(crate) fn train(
    vectors: &UnitVectors<'_>,
    prototypes: ArrayView2<f32>,
    tree: &Tree,
    classes: &Classes,
    settings: &LastStageSettings,
    phase: &str,
    run: &TrainingRun<'_>,
) -> Result<FloatStage, LearnError> {
    settings.validate()?;
    let TrainingRun { device, seed, .. } = run;
    let input = UniformGrid::for_unit_vectors(settings.input_bits, prototypes.ncols())?;
    let grid = UniformGrid::for_unit_vectors(settings.weight_bits, prototypes.ncols())?;
    let start = initial_rows(tree, prototypes);
    let counts: Vec<usize> = tree.leaves().iter().map(Vec::len).collect();
    let biases = Array2::zeros((tree.leaves().len(), tree.slots()));
    if settings.descent.epochs == 0 {
        return Ok(FloatStage { rows: start, biases, counts, grid });
    }

    let sampler = Sampler { tree, classes, rounds: vectors.rounds(), settings };
    let steps = settings.descent.steps(vectors.len());
    let classifier = CosineClassifier::new(start.view(), settings.scale, settings.learn_scale, device);
    let classifier = run.train(phase, settings.descent, steps, classifier, |classifier: &CosineClassifier, step| {
        let mut rng = stream(*seed, (1 << 40) + step as u64);
        let minibatch = sampler.draw(&mut rng);
        let x = scattered(vectors.of(&minibatch.examples)?, settings.noise, &mut rng);
        let rows = classifier.some_rows(
            minibatch.columns.iter().map(|c| c.leaf * tree.slots() + c.slot),
            grid,
            settings.aware,
        );
        let logits = classifier.logits(input.seen(tensor(x.view(), device), settings.aware).matmul(rows.transpose()));

        let right = tensor(minibatch.mask(|sample, column| minibatch.own[sample] == column).view(), device);
        let everywhere = minibatch.mask(|sample, column| minibatch.rivals(sample, column));
        let everywhere = logits.clone() + tensor(everywhere.view(), device);
        let correct = minibatch.share_correct(array2(everywhere.clone().detach())?.view());
        let mut loss = marginal_cross_entropy(everywhere, right.clone());
        if minibatch.whole_leaves && tree.leaves().len() > 1 {
            let within = minibatch.mask(|sample, column| minibatch.leaf_mates(sample, column));
            loss = loss + marginal_cross_entropy(logits + tensor(within.view(), device), right);
        }
        Ok(Objective { loss, metric: Some(Metric { name: "top-1", value: correct }) })
    })?;
    Ok(FloatStage { rows: array3(classifier.unit_rows())?, biases, counts, grid })
}

/// The same stage with `biases[class]` in each of a class's slots.
pub(crate) fn biased(mut stage: FloatStage, tree: &Tree, biases: &[f32]) -> FloatStage {
    for (mut group, members) in stage.biases.rows_mut().into_iter().zip(tree.leaves()) {
        group.iter_mut().zip(members).for_each(|(bias, &class)| *bias = biases[class as usize]);
    }
    stage
}

/// Every class's prototype in each of its slots, zeros elsewhere.
fn initial_rows(tree: &Tree, prototypes: ArrayView2<f32>) -> Array3<f32> {
    let mut rows = Array3::zeros((tree.leaves().len(), tree.slots(), prototypes.ncols()));
    for (mut group, members) in rows.outer_iter_mut().zip(tree.leaves()) {
        for (mut row, &class) in group.rows_mut().into_iter().zip(members) {
            row.assign(&prototypes.row(class as usize));
        }
    }
    rows
}

/// Where the examples and rows of a step are drawn from.
struct Sampler<'a> {
    tree: &'a Tree,
    classes: &'a Classes,
    rounds: usize,
    settings: &'a LastStageSettings,
}

/// A slot whose row takes part in a step.
#[derive(Clone, Copy)]
struct Column {
    leaf: usize,
    slot: usize,
    label: u32,
}

/// One step's examples and rows.
struct Minibatch {
    examples: Vec<usize>,
    columns: Vec<Column>,
    /// For every example, the column that is right.
    own: Vec<usize>,
    /// Whether the columns hold all slots of every leaf that an example is of.
    whole_leaves: bool,
}

impl Sampler<'_> {
    fn draw(&self, rng: &mut impl Rng) -> Minibatch {
        let Self { tree, classes, rounds, settings } = self;
        let leaves = tree.leaves();
        let column =
            |leaf: usize, slot: usize| Column { leaf, slot, label: classes.label(leaves[leaf][slot] as usize) };
        let whole_leaves = tree.slots() <= settings.negatives;
        let at_once = if whole_leaves { (settings.negatives / tree.slots().max(1)).clamp(1, leaves.len()) } else { 1 };
        // A leaf below a cluster that was too small may be empty.
        let full: Vec<usize> = (0..leaves.len()).filter(|&leaf| !leaves[leaf].is_empty()).collect();
        let chosen: Vec<usize> =
            index::sample(rng, full.len(), at_once.min(full.len())).into_iter().map(|i| full[i]).collect();
        let mut columns: Vec<Column> = Vec::new();
        let mut starts = Vec::new();
        if whole_leaves {
            for &leaf in &chosen {
                starts.push(columns.len());
                columns.extend((0..leaves[leaf].len()).map(|slot| column(leaf, slot)));
            }
        }
        let (mut examples, mut own) = (Vec::new(), Vec::new());
        for _ in 0..settings.descent.batch {
            let (right, class) = if whole_leaves {
                let i = rng.random_range(0..chosen.len());
                let slot = rng.random_range(0..leaves[chosen[i]].len());
                (starts[i] + slot, leaves[chosen[i]][slot])
            } else {
                let leaf = full[rng.random_range(0..full.len())];
                let slot = rng.random_range(0..leaves[leaf].len());
                columns.push(column(leaf, slot));
                (columns.len() - 1, leaves[leaf][slot])
            };
            examples.push(rng.random_range(0..*rounds) * classes.len() + class as usize);
            own.push(right);
        }
        if full.len() > chosen.len() || !whole_leaves {
            columns.extend((0..settings.negatives).map(|_| {
                let leaf = full[rng.random_range(0..full.len())];
                column(leaf, rng.random_range(0..leaves[leaf].len()))
            }));
        }
        Minibatch { examples, columns, own, whole_leaves }
    }
}

impl Minibatch {
    /// 0 for the columns that a test admits for a sample, [`NEVER`] for the others: `[samples, columns]`.
    fn mask(&self, admit: impl Fn(usize, usize) -> bool) -> Array2<f32> {
        let shape = (self.own.len(), self.columns.len());
        Array2::from_shape_fn(shape, |(sample, column)| if admit(sample, column) { 0.0 } else { NEVER })
    }

    /// The right column and those of other labels: another class of the same label, or a copy of it, is not wrong.
    fn rivals(&self, sample: usize, column: usize) -> bool {
        let own = self.own[sample];
        column == own || self.columns[column].label != self.columns[own].label
    }

    /// The right column and those of other labels in the sample's own leaf, each once.
    fn leaf_mates(&self, sample: usize, column: usize) -> bool {
        let own = self.columns[self.own[sample]];
        // Whole leaves come first, in order of their slots; rows drawn from everywhere come after them.
        let first = self.own[sample] - own.slot;
        self.rivals(sample, column)
            && self.columns[column].leaf == own.leaf
            && column == first + self.columns[column].slot
    }

    fn share_correct(&self, scores: ArrayView2<f32>) -> f32 {
        let right = scores.rows().into_iter().zip(&self.own).filter(|(row, own)| argmax(row.iter()) == Some(**own));
        right.count() as f32 / self.own.len().max(1) as f32
    }
}
