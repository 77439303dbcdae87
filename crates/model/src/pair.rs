//! [`Pair`]: both halves in one place, identifying in the clear; how accuracy is measured on whole datasets.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use thiserror::Error;

use crate::{
    Circuit, Clear, ClearError, ClearValue, ClientError, ClientModel, GroupScores, Hierarchy, Next, Outline, Ranking,
    ServerModel, StageId, Trips,
};

/// Queries that are scored together.
const BATCH: usize = 128;

/// A protocol in which the client decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One trip; every score is returned.
    Flat,
    /// One trip per stage; the client follows this many groups.
    Trips {
        /// Groups asked for at every stage.
        probes: usize,
    },
}

/// What can go wrong when both halves are at hand.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PairError {
    /// The halves do not belong together, or the features are not what the client half takes.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The circuit refuses.
    #[error(transparent)]
    Clear(#[from] ClearError),
}

/// Both halves of one model.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    client: &'a ClientModel,
    server: &'a ServerModel,
}

impl<'a> Pair<'a> {
    /// Puts two halves together.
    ///
    /// # Errors
    /// [`ClientError::Mismatch`] for halves of two models.
    pub fn new(client: &'a ClientModel, server: &'a ServerModel) -> Result<Self, ClientError> {
        client.check_server(server)?;
        Ok(Self { client, server })
    }

    /// Names one clip from its base features, trip by trip, each a [`Circuit`] on the [`Clear`] machine: what the
    /// encrypted protocols must agree with.
    ///
    /// # Errors
    /// [`PairError`] for features of another width or not finite.
    pub fn identify(&self, protocol: Protocol, features: &[f32]) -> Result<Ranking, PairError> {
        match protocol {
            Protocol::Flat => {
                let (flat, outline) = (self.server.flat(), self.client.flat());
                let input = vec![ClearValue::Vector(self.client.flat_input(features)?)];
                let replies = Circuit::flat(flat).run(&mut Clear::new(flat), input)?;
                let scored = replies.into_iter().flat_map(scores).enumerate();
                Ok(outline.rank(&scored.map(|(group, scores)| GroupScores { group, scores }).collect::<Vec<_>>())?)
            }
            Protocol::Trips { probes } => {
                let (hierarchy, outline) = (self.server.hierarchy(), self.client.hierarchy());
                let mut trips = Trips::new(outline, probes);
                loop {
                    let mut inputs = vec![ClearValue::Vector(self.client.input(outline, trips.stage(), features)?)];
                    if trips.stage() > 0 {
                        inputs.extend(trips.groups().iter().map(|&group| ClearValue::Index(group)));
                    }
                    let circuit = trips.circuit().map_err(ClearError::from)?;
                    let replies = circuit.run(&mut Clear::new(hierarchy), inputs)?;
                    match trips.decide(replies.into_iter().flat_map(scores).collect())? {
                        Next::Trip(next) => trips = next,
                        Next::Done(ranking) => return Ok(ranking),
                    }
                }
            }
        }
    }

    /// [`Pair::identify`] of every row of `[n, width]`, in parallel, each ranking cut to its best `top` tracks. The same
    /// answers, many times faster on whole datasets: scores of whole stages are matrix products.
    ///
    /// # Errors
    /// [`PairError`] for features of another width or not finite.
    pub fn identify_batch(
        &self,
        protocol: Protocol,
        features: ArrayView2<'_, f32>,
        top: usize,
    ) -> Result<Vec<Ranking>, PairError> {
        let blocks: Vec<_> = features.axis_chunks_iter(Axis(0), BATCH).collect();
        let rankings = blocks.into_par_iter().map(|rows| match protocol {
            Protocol::Flat => self.flat_block(rows, top),
            Protocol::Trips { probes } => self.trips_block(rows, probes, top),
        });
        let rankings: Vec<Vec<Ranking>> = rankings.collect::<Result<_, _>>()?;
        Ok(rankings.into_iter().flatten().collect())
    }

    fn inputs(&self, outline: &Outline, stage: usize, rows: ArrayView2<'_, f32>) -> Result<Array2<i32>, PairError> {
        let head = self.client.front().head(outline.heads()[stage]).map_err(ClientError::from)?;
        Ok(head.input_batch(rows).map_err(ClientError::from)?)
    }

    fn flat_block(&self, rows: ArrayView2<'_, f32>, top: usize) -> Result<Vec<Ranking>, PairError> {
        let (flat, outline) = (self.server.flat(), self.client.flat());
        let last = outline.heads().len() - 1;
        let scores = Clear::new(flat).linear_batch(StageId(last), self.inputs(outline, last, rows)?.view())?;
        let ranked = scores.axis_iter(Axis(0)).map(|scores| Ok(outline.rank_top(&groups(flat, last, scores), top)?));
        ranked.collect()
    }

    fn trips_block(&self, rows: ArrayView2<'_, f32>, probes: usize, top: usize) -> Result<Vec<Ranking>, PairError> {
        let (hierarchy, outline) = (self.server.hierarchy(), self.client.hierarchy());
        let stages = 0..outline.heads().len();
        let inputs: Vec<Array2<i32>> = stages.map(|s| self.inputs(outline, s, rows)).collect::<Result<_, _>>()?;
        let first = Clear::new(hierarchy).linear_batch(StageId(0), inputs[0].view())?;
        let ranked = first.axis_iter(Axis(0)).enumerate().map(|(row, scores)| {
            let scores = scores.iter().take(hierarchy.stages()[0].count(0)).copied().collect();
            let mut next = Trips::new(outline, probes).decide(vec![scores])?;
            loop {
                let trips = match next {
                    Next::Done(Ranking(mut ranked)) => {
                        ranked.truncate(top);
                        return Ok(Ranking(ranked));
                    }
                    Next::Trip(trips) => trips,
                };
                let stage = &hierarchy.stages()[trips.stage()];
                let x = inputs[trips.stage()].row(row).to_vec();
                let score = |&group: &usize| (0..stage.count(group)).map(|slot| stage.score(group, slot, &x)).collect();
                let replies = trips.groups().iter().map(score).collect();
                next = trips.decide(replies)?;
            }
        });
        ranked.collect()
    }
}

/// Used slots of every group from one row of [`Clear::linear_batch`].
fn groups(hierarchy: &Hierarchy, stage: usize, scores: ArrayView1<'_, i64>) -> Vec<GroupScores> {
    let stage = &hierarchy.stages()[stage];
    let group = |group| {
        let start = group * stage.outputs();
        GroupScores { group, scores: (start..start + stage.count(group)).map(|i| scores[i]).collect() }
    };
    (0..stage.groups()).map(group).collect()
}

fn scores(value: ClearValue) -> Vec<Vec<i64>> {
    match value {
        ClearValue::Scores(groups) => groups,
        // Every reply of a trip is a score; a circuit that returned anything else would fail in `decide`.
        _ => Vec::new(),
    }
}
