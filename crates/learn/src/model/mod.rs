//! [`FloatModel`]: what training gives, before rounding.

mod answers;

use std::time::Duration;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use sordino_front::Front;
use sordino_model::stage::Hierarchy;
use sordino_model::{ClientHierarchy, ClientModel, HeldOut, Label, Lead, ModelHash, ServerModel};

use crate::clusters::tree::Tree;
use crate::examples::{Classes, Songs};
use crate::heads::stage::FloatStage;
use crate::unknown::threshold::Threshold;
use crate::{LearnError, TrainConfig, distractors};

pub use answers::{Answer, float_answers, integer_answers};

/// A trained model in floating point.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatModel {
    /// The settings it was trained with.
    pub config: TrainConfig,
    /// Base vectors, made of samples where the model is for sound, to one vector per stage. Head `s` belongs to stage `s`, and the
    /// last one to `flat` too.
    pub front: Front,
    /// The label of every class.
    pub classes: Classes,
    /// Where in its label's sound every class begins, where that was said.
    pub starts: Option<Vec<Duration>>,
    /// Which labels were found to be copies of each other.
    pub songs: Songs,
    /// Which classes hang below which choices.
    pub tree: Tree,
    /// Routing stages in order, then the last stage.
    pub stages: Vec<FloatStage>,
    /// The unknown threshold of the last stage.
    pub threshold: Threshold,
    /// A classifier over all classes in one group, and its unknown threshold.
    pub flat: Option<(FloatStage, Threshold)>,
    /// Some of the examples that the thresholds were chosen by, with labels in the place of ids.
    pub held_out: HeldOut,
}

/// A label and its score: a cosine plus its row's bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The label: of music, the track's place in the library.
    pub label: u32,
    /// Its score.
    pub score: f32,
}

impl FloatModel {
    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.classes.labels()
    }

    /// The two halves in integers. `labels[i]` describes label `i`, of those that are no distractors.
    ///
    /// # Errors
    /// [`LearnError`] where there is not one of them for each label, or a score could leave the message space.
    pub fn halves(&self, name: &str, mut labels: Vec<Label>) -> Result<(ClientModel, ServerModel), LearnError> {
        let drawn = self.config.distractors.rows;
        if labels.len() + drawn != self.labels() {
            let (found, expected) = (vec![labels.len()], vec![self.labels() - drawn]);
            return Err(LearnError::Shape { what: "labels", found, expected });
        }
        labels.extend(distractors::labels(drawn, &labels));
        let last = self.stages.len() - 1;
        let stage = |(s, stage): (usize, &FloatStage)| {
            let threshold = if s == last { self.threshold.score.above } else { 0 };
            stage.quantised(self.front.head(s)?.quantiser(), threshold)
        };
        let stages = self.stages.iter().enumerate().map(stage).collect::<Result<_, LearnError>>()?;
        let hierarchy = Hierarchy::new(stages)?;
        let input = self.front.head(last)?.quantiser();
        let flat = |(stage, threshold): &(FloatStage, Threshold)| {
            Ok::<_, LearnError>(Hierarchy::new(vec![stage.quantised(input, threshold.score.above)?])?)
        };
        let flat = self.flat.as_ref().map(flat).transpose()?;

        let rows = self.tree.leaves().iter().flatten().map(|&class| class as usize);
        let mut outline = self.outline(&hierarchy, (0..=last).collect(), rows, &self.threshold)?;
        if self.config.public_routing {
            outline = outline.with_routers(hierarchy.stages()[..last].to_vec())?;
        }
        let flat_outline = |(hierarchy, (_, threshold)): (&Hierarchy, &(FloatStage, Threshold))| {
            self.outline(hierarchy, vec![last], 0..self.classes.len(), threshold)
        };
        let flat_outline = flat.as_ref().zip(self.flat.as_ref()).map(flat_outline).transpose()?;
        let spec = ModelHash::of_input(&self.front);
        let server = ServerModel::new(name, spec, hierarchy, flat)?;
        let client = ClientModel::new(name, self.front.clone(), outline, flat_outline, labels, server.hash())?;
        Ok((client, server))
    }

    /// What the client knows of one hierarchy, the last stage of which has these classes as rows.
    fn outline(
        &self,
        hierarchy: &Hierarchy,
        heads: Vec<usize>,
        rows: impl Iterator<Item = usize> + Clone,
        threshold: &Threshold,
    ) -> Result<ClientHierarchy, LearnError> {
        let slots = rows.clone().map(|class| self.classes.label(class)).collect();
        let mut outline = ClientHierarchy::new(hierarchy.shape().clone(), heads, slots)?;
        if let Some(starts) = &self.starts {
            let milliseconds = |class: usize| u32::try_from(starts[class].as_millis()).unwrap_or(u32::MAX);
            outline = outline.with_starts(rows.map(milliseconds).collect())?;
        }
        Ok(outline.with_lead(self.lead(threshold)))
    }

    /// The test of a client that sees scores.
    fn lead(&self, threshold: &Threshold) -> Lead {
        Lead { copies: self.songs.copies().collect(), ..threshold.tuning().lead }
    }

    /// The `top` best labels of every example in floating point, from base features `[examples, features]`: by the flat
    /// classifier for no `probes`, else through the hierarchy with so many groups kept at every stage.
    ///
    /// # Errors
    /// [`LearnError::Front`] for features of another width or that are not finite.
    pub fn rank(
        &self,
        features: ArrayView2<f32>,
        probes: Option<usize>,
        top: usize,
    ) -> Result<Vec<Vec<Match>>, LearnError> {
        /// Scores that are held at once.
        const SCORES: usize = 1 << 27;
        let last = self.stages.len() - 1;
        let at_once = (SCORES / self.classes.len().max(1)).max(1);
        if features.nrows() > at_once {
            let blocks = features.axis_chunks_iter(Axis(0), at_once).map(|rows| self.rank(rows, probes, top));
            return Ok(blocks.collect::<Result<Vec<_>, LearnError>>()?.concat());
        }
        let vectors = self.front.head(last)?.embed_batch(features)?;
        match (&self.flat, probes) {
            (Some((flat, _)), None) => {
                let scores = flat.scores(vectors.view());
                let rows = scores.axis_iter(Axis(0)).into_par_iter();
                Ok(rows.map(|row| best(self.classes.all().iter().copied().zip(row.iter().copied()), top)).collect())
            }
            _ => self.rank_by_stages(features, vectors.view(), probes.unwrap_or(usize::MAX), top),
        }
    }

    fn rank_by_stages(
        &self,
        features: ArrayView2<f32>,
        vectors: ArrayView2<f32>,
        probes: usize,
        top: usize,
    ) -> Result<Vec<Vec<Match>>, LearnError> {
        let last = self.stages.len() - 1;
        let scores = |stage: usize| -> Result<Array2<f32>, LearnError> {
            let z = self.front.head(stage)?.embed_batch(features)?;
            Ok(self.stages[stage].scores(z.view()))
        };
        let routing: Vec<Array2<f32>> = (0..last).map(scores).collect::<Result<_, _>>()?;
        let final_scores = self.stages[last].scores(vectors);
        let slots = self.tree.slots();
        let rank = |example: usize| {
            let leaves = routing.iter().zip(&self.stages).fold(vec![0], |groups, (scores, stage)| {
                let width = stage.rows.dim().1;
                let mut paths: Vec<usize> = groups.iter().flat_map(|g| g * width..(g + 1) * width).collect();
                let score = |path: &usize| scores[(example, *path)];
                let better = |a: &usize, b: &usize| score(b).total_cmp(&score(a)).then(a.cmp(b));
                if probes < paths.len() {
                    paths.select_nth_unstable_by(probes, better);
                    paths.truncate(probes);
                }
                paths.sort_unstable_by(better);
                paths
            });
            let row = final_scores.row(example);
            let scored = leaves.iter().flat_map(|&leaf| {
                let label = |class: u32| self.classes.label(class as usize);
                let members = self.tree.leaves()[leaf].iter().enumerate();
                members.map(move |(slot, &class)| (label(class), row[leaf * slots + slot]))
            });
            best(scored, top)
        };
        Ok((0..features.nrows()).into_par_iter().map(rank).collect())
    }

    /// The classifier of the labels and its test: the flat one, where it is asked for and was trained, or the last stage.
    pub fn last(&self, flat: bool) -> (&FloatStage, &Threshold) {
        match &self.flat {
            Some((stage, threshold)) if flat => (stage, threshold),
            _ => (&self.stages[self.stages.len() - 1], &self.threshold),
        }
    }

    /// Whether the best of some labels and their scores, all that could be known among them, counts as known by the flat classifier or
    /// through the stages: as a client tells that sees scores.
    ///
    /// # Errors
    /// [`LearnError::Front`] where the model has no head for its last stage.
    pub(crate) fn knows(&self, flat: bool, ranked: &[Match]) -> Result<bool, LearnError> {
        let last = self.stages.len() - 1;
        let input = self.front.head(last)?.quantiser().scale;
        let (stage, threshold) = self.last(flat);
        let unit = input * stage.grid.scale();
        let score = |found: &Match| (found.score * unit).round() as i64 - i64::from(threshold.score.above);
        Ok(self.lead(threshold).knows(ranked.iter().map(|found| (found.label as usize, score(found)))))
    }
}

