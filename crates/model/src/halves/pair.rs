//! [`Pair`]: both halves in one place, identifying in the clear; how accuracy is measured on whole datasets.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use sordino_front::threads;
use thiserror::Error;

use crate::answer::{GroupScores, Next, Trips};
use crate::circuit::{Circuit, Clear, ClearError, ClearValue, StageId};
use crate::stage::Hierarchy;
use crate::{Answer, ClientError, ClientHierarchy, ClientModel, Protocol, Routing, ServerModel};

/// Queries that are scored together.
const BATCH: usize = 128;

/// What can go wrong when both halves are at hand.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
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

    /// The client's half.
    pub fn client(&self) -> &'a ClientModel {
        self.client
    }

    /// The server's half.
    pub fn server(&self) -> &'a ServerModel {
        self.server
    }

    /// Names one clip from its base features, trip by trip, each a [`Circuit`] on the [`Clear`] machine: what the
    /// encrypted protocols must agree with.
    ///
    /// # Errors
    /// [`PairError`] for features of another width or not finite, or options that do not fit the model.
    pub fn identify(&self, protocol: Protocol, features: &[f32]) -> Result<Answer, PairError> {
        self.identify_above(protocol, features, 0)
    }

    /// [`Pair::identify`] with another score above which a track is known than zero, where the server decides.
    ///
    /// # Errors
    /// As [`Pair::identify`].
    pub fn identify_above(&self, protocol: Protocol, features: &[f32], above: i64) -> Result<Answer, PairError> {
        let (hierarchy, outline) = (self.server.stages_for(protocol), self.client.stages_for(protocol));
        let run = |circuit: &Circuit, inputs| circuit.run(&mut Clear::new(hierarchy).above(above), inputs);
        match protocol {
            Protocol::Flat => {
                let input = vec![ClearValue::Vector(self.client.flat_input(features)?)];
                let replies = run(&Circuit::flat(hierarchy), input)?;
                let scored = replies.into_iter().flat_map(scores).enumerate();
                let scored: Vec<_> = scored.map(|(group, scores)| GroupScores { group, scores }).collect();
                Ok(outline.rank(&scored)?.into())
            }
            Protocol::Routed { probes } | Protocol::Picked { probes } => {
                let mut trips = match protocol.routing() {
                    Routing::Public => self.client.pick(features, probes)?,
                    _ => Trips::new(probes),
                };
                loop {
                    let mut inputs = vec![ClearValue::Vector(self.client.input(outline, trips.stage(), features)?)];
                    inputs.extend(trips.indices().iter().map(|&group| ClearValue::Index(group)));
                    let replies = run(&trips.circuit(outline).map_err(ClearError::from)?, inputs)?;
                    match trips.decide(outline, replies.into_iter().flat_map(scores).collect())? {
                        Next::Trip(next) => trips = next,
                        Next::Done(ranking) => return Ok(ranking.into()),
                    }
                }
            }
            Protocol::Decided { probes, answers, .. } => {
                let circuit = Circuit::decided(hierarchy, probes, answers).map_err(ClearError::from)?;
                let inputs = self.client.inputs(features)?.into_iter().map(ClearValue::Vector).collect();
                Ok(Answer::of_slots(outline, run(&circuit, inputs)?.into_iter().filter_map(path), above))
            }
            Protocol::Raw => {
                let raw = hierarchy.raw().ok_or(ClientError::NotRaw)?;
                let input = vec![ClearValue::Samples(self.client.samples(features)?)];
                let found = run(&Circuit::raw(raw.front().spec()), input)?;
                Ok(Answer::of_slots(outline, found.into_iter().filter_map(path), above))
            }
            Protocol::PickedDecided { answers, .. } => {
                let (vectors, groups) = self.client.question(protocol, features)?;
                let circuit = Circuit::picked_decided(hierarchy, groups.len(), answers).map_err(ClearError::from)?;
                let vectors = vectors.into_iter().map(ClearValue::Vector);
                let inputs = vectors.chain(groups.into_iter().map(ClearValue::Index));
                Ok(Answer::of_slots(outline, run(&circuit, inputs.collect())?.into_iter().filter_map(path), above))
            }
        }
    }

    /// [`Pair::identify`] of every row of `[n, width]`, in parallel, each answer cut to its best `top` tracks. The same
    /// answers, many times faster on whole datasets: scores of whole stages are matrix products.
    ///
    /// # Errors
    /// [`PairError`] for features of another width or not finite.
    pub fn identify_batch(
        &self,
        protocol: Protocol,
        features: ArrayView2<'_, f32>,
        top: usize,
    ) -> Result<Vec<Answer>, PairError> {
        self.identify_batch_above(protocol, features, top, 0)
    }

    /// [`Pair::identify_batch`] with another score above which a track is known than zero, where the server decides.
    ///
    /// # Errors
    /// As [`Pair::identify_batch`].
    pub fn identify_batch_above(
        &self,
        protocol: Protocol,
        features: ArrayView2<'_, f32>,
        top: usize,
        above: i64,
    ) -> Result<Vec<Answer>, PairError> {
        let blocks: Vec<_> = features.axis_chunks_iter(Axis(0), BATCH).collect();
        let answers = threads::map(blocks, |rows| {
            let mut answers = match protocol {
                Protocol::Flat => self.flat_block(rows, top)?,
                // Public routing layers are the server's own: the clusters that a client picks are those that it is led to.
                Protocol::Picked { .. } if self.client.speaks(protocol).is_err() => {
                    return Err(ClientError::NotPublic.into());
                }
                Protocol::Routed { probes } | Protocol::Picked { probes } => self.routed_block(rows, probes)?,
                Protocol::Decided { .. } | Protocol::PickedDecided { .. } | Protocol::Raw => {
                    let rows = rows.rows().into_iter();
                    rows.map(|row| self.identify_above(protocol, &row.to_vec(), above)).collect::<Result<_, _>>()?
                }
            };
            answers.iter_mut().for_each(|answer| answer.matches.truncate(top));
            Ok(answers)
        });
        let answers = answers.into_iter().collect::<Result<Vec<Vec<Answer>>, PairError>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    fn inputs(
        &self,
        outline: &ClientHierarchy,
        stage: usize,
        rows: ArrayView2<'_, f32>,
    ) -> Result<Array2<i32>, PairError> {
        let head = self.client.front().head(outline.heads()[stage]).map_err(ClientError::from)?;
        Ok(head.input_batch(rows).map_err(ClientError::from)?)
    }

    fn flat_block(&self, rows: ArrayView2<'_, f32>, top: usize) -> Result<Vec<Answer>, PairError> {
        let (flat, outline) = (self.server.flat(), self.client.flat());
        let last = outline.heads().len() - 1;
        let scores = Clear::new(flat).linear_batch(StageId(last), self.inputs(outline, last, rows)?.view())?;
        let ranked =
            scores.axis_iter(Axis(0)).map(|scores| Ok(outline.rank_top(&groups(flat, last, scores), top)?.into()));
        ranked.collect()
    }

    fn routed_block(&self, rows: ArrayView2<'_, f32>, probes: usize) -> Result<Vec<Answer>, PairError> {
        let (hierarchy, outline) = (self.server.hierarchy(), self.client.hierarchy());
        let stages = 0..outline.heads().len();
        let inputs: Vec<Array2<i32>> = stages.map(|s| self.inputs(outline, s, rows)).collect::<Result<_, _>>()?;
        let first = Clear::new(hierarchy).linear_batch(StageId(0), inputs[0].view())?;
        let ranked = first.axis_iter(Axis(0)).enumerate().map(|(row, scores)| {
            let scores = scores.iter().take(hierarchy.stages()[0].count(0)).copied().collect();
            let mut next = Trips::new(probes).decide(outline, vec![scores])?;
            loop {
                let trips = match next {
                    Next::Done(ranking) => return Ok(ranking.into()),
                    Next::Trip(trips) => trips,
                };
                let stage = &hierarchy.stages()[trips.stage()];
                let x = inputs[trips.stage()].row(row).to_vec();
                let score = |&group: &usize| (0..stage.count(group)).map(|slot| stage.score(group, slot, &x)).collect();
                let replies = trips.groups().iter().map(score).collect();
                next = trips.decide(outline, replies)?;
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

/// The path of an answer; every reply of a circuit in which the server decides is one.
fn path(value: ClearValue) -> Option<usize> {
    match value {
        ClearValue::Answer(path) => path,
        _ => None,
    }
}

fn scores(value: ClearValue) -> Vec<Vec<i64>> {
    match value {
        ClearValue::Scores(groups) => groups,
        // Every reply of a trip is a score; a circuit that returned anything else would fail in `decide`.
        _ => Vec::new(),
    }
}
