//! [`Job`]: what training does with examples, in three steps that parts of a library take apart from each other.
//!
//! Between them stands what all parts add up to: mean and deviation of every feature, the space, and at last the model.

use std::ops::{AddAssign, Range};

use ndarray::{Array2, ArrayView2, Axis};
use sordino_corpus::Part;

use crate::examples::places::Places;
use crate::examples::{Examples, Songs, rounds};
use crate::heads::hubness;
use crate::math::matrix::normalise_rows;
use crate::math::random::random_rotation;
use crate::run::training_run::TrainingRun;
use crate::space::confusion::confusions;
use crate::space::scatter::{Drawn, Moments, Scatter, Standard, class_mean};
use crate::space::unit_vectors::{Rows, Sight};
use crate::space::whitening::{ClassMeans, Whitening, WhiteningSettings};
use crate::unknown::imitation::{Imitation, LeftOut, fifth};
use crate::{LearnError, TrainConfig};

/// Most examples whose base vectors are held at once where the whole library is one part, 1.8 GB of those of sound; the space is made of
/// these. 15,000 passages suffer where a quarter as many, four of each, must do (`experiments/passages`).
const AT_ONCE: usize = 393_216;

/// A library, and how much is drawn of it.
pub(super) struct Job<'a> {
    pub(super) examples: &'a dyn Examples,
    pub(super) config: &'a TrainConfig,
    /// Examples of every class.
    pub(super) rounds: usize,
    /// Those of them that the space is made of.
    pub(super) fitted: usize,
    /// How much every class counts where the space is made.
    weights: Vec<f32>,
    /// How often every class is drawn where routing is learned: the square root of its label's weight.
    pub(super) frequencies: Vec<f32>,
}

/// Examples of a part's classes.
pub(super) struct Clips {
    pub(super) classes: Range<usize>,
    /// Base features of the rounds that the space is made of, `[rounds * classes, features]`.
    pub(super) features: Array2<f32>,
}

/// What a part's examples give to the whole at once.
pub(super) struct First {
    pub(super) moments: Moments,
    /// Base features of examples that training does not see, `[places, features]`.
    pub(super) held_out: Array2<f32>,
}

/// How a part's examples scatter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Covariance {
    /// Of every fifth of the songs that is left out in turn, and of the rest.
    pub(super) scatters: Vec<Scatter>,
    /// Means of the classes, `[classes, features]`; none where there are more classes than features.
    pub(super) means: Array2<f32>,
}

/// The space, and those that are made without a fifth of the songs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spaces {
    pub(super) whole: Whitening,
    /// One for each of [`LeftOut::in_turn`].
    pub(super) without: Vec<Whitening>,
}

/// A part's examples in the spaces.
pub(super) struct Projection {
    /// Unit means of the classes as the last stage sees them, `[classes, width]`.
    pub(super) prototypes: Array2<f32>,
    /// Unit vectors of some examples, likewise, `[places, width]`.
    pub(super) sample: Array2<f32>,
    /// In the spaces without a fifth of the songs.
    pub(super) imitations: Vec<Imitation>,
    /// All examples before the unit length, `[rounds * classes, directions]`, where something is learned from them.
    pub(super) rows: Option<Array2<f32>>,
}

/// All parts' examples in the spaces.
pub(super) struct Gathered<'a> {
    pub(super) space: Whitening,
    pub(super) prototypes: Array2<f32>,
    pub(super) sample: Array2<f32>,
    /// One for each of [`LeftOut::in_turn`].
    pub(super) imitations: Vec<Imitation>,
    /// Nothing where nothing is learned from them.
    pub(super) rows: Option<Box<dyn Rows + 'a>>,
    /// Base features of examples that training does not see, `[places, features]`.
    pub(super) held_out: Array2<f32>,
}

impl<'a> Job<'a> {
    /// # Errors
    /// [`LearnError::Setting`] for weights of labels that are no positive numbers.
    pub(super) fn new(examples: &'a dyn Examples, config: &'a TrainConfig) -> Result<Self, LearnError> {
        /// The fewest examples that say how those of a class differ.
        const LEAST: usize = 4;
        let classes = examples.classes();
        let clips = config.clips(classes.labels());
        let wanted = classes.rounds(clips, LEAST.min(clips));
        // Two examples of a class are the fewest that show how its examples differ.
        let rounds = wanted.min(examples.distinct_rounds()).max(2);
        let fitted = (AT_ONCE / classes.len().max(1)).clamp(2, rounds);
        let weights: Vec<f32> = classes.all().iter().map(|&label| examples.weight(label as usize)).collect();
        if let Some(weight) = weights.iter().find(|weight| !(**weight > 0.0 && weight.is_finite())) {
            let expected = "a positive number".into();
            return Err(LearnError::Setting { setting: "weight of a label", found: weight.to_string(), expected });
        }
        let frequencies = weights.iter().map(|weight| weight.sqrt()).collect();
        Ok(Self { examples, config, rounds, fitted, weights, frequencies })
    }

