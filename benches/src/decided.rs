//! Decisions on random models: the same tracks in one, two or three stages, planted queries, and what an answer took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sordino_fhe::decision::{Client, Options, Plan, Server, Shares, Work};
use sordino_fhe::{ClientKey, ServerKey};
use sordino_model::circuit::{Clear, ClearValue};
use sordino_model::cost::WeightForm;
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ModelHash, Routing};

use crate::{Failure, TRACK_WIDTH, bound, rng, unit};

/// What stands for the hash of a model of random weights.
pub const HASH: ModelHash = ModelHash([7; 32]);
/// Taken off every score of a track, so that strangers stay below zero: cosines below 0.43.
const KNOWN_ABOVE: i32 = 4_000;

/// Tracks, and how they are cut into groups.
pub struct Tree {
    /// Number of tracks.
    pub tracks: usize,
    /// Slots of a group, stage by stage.
    pub outputs: Vec<usize>,
}

impl Tree {
    /// `tracks` tracks in `stages` stages of about as many slots each.
    pub fn balanced(tracks: usize, stages: usize) -> Self {
        let mut outputs = Vec::with_capacity(stages);
        let mut rest = tracks.max(1);
        for stage in 0..stages {
            let root = (rest as f64).powf(1.0 / (stages - stage) as f64).ceil() as usize;
            // A power that is a hair too large would cost a slot.
            let slots = if (root - 1).pow((stages - stage) as u32) >= rest { root - 1 } else { root };
            outputs.push(slots.max(1));
            rest = rest.div_ceil(slots.max(1));
        }
        Self { tracks, outputs }
    }

    /// Groups of the last stage.
    fn groups(&self) -> usize {
        self.outputs[..self.outputs.len() - 1].iter().product()
    }

    /// The tracks of group `group`: neighbours, as many in each group but for one.
    fn members(&self, group: usize) -> std::ops::Range<usize> {
        let groups = self.groups();
        group * self.tracks / groups..(group + 1) * self.tracks / groups
    }

    /// The group that a track lies in.
    fn group(&self, track: usize) -> usize {
        (0..self.groups()).find(|&g| self.members(g).contains(&track)).unwrap_or(0)
    }

    /// `probes` different groups, of which a track's own is the first.
    fn picked(&self, track: usize, probes: usize) -> Vec<usize> {
        let (own, groups) = (self.group(track), self.groups());
        (0..probes).map(|p| (own + p * groups / probes) % groups).collect()
    }

    /// The model: random unit vectors, those of a track the same however many stages there are.
    ///
    /// # Errors
    /// For no tracks or slots.
    pub fn model(&self) -> Result<Hierarchy, Failure> {
        let mut stages = Vec::with_capacity(self.outputs.len());
        let mut groups = 1;
        for (s, &outputs) in self.outputs.iter().enumerate() {
            let last = s + 1 == self.outputs.len();
            // Seed 0 makes tracks, the others the routes to them.
            let (seed, rows) = if last { (0, self.tracks) } else { (1 + s as u64, groups * outputs) };
            let random: Vec<Vec<i8>> = (0..rows).into_par_iter().map(|row| weights(seed, row)).collect();
            let (mut weights, mut counts) = (Vec::with_capacity(groups * outputs * TRACK_WIDTH), Vec::new());
            for group in 0..groups {
                let members = if last { self.members(group) } else { group * outputs..(group + 1) * outputs };
                counts.push(members.len());
                random[members.clone()].iter().for_each(|row| weights.extend_from_slice(row));
                weights.resize(weights.len() + (outputs - members.len()) * TRACK_WIDTH, 0);
            }
            let bias = counts
                .iter()
                .flat_map(|&count| (0..outputs).map(move |slot| if last && slot < count { -KNOWN_ABOVE } else { 0 }));
            let bias = bias.collect();
            stages.push(Stage::new(outputs, bound(TRACK_WIDTH), weights, bias, counts)?);
            groups *= outputs;
        }
        Ok(Hierarchy::new(stages)?)
    }

