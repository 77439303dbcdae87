//! [`Leads`]: how far apart the clear scores of one query are, to be held against a plan's [`Certainty`].

use sordino_model::Hierarchy;

use super::certainty::Certainty;
use super::plan::OneTripPlan;
use crate::FheError;

/// By how much the winners of a query lead in the clear.
#[derive(Clone, Debug, PartialEq)]
pub struct Leads {
    /// For every stage, the smallest lead, in score units, on which the answer rests: of the last group that is followed over the
    /// first that is not; in the last stage, of every returned track over the next.
    pub stages: Vec<u64>,
    /// The smallest distance, in score units, of a returned track's score from one half, where known and unknown part.
    pub threshold: f64,
}

impl Leads {
    /// Whether every lead is at least its margin, so that the encrypted answer is the clear one but with the plan's failure probability.
    pub fn are_certain(&self, certainty: &Certainty) -> bool {
        let far = self.stages.iter().zip(&certainty.margins).all(|(&lead, &margin)| lead as f64 >= margin);
        far && self.threshold >= certainty.threshold
    }
}

impl OneTripPlan {
    /// The leads of a query with one vector per stage. Empty slots count as the plan's floor, as they do encrypted.
    ///
    /// # Errors
    /// [`FheError::Vectors`] or [`FheError::Vector`] for vectors that are none of this model, [`FheError::Plan`] for a plan of
    /// another.
    pub fn leads(&self, hierarchy: &Hierarchy, vectors: &[Vec<i32>]) -> Result<Leads, FheError> {
        let stages = hierarchy.stages();
        if vectors.len() != stages.len() {
            return Err(FheError::Vectors { found: vectors.len(), expected: stages.len() });
        }
        if self.stages().len() != stages.len() {
            return Err(FheError::Plan { what: "it has another number of stages than the model" });
        }
        let (mut groups, mut leads, mut threshold) = (vec![0], Vec::new(), f64::INFINITY);
        for (s, (stage, x)) in stages.iter().zip(vectors).enumerate() {
            if !stage.input().admits(x) {
                let (width, max_abs, norm_squared) =
                    (stage.input().width, stage.input().max_abs, stage.input().norm_squared);
                return Err(FheError::Vector { width, max_abs, norm_squared });
            }
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
            let gaps = scores.windows(2).map(|pair| pair[0].0.abs_diff(pair[1].0));
            let ahead = if last { 0 } else { found - 1 };
            // Nobody to lead where there is no other candidate.
            leads.push(gaps.take(found).skip(ahead).min().unwrap_or(u64::MAX));
            if last {
                let distance = |&(score, _): &(i64, usize)| (score as f64 - 0.5).abs();
                threshold = scores[..found].iter().map(distance).fold(threshold, f64::min);
            }
            groups = scores[..found].iter().map(|&(_, place)| paths[place]).collect();
        }
        Ok(Leads { stages: leads, threshold })
    }
}