/// The `top` best, a label with several slots counting once, ties to the smaller label.
fn best(scored: impl Iterator<Item = (u32, f32)>, top: usize) -> Vec<Match> {
    /// Scores that are put in order at first for each of them: a label has few slots.
    const FIRST: usize = 32;
    let better = |a: &Match, b: &Match| b.score.total_cmp(&a.score).then(a.label.cmp(&b.label));
    let mut all: Vec<Match> = scored.map(|(label, score)| Match { label, score }).collect();
    let mut ordered = FIRST * top.max(1);
    loop {
        ordered = ordered.min(all.len());
        if ordered < all.len() {
            all.select_nth_unstable_by(ordered, better);
        }
        all[..ordered].sort_by(better);
        let mut kept: Vec<Match> = Vec::with_capacity(top);
        for found in &all[..ordered] {
            if kept.len() < top && kept.iter().all(|k| k.label != found.label) {
                kept.push(*found);
            }
        }
        if kept.len() == top || ordered == all.len() {
            return kept;
        }
        ordered *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_labels_are_found_among_many_slots() {
        // Ninety-nine slots of the best label, then one of each.
        let slots = |place: u32| (place.saturating_sub(98), 1.0 - (place as f32) / 1_000.0);
        let labels = |top| best((0..900).map(slots), top).iter().map(|found| found.label).collect::<Vec<_>>();
        assert_eq!((labels(2), labels(4)), (vec![0, 1], vec![0, 1, 2, 3]));
        assert_eq!(labels(1_000), (0..802).collect::<Vec<_>>());
        let even = best([(7, 0.5), (3, 0.5), (9, 0.25), (3, 0.75)].into_iter(), 3);
        assert_eq!(
            even.iter().map(|found| (found.label, found.score)).collect::<Vec<_>>(),
            [(3, 0.75), (7, 0.5), (9, 0.25)]
        );
        assert_eq!(best(std::iter::empty(), 2), []);
    }
}