    /// Noisy copies of the rows on the way to `track`: cosines of about 0.8.
    pub fn planted(&self, model: &Hierarchy, track: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<i32>> {
        let group = self.group(track);
        let slot = track - self.members(group).start;
        // The path as mixed-radix digits, the last stage's first.
        let (mut slots, mut rest) = (vec![slot], group);
        for &outputs in self.outputs[..self.outputs.len() - 1].iter().rev() {
            slots.push(rest % outputs);
            rest /= outputs;
        }
        let mut group = 0;
        let vectors = model.stages().iter().zip(slots.into_iter().rev()).map(|(stage, slot)| {
            let row = stage.row(group, slot).to_vec();
            group = group * stage.outputs() + slot;
            disturbed(&row, rng)
        });
        vectors.collect()
    }

    /// The track that an answer names.
    pub fn track(&self, path: usize) -> usize {
        let slots = self.outputs[self.outputs.len() - 1];
        self.members(path / slots).start + path % slots
    }
}

/// Row `row` of a stage, from a stream of its own.
fn weights(seed: u64, row: usize) -> Vec<i8> {
    let mut rng = rng(seed);
    rng.set_stream(row as u64);
    unit(TRACK_WIDTH, &mut rng).into_iter().map(|w| w as i8).collect()
}

/// A row with noise of three quarters of its norm.
fn disturbed(row: &[i8], rng: &mut ChaCha8Rng) -> Vec<i32> {
    let noise = unit(row.len(), rng);
    let mixed: Vec<f64> = row.iter().zip(noise).map(|(&w, e)| f64::from(w) + 0.75 * f64::from(e)).collect();
    let norm = mixed.iter().map(|x| x * x).sum::<f64>().sqrt();
    let target = (bound(row.len()).norm_squared as f64).sqrt();
    mixed.iter().map(|x| (x / norm * target).trunc().clamp(-31.0, 31.0) as i32).collect()
}

/// A client and a server of one model.
pub struct Exchange<'a> {
    /// The client.
    pub client: Client,
    /// The server.
    pub server: Server,
    /// How the tracks lie.
    pub tree: &'a Tree,
    model: &'a Hierarchy,
    form: WeightForm,
    /// Whether the server holds all weights, and does all that is priced.
    alone: bool,
}

/// One query, asked and answered.
pub struct Outcome {
    /// Whether the encrypted answer is the clear one.
    pub right: bool,
    /// The track found.
    pub track: Option<usize>,
    /// What the server did.
    pub work: Work,
    /// How long the server took.
    pub server: Duration,
    /// Processor time of all threads meanwhile, where the system says so: other work on the machine does not count.
    pub core_time: Option<Duration>,
    /// How long encryption and decryption took.
    pub client: Duration,
}

impl<'a> Exchange<'a> {
    /// Prepares a model.
    ///
    /// # Errors
    /// For options that do not fit the model.
    pub fn new(
        key: ClientKey,
        tree: &'a Tree,
        model: &'a Hierarchy,
        options: Options,
        form: WeightForm,
    ) -> Result<Self, Failure> {
        let plan = Plan::new(key.secret().parameters(), model, options)?;
        let server = Server::holding(HASH, model, plan, form)?;
        let client = Client::new(key, server.plan().clone(), HASH, model.shape())?;
        Ok(Self { client, server, tree, model, form, alone: true })
    }

    /// Prepares a model whose last stage others hold.
    ///
    /// # Errors
    /// As [`Exchange::new`].
    pub fn coordinating(
        key: ClientKey,
        tree: &'a Tree,
        model: &'a Hierarchy,
        options: Options,
        form: WeightForm,
        shares: Arc<dyn Shares>,
    ) -> Result<Self, Failure> {
        let plan = Plan::new(key.secret().parameters(), model, options)?;
        let server = Server::coordinating(HASH, model, plan, form, shares)?;
        let client = Client::new(key, server.plan().clone(), HASH, model.shape())?;
        Ok(Self { client, server, tree, model, form, alone: false })
    }