    /// Examples that training does not see.
    pub(super) fn held_out(&self) -> Places {
        const MOST: usize = 16_384;
        let classes = self.examples.classes();
        let rounds = classes.rounds(self.config.unknown.clips, 1);
        Places::spread(rounds, &(0..classes.len()).collect::<Vec<_>>(), MOST)
    }

    /// Examples that say how much of a hub a row is.
    pub(super) fn sample(&self) -> Places {
        let classes = self.examples.classes().len();
        Places::spread(self.rounds, &(0..classes).collect::<Vec<_>>(), hubness::EXAMPLES)
    }

    /// How the last stage sees examples that are projected already: they are coordinates in the whitened space, and only the rotation is left
    /// to do. `whole` is the space.
    pub(super) fn rotation(&self, whole: &Whitening) -> Array2<f32> {
        random_rotation(self.config.width.min(whole.width()), self.config.seed)
    }

    /// The first step: the examples of a part.
    pub(super) fn draw(&self, part: Part, run: &TrainingRun<'_>) -> Result<(Clips, First), LearnError> {
        let classes = self.examples.classes().of_part(part);
        let features = rounds::draw(self.examples, &classes, 0..self.fitted, self.rounds, run)?;
        let held_out = rounds::draw_some(self.examples, &self.held_out().within(&classes), run)?;
        let clips = Clips { classes, features };
        let moments = Moments::of(clips.drawn(), self.examples.classes(), &self.weights);
        Ok((clips, First { moments, held_out }))
    }

    /// The second step: how they scatter. `works` are songs that are left out together.
    pub(super) fn covariance(&self, clips: &Clips, standard: &Standard, works: &Songs) -> Covariance {
        let (classes, drawn) = (self.examples.classes(), clips.drawn());
        let turns = LeftOut::in_turn(classes, works);
        let set = |class| {
            let own = fifth(classes, works, class);
            turns.iter().position(|turn| turn.fifth() == own).unwrap_or(turns.len())
        };
        let scatters = Scatter::of(drawn, classes, &self.weights, standard, turns.len() + 1, set);
        let few = if classes.len() < self.examples.width() { clips.classes.clone() } else { 0..0 };
        let mut means = Array2::zeros((few.len(), self.examples.width()));
        means.rows_mut().into_iter().zip(few).for_each(|(mut row, c)| row.assign(&class_mean(drawn, c, standard)));
        Covariance { scatters, means }
    }

    /// What all of them make.
    pub(super) fn spaces(
        &self,
        standard: &Standard,
        covariance: &Covariance,
        works: &Songs,
    ) -> Result<Spaces, LearnError> {
        let TrainConfig { width, router, ridge, .. } = self.config;
        let classes = self.examples.classes();
        let weight = |class: usize| f64::from(self.weights[class]) * self.fitted as f64;
        let few = (!covariance.means.is_empty())
            .then(|| ClassMeans { means: covariance.means.clone(), weights: (0..classes.len()).map(weight).collect() });
        let made = |width, left_out: Option<(usize, &LeftOut)>| {
            let mut sum = Scatter::none(self.examples.width());
            let stays = |set: &usize| left_out.is_none_or(|(out, _)| *set != out);
            (0..covariance.scatters.len()).filter(stays).for_each(|set| sum += &covariance.scatters[set]);
            let kept = left_out.map(|(_, left_out)| &left_out.kept);
            let few = few.as_ref().map(|few| kept.map_or_else(|| few.clone(), |kept| few.select(kept)));
            let count = kept.map_or(classes.len(), Vec::len);
            let settings = WhiteningSettings { width, ridge: *ridge };
            Whitening::of(&sum.spread()?, standard, count, few.as_ref(), settings)
        };
        let turns = LeftOut::in_turn(classes, works);
        let whole = made((*width).max(router.directions), None)?;
        let without =
            turns.iter().enumerate().map(|turn| made(*width, Some(turn))).collect::<Result<_, LearnError>>()?;
        Ok(Spaces { whole, without })
    }

