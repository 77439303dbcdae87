//! [`Leads`]: how far apart the clear scores of one query are, to be held against a plan's [`Margins`].

use sordino_model::stage::Hierarchy;

use super::margins::Margins;
use super::plan::Plan;
use crate::FheError;
use crate::wire::sender::admit;

/// By how much the winners of a query lead in the clear.
#[derive(Clone, Debug, PartialEq)]
pub struct Leads {
    /// For every stage, the smallest lead, in score units, on which the answer rests: of the last group that is followed over the
    /// first that is not; in the last stage, of the returned track over every other track or, where several are returned, of every
    /// returned slot over the next.
    pub stages: Vec<u64>,
    /// Other slots of the returned track in the race, where one is returned.
    pub siblings: usize,
    /// The smallest distance, in score units, of a returned track's score from one half, where known and unknown part.
    pub threshold: f64,
}

impl Leads {
    /// Whether every lead is at least its margin, so that the encrypted answer is the clear one but with the plan's failure probability.
    pub fn are_certain(&self, margins: &Margins) -> bool {
        let Some((&last, routing)) = self.stages.split_last() else { return false };
        let (margin, threshold) = margins.last_stage(self.siblings);
        let far = routing.iter().zip(&margins.stages).all(|(&lead, &margin)| lead as f64 >= margin);
        far && last as f64 >= margin && self.threshold >= threshold
    }
}

impl Plan {
    /// The leads of a query with one vector per stage that is evaluated, for the groups that the client asked for, where `label` says whose a slot of the last stage is, by its number among
    /// those of all groups; `None` for a slot that shares no label. Empty slots count as the plan's floor, as they do encrypted.
    ///
    /// # Errors
    /// [`FheError::Vectors`], [`FheError::Vector`], [`FheError::Groups`] or [`FheError::Group`] for a query that is none of this model,
    /// [`FheError::Plan`] for a plan of another.
    pub fn leads(
        &self,
        hierarchy: &Hierarchy,
        vectors: &[Vec<i32>],
        asked: &[usize],
        label: impl Fn(usize) -> Option<usize>,
    ) -> Result<Leads, FheError> {
        let stages = &hierarchy.stages()[self.first(hierarchy.shape())..];
        self.check_groups(hierarchy.shape(), asked)?;
        if vectors.len() != stages.len() {
            return Err(FheError::Vectors { found: vectors.len(), expected: stages.len() });
        }
        if self.stages().len() != stages.len() {
            return Err(FheError::Plan { what: "it has another number of stages than the model" });
        }
        let mut groups = if asked.is_empty() { vec![0] } else { asked.to_vec() };
        let (mut leads, mut siblings, mut threshold) = (Vec::new(), 0, f64::INFINITY);
        for (s, (stage, x)) in stages.iter().zip(vectors).enumerate() {
            admit(x, stage.input())?;
            let last = s + 1 == stages.len();
            let used = stage.counts().iter().copied().max().unwrap_or(0);
            let (mut scores, mut paths) = (Vec::new(), Vec::new());
            for &group in &groups {
                for slot in 0..used {
                    let taken = slot < stage.count(group);
                    let score = if taken { stage.score(group, slot, x) } else { self.stages()[s].floor };
                    scores.push((score, paths.len()));
                    paths.push(group * stage.outputs() + slot);
                }
            }
            // The best first; of equal ones, the first.
            scores.sort_by_key(|&(score, place)| (std::cmp::Reverse(score), place));
            let found = self.finds(s).min(scores.len());
            if last && found == 1 {
                // To lose to another slot of the same track changes nothing.
                let whose = label(paths[scores[0].1]);
                let sibling = |&(_, place): &(i64, usize)| whose.is_some() && label(paths[place]) == whose;
                let rivals: Vec<_> = scores[1..].iter().copied().filter(|score| !sibling(score)).collect();
                siblings = scores.len() - 1 - rivals.len();
                scores.truncate(1);
                scores.extend(rivals);
            }
            let empty = |&(_, place): &(i64, usize)| {
                paths[place] % stage.outputs() >= stage.count(paths[place] / stage.outputs())
            };
            let gaps = scores.windows(2).map(|pair| pair[0].0.abs_diff(pair[1].0));
            let ahead = if last { 0 } else { found - 1 };
            // Nobody to lead where there is no other candidate. An empty slot among the winners is none of the clear answer's.
            let lead = gaps.take(found).skip(ahead).min().unwrap_or(u64::MAX);
            leads.push(if scores[..found].iter().any(empty) { 0 } else { lead });
            if last {
                let distance = |&(score, _): &(i64, usize)| (score as f64 - 0.5).abs();
                threshold = scores[..found].iter().map(distance).fold(threshold, f64::min);
            }
            groups = scores[..found].iter().map(|&(_, place)| paths[place]).collect();
        }
        Ok(Leads { stages: leads, siblings, threshold })
    }
}