    /// Asks for a noisy copy of `track`.
    ///
    /// # Errors
    /// For messages that are refused, and where the work is not what was priced.
    pub fn ask(&mut self, key: &ServerKey, track: usize, rng: &mut ChaCha8Rng) -> Result<Outcome, Failure> {
        let mut vectors = self.tree.planted(self.model, track, rng);
        let Options { routing, probes, .. } = self.server.plan().options();
        let mut groups = Vec::new();
        if routing == Routing::Public {
            vectors = vectors.split_off(vectors.len() - 1);
            groups = self.tree.picked(track, probes);
        }
        let start = Instant::now();
        let query = self.client.query(&vectors, &groups, 0)?;
        let encrypted = start.elapsed();
        let (start, busy) = (Instant::now(), core_time());
        let (reply, work) = self.server.answer_and_measure(key, &query)?;
        let (server, core_time) = (start.elapsed(), core_time().zip(busy).map(|(now, before)| now - before));
        let start = Instant::now();
        let found = self.client.answers(&reply, &groups)?;
        let client = encrypted + start.elapsed();
        let plan = self.server.plan();
        let cost = plan.schedule(self.model.shape())?.holding(self.form, plan.parameters().ring()).report;
        if self.alone && (work.decisions, work.counts) != (cost.decisions, cost.counts) {
            return Err("the server did something else than was priced".into());
        }
        let inputs = vectors.into_iter().map(ClearValue::Vector).chain(groups.into_iter().map(ClearValue::Index));
        let inputs = inputs.collect();
        let clear = plan.circuit(self.model.shape())?.run(&mut Clear::new(self.model), inputs)?;
        let clear: Vec<Option<usize>> =
            clear.into_iter().map(|value| if let ClearValue::Answer(path) = value { path } else { None }).collect();
        let track = found.first().copied().flatten().map(|path| self.tree.track(path));
        Ok(Outcome { right: found == clear, track, work, server, core_time, client })
    }

    /// Any track.
    pub fn any(&self, rng: &mut ChaCha8Rng) -> usize {
        rng.random_range(0..self.tree.tracks)
    }
}

/// Processor time of all threads of this process so far, to a hundredth of a second.
fn core_time() -> Option<Duration> {
    // The name of the program, in brackets, may hold spaces; user and system time are fields 14 and 15, the name field 2.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_trees_hold_all_tracks() {
        for (tracks, stages) in [(1, 1), (16, 2), (298, 2), (1000, 3), (24_964, 2), (27, 3), (28, 3), (1_000_000, 3)] {
            let tree = Tree::balanced(tracks, stages);
            assert_eq!(tree.outputs.len(), stages);
            let most = (0..tree.groups()).map(|g| tree.members(g).len()).max().unwrap();
            assert!(most <= *tree.outputs.last().unwrap(), "{tracks} tracks, {:?}", tree.outputs);
            assert_eq!(tree.members(tree.groups() - 1).end, tracks);
        }
        assert_eq!(Tree::balanced(24_964, 2).outputs, [158, 158]);
        assert_eq!(Tree::balanced(1_000_000, 3).outputs, [100, 100, 100]);
    }

    #[test]
    fn planted_queries_find_their_track_in_the_clear() {
        let mut rng = rng(3);
        for stages in 1..=3 {
            let tree = Tree::balanced(60, stages);
            let model = tree.model().unwrap();
            for track in [0, 17, 59] {
                let inputs = tree.planted(&model, track, &mut rng).into_iter().map(ClearValue::Vector).collect();
                let circuit = sordino_model::circuit::Circuit::decided(&model, 1, 1).unwrap();
                let reply = circuit.run(&mut Clear::new(&model), inputs).unwrap();
                let ClearValue::Answer(Some(path)) = reply[0] else { panic!("a known track, found {:?}", reply[0]) };
                assert_eq!(tree.track(path), track);
            }
        }
    }
}