    /// The third step: a part's examples in the spaces. Those that the spaces were not made of are drawn now.
    pub(super) fn project(
        &self,
        clips: Clips,
        spaces: &Spaces,
        works: &Songs,
        run: &TrainingRun<'_>,
    ) -> Result<Projection, LearnError> {
        let imitations = self.imitate(&clips, spaces, works, run)?;
        let rotation = self.rotation(&spaces.whole);
        let sight = Sight { width: self.config.width, rotation: Some(rotation.view()) };
        let Clips { classes, features } = clips;
        let (count, places) = (classes.len(), self.sample().within(&classes));
        let mut prototypes = Array2::<f32>::zeros((count, rotation.nrows()));
        let mut sample = Array2::zeros((places.len(), rotation.nrows()));
        let mut rows = self.config.descends().then(|| Array2::zeros((self.rounds * count, spaces.whole.width())));
        let mut take = |round: usize, features: ArrayView2<f32>| {
            let projected = spaces.whole.project(features);
            let vectors = sight.of(projected.view());
            prototypes += &vectors;
            for (mut row, (_, class)) in sample.rows_mut().into_iter().zip(places.iter()).filter(|(_, p)| p.0 == round)
            {
                row.assign(&vectors.row(class - classes.start));
            }
            if let Some(rows) = &mut rows {
                rows.slice_axis_mut(Axis(0), (round * count..(round + 1) * count).into()).assign(&projected);
            }
        };
        for (round, features) in features.axis_chunks_iter(Axis(0), count.max(1)).enumerate() {
            take(round, features);
        }
        drop(features);
        for round in self.fitted..self.rounds {
            take(round, rounds::draw(self.examples, &classes, round..round + 1, self.rounds, run)?.view());
        }
        normalise_rows(&mut prototypes);
        Ok(Projection { prototypes, sample, imitations, rows })
    }

    /// A part's examples in the spaces without a fifth of the songs.
    fn imitate(
        &self,
        clips: &Clips,
        spaces: &Spaces,
        works: &Songs,
        run: &TrainingRun<'_>,
    ) -> Result<Vec<Imitation>, LearnError> {
        let turns = LeftOut::in_turn(self.examples.classes(), works);
        let imitation = |(turn, space): (&LeftOut, &Whitening)| Imitation::of(clips.drawn(), turn, space);
        let imitations = turns.iter().zip(&spaces.without).map(imitation).collect();
        run.end_of("imitated unknown songs")?;
        Ok(imitations)
    }

    /// Of the whole library only what unknown songs are imitated with, and base features of examples that training does not see.
    pub(super) fn imitated(
        &self,
        works: &Songs,
        run: &TrainingRun<'_>,
    ) -> Result<(Vec<Imitation>, Array2<f32>), LearnError> {
        let (clips, First { moments, held_out }) = self.draw(Part::WHOLE, run)?;
        let spaces = self.spaces_of(&clips, &moments, works)?;
        Ok((self.imitate(&clips, &spaces, works, run)?, held_out))
    }

    /// All three steps on the whole library.
    pub(super) fn whole(&self, works: &Songs, run: &TrainingRun<'_>) -> Result<Gathered<'a>, LearnError> {
        let (clips, First { moments, held_out }) = self.draw(Part::WHOLE, run)?;
        let mut spaces = self.spaces_of(&clips, &moments, works)?;
        if self.config.focus > 0.0 {
            let vectors = spaces.whole.narrowed(self.config.width).apply(clips.features.view());
            let mut focused = Self { weights: self.weights.clone(), frequencies: Vec::new(), ..*self };
            let confusions = confusions(vectors.view(), self.examples.classes().len());
            focused.weights.iter_mut().zip(confusions).for_each(|(w, c)| *w *= c.powf(self.config.focus));
            let moments = Moments::of(clips.drawn(), self.examples.classes(), &focused.weights);
            spaces = focused.spaces_of(&clips, &moments, works)?;
        }
        run.end_of("space")?;
        let Projection { prototypes, sample, imitations, rows, .. } = self.project(clips, &spaces, works, run)?;
        let rows = rows.map(|rows| Box::new(rows) as Box<dyn Rows>);
        Ok(Gathered { space: spaces.whole, prototypes, sample, imitations, rows, held_out })
    }

    fn spaces_of(&self, clips: &Clips, moments: &Moments, works: &Songs) -> Result<Spaces, LearnError> {
        let standard = moments.standard()?;
        self.spaces(&standard, &self.covariance(clips, &standard, works), works)
    }
}

impl Clips {
    fn drawn(&self) -> Drawn<'_> {
        Drawn { features: self.features.view(), classes: &self.classes }
    }
}

impl AddAssign<&Self> for Covariance {
    /// Adds those of the next part.
    fn add_assign(&mut self, next: &Self) {
        self.scatters.iter_mut().zip(&next.scatters).for_each(|(sum, scatter)| *sum += scatter);
        // Of one width: rows of the next classes are added behind.
        let _ = self.means.append(Axis(0), next.means.view());
    }
}
