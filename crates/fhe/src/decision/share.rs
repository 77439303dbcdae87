//! A last stage that is spread over several machines: which columns of it each holds, and what is asked of them.
//!
//! The gates that select the last stage's scores are a tree over its columns. Whoever holds a part of the leaves can do the gates below its
//! part's roots, and one machine does the few that are left. So every share scores its own columns and selects among them; the coordinator
//! selects among what comes back, and plays the tournament. The gates are those of one machine, and so is their noise.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use sordino_model::ModelHash;
use sordino_model::cost::WeightForm;
use sordino_model::layout::{CHECKSUM_BYTES, TournamentLayout};
use sordino_model::stage::Hierarchy;

use super::plan::{Plan, SELECTOR};
use super::server::{Held, Whole, prepared};
use super::tree;
use crate::FheError;
use crate::decision::machine::PreparedStage;
use crate::linear::LinearStage;
use crate::ring::fourier::Fourier;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::Glwe;
use crate::wire::checksum;
use crate::wire::expansion::expand;

/// One of so many shares of a model's last stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    number: usize,
    of: usize,
}

impl Share {
    /// The most shares that a stage is divided into.
    pub const MOST: usize = 256;

    /// Share `number`, from 0, of `of`.
    ///
    /// # Errors
    /// [`FheError::Share`] for no such share, or too many of them.
    pub fn new(number: usize, of: usize) -> Result<Self, FheError> {
        match number < of && of <= Self::MOST {
            true => Ok(Self { number, of }),
            false => Err(FheError::Share {
                what: format!(
                    "share {} of {of}; expected 1 to the number of shares, at most {}",
                    number + 1,
                    Self::MOST
                ),
            }),
        }
    }

    /// How many shares there are.
    pub fn of(self) -> usize {
        self.of
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number + 1, self.of)
    }
}

/// Machines that hold shares of a model. Every request goes to all of them.
pub trait Shares: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The reply of every share to a request, in order.
    ///
    /// # Errors
    /// [`FheError::Share`] where one cannot be had.
    fn ask(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, FheError>;
}

/// Gives, for a bit, the first or the second of every pair.
type Gates<'a> = dyn Fn(&Ggsw, &[(&Glwe, &Glwe)]) -> Vec<Glwe> + 'a;

/// How the columns of the last stage are divided.
pub(crate) struct Division {
    /// What stands at every place of the tree that comes first: the number of a set of columns.
    nodes: Vec<Option<usize>>,
    /// Bits of a place.
    bits: usize,
    /// Of them, the most significant ones, which the coordinator selects by.
    above: usize,
    /// Columns of a set.
    width: usize,
    /// Which share has the places that begin with these bits.
    owners: Vec<usize>,
}

impl Division {
    /// Of so many shares.
    pub(crate) fn new(layout: &TournamentLayout, of: usize) -> Self {
        /// Parts of the tree for every share. Words of columns are light ones, which are rarer towards the end of the tree, so that equal parts
        /// of it hold different numbers of columns.
        const PARTS: usize = 4;
        let last = layout.stages().len() - 1;
        let columns = layout.stage(last).packing().columns();
        let (bits, width, nodes) = if last >= 2 {
            // The first position chooses among sets of columns, one for every slot of the first stage.
            let (bits, sets) = (layout.position_bits(0), layout.stage(0).outputs());
            let mut nodes = vec![None; 1 << bits];
            (0..sets).for_each(|slot| nodes[layout.position(0, slot)] = Some(slot));
            (bits, columns / sets.max(1), nodes)
        } else {
            let stage = layout.stage(last);
            (stage.column_bits(), 1, stage.at_words(0..columns))
        };
        let above = ((PARTS * of).next_power_of_two().ilog2() as usize).min(bits);
        // The fullest part first, each to the share that has the least.
        let held = |part: usize| nodes[part << (bits - above)..(part + 1) << (bits - above)].iter().flatten().count();
        let mut parts: Vec<(usize, usize)> = (0..1 << above).map(|part| (held(part), part)).collect();
        parts.sort_by_key(|&(held, part)| (std::cmp::Reverse(held), part));
        let (mut owners, mut loads) = (vec![0; 1 << above], vec![0; of]);
        for (held, part) in parts {
            let least = (0..of).min_by_key(|&share| (loads[share], share)).unwrap_or_default();
            loads[least] += held;
            owners[part] = least;
        }
        Self { nodes, bits, above, width, owners }
    }

    /// The parts of the tree that a share has, those without columns left out.
    fn parts(&self, share: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.owners.len())
            .filter(move |&part| self.owners[part] == share && self.sets(part).any(|set| set.is_some()))
    }

    /// What stands at the places of a part.
    fn sets(&self, part: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        let below = self.bits - self.above;
        self.nodes[part << below..(part + 1) << below].iter().copied()
    }

    /// The columns of a share, ascending.
    fn columns(&self, share: usize) -> Vec<usize> {
        let sets = self.parts(share).flat_map(|part| self.sets(part)).flatten();
        let mut columns: Vec<usize> = sets.flat_map(|set| set * self.width..(set + 1) * self.width).collect();
        columns.sort_unstable();
        columns
    }

    /// Asks all shares for the set of columns at an encrypted place.
    pub(crate) fn ask(
        &self,
        shares: &dyn Shares,
        question: Question<'_>,
        bits: &[Ggsw],
        fourier: &Fourier,
        gates: &Gates<'_>,
    ) -> Result<Vec<Glwe>, FheError> {
        let (above, below) = bits.split_at(self.above);
        let request = question.request(below, shares.count(), fourier);
        let replies = shares.ask(&request)?;
        if replies.len() != shares.count() {
            return Err(FheError::Share { what: format!("{} replies of {} shares", replies.len(), shares.count()) });
        }
        let mut parts: Vec<Option<Vec<Glwe>>> = vec![None; 1 << self.above];
        for (number, reply) in replies.iter().enumerate() {
            let own: Vec<usize> = self.parts(number).collect();
            let share = Share { number, of: shares.count() };
            let glwes = read_reply(reply, &request, share, own.len() * self.width, fourier.size());
            // A query is not to blame for what a worker does.
            let wrong = |error: FheError| FheError::Share { what: format!("the reply of share {share}: {error}") };
            let mut glwes = glwes.map_err(wrong)?.into_iter();
            for part in own {
                parts[part] = Some(glwes.by_ref().take(self.width).collect());
            }
        }
        let found = (0..self.width).filter_map(|column| {
            let nodes = parts.iter().map(|part| part.as_ref().map(|set| &set[column]));
            tree::select(nodes, above, gates)
        });
        Ok(found.collect())
    }
}

/// What a request is about, beside the selectors.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) model: ModelHash,
    pub(crate) plan: ModelHash,
    /// The encrypted vector of the last stage, as the client sent it.
    pub(crate) vector: &'a [u8],
}

const REQUEST: &[u8; 8] = b"sordshq1";
const REPLY: &[u8; 8] = b"sordshr1";
const HASH: usize = 32;
/// Bytes of a number of shares.
const NUMBER: usize = size_of::<u32>();

impl Question<'_> {
    /// The request of a set of columns at the place that these bits spell, within every part.
    fn request(&self, bits: &[Ggsw], shares: usize, fourier: &Fourier) -> Vec<u8> {
        let mut scratch = fourier.scratch();
        let shares = (shares as u32).to_le_bytes();
        let mut request = [&REQUEST[..], &shares, &self.model.0, &self.plan.0, self.vector].concat();
        bits.iter().for_each(|bit| bit.write(&mut request, fourier, &mut scratch));
        checksum::seal(&mut request);
        request
    }
}

/// A share of a model's last stage, ready to answer a coordinator. It holds no secret, and no key.
pub struct ShareServer {
    model: ModelHash,
    plan: Plan,
    digest: ModelHash,
    share: Share,
    division: Division,
    columns: Vec<usize>,
    stage: PreparedStage,
    /// Ciphertexts of a query.
    inputs: usize,
    fourier: Fourier,
    /// The scores of the vector that was asked about last: who follows several groups asks several times.
    last: Mutex<Option<Scored>>,
}

/// A vector's hash, and the scores of a share's columns.
type Scored = (ModelHash, Arc<Vec<Glwe>>);

impl ShareServer {
    /// Prepares a share of the last stage of `hierarchy` for `plan`. `model` is the hash of the server half.
    ///
    /// # Errors
    /// As [`super::Server::new`].
    pub fn new(
        model: ModelHash,
        hierarchy: &Hierarchy,
        plan: Plan,
        share: Share,
        form: WeightForm,
    ) -> Result<Self, FheError> {
        let Whole { layout, fourier, .. } = Whole::new(hierarchy, &plan)?;
        let division = Division::new(&layout, share.of);
        let columns = division.columns(share.number);
        let (last, place) = (hierarchy.last(), layout.stages().len() - 1);
        let stage = prepared(last, place, &layout, &plan, Held::Some(columns.clone()), form, &fourier)?;
        let inputs = layout.stage(place).packing().inputs();
        let (digest, last) = (plan.digest(), Mutex::default());
        Ok(Self { model, digest, plan, share, division, columns, stage, inputs, fourier, last })
    }

    /// Which share it is.
    pub fn share(&self) -> Share {
        self.share
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.stage.linear.as_ref().map_or(0, LinearStage::bytes)
    }

    /// Longest request that there is.
    pub fn request_len(&self) -> usize {
        let selectors = (self.division.bits - self.division.above) * self.selector_len();
        REQUEST.len() + NUMBER + 2 * HASH + self.vector_len() + selectors + CHECKSUM_BYTES
    }

    fn vector_len(&self) -> usize {
        self.plan.last_vector_len(self.inputs)
    }

    fn selector_len(&self) -> usize {
        Ggsw::bytes(SELECTOR, self.fourier.size())
    }

    /// Answers a request of a coordinator. Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no request for this model under this plan. Lengths are checked before anything is allocated.
    pub fn answer(&self, request: &[u8]) -> Result<Vec<u8>, FheError> {
        let rest = request
            .strip_prefix(REQUEST)
            .ok_or(FheError::NotAMessage { what: "another beginning", expected: "request of a coordinator" })?;
        let (found, expected) = (request.len(), self.request_len());
        // The number of shares comes first: it decides the length of the rest.
        let shares = rest.first_chunk().map(|of| u32::from_le_bytes(*of) as usize);
        if let Some(found) = shares.filter(|shares| *shares != self.share.of) {
            let expected = self.share.of;
            return Err(FheError::Share {
                what: format!("a server of {found} workers asks, expected one of {expected}"),
            });
        }
        if found != expected {
            return Err(FheError::Length { found, expected });
        }
        let rest = &rest[NUMBER..];
        checksum::open(request).ok_or(FheError::Damaged { what: "request of a coordinator" })?;
        let (hashes, rest) = rest.split_at(2 * HASH);
        let hash = |bytes: &[u8]| ModelHash(std::array::from_fn(|i| bytes[i]));
        let (model, plan) = (hash(&hashes[..HASH]), hash(&hashes[HASH..]));
        if model != self.model {
            return Err(FheError::Model { found: model, expected: self.model });
        }
        if plan != self.digest {
            return Err(FheError::OtherPlan { found: plan, expected: self.digest });
        }
        let (vector, rest) = rest.split_at(self.vector_len());
        let selectors = rest[..rest.len() - CHECKSUM_BYTES].chunks_exact(self.selector_len());
        let mut scratch = self.fourier.scratch();
        let bits: Vec<Ggsw> = selectors.map(|bytes| Ggsw::read(SELECTOR, bytes, &self.fourier, &mut scratch)).collect();
        let scores = self.scores(vector);
        let at: BTreeMap<usize, &Glwe> = self.columns.iter().copied().zip(&*scores).collect();
        let mut reply = REPLY.to_vec();
        reply.extend([self.share.number as u32, self.share.of as u32].into_iter().flat_map(u32::to_le_bytes));
        let selected = |(part, column): (usize, usize)| {
            let nodes = self
                .division
                .sets(part)
                .map(|set| set.and_then(|set| at.get(&(set * self.division.width + column)).copied()));
            let gates = |bit: &Ggsw, pairs: &[(&Glwe, &Glwe)]| {
                let gate = |scratch: &mut _, (zero, one): &(&Glwe, &Glwe)| bit.cmux(zero, one, &self.fourier, scratch);
                pairs.par_iter().map_init(|| self.fourier.scratch(), gate).collect()
            };
            tree::select(nodes, &bits, gates)
        };
        let parts: Vec<(usize, usize)> = self
            .division
            .parts(self.share.number)
            .flat_map(|part| (0..self.division.width).map(move |column| (part, column)))
            .collect();
        for glwe in parts.into_par_iter().map(selected).collect::<Vec<_>>().into_iter().flatten() {
            reply.extend(glwe.as_slice().iter().flat_map(|value| value.to_le_bytes()));
        }
        // The reply names its request.
        reply.extend(&request[request.len() - CHECKSUM_BYTES..]);
        checksum::seal(&mut reply);
        Ok(reply)
    }
}

impl ShareServer {
    /// The scores of the columns that are held, of an encrypted vector as the client sent it.
    fn scores(&self, vector: &[u8]) -> Arc<Vec<Glwe>> {
        let hash = ModelHash::of(vector);
        // What a thread left that panicked is whole: it is put there at once.
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, scores)) = last().as_ref().filter(|(asked, _)| *asked == hash) {
            return scores.clone();
        }
        let query = expand(vector, self.inputs, self.fourier.size(), self.plan.last_body_bits());
        let vector = LinearStage::transform(&query, &self.fourier);
        let linear = self.stage.linear.as_ref();
        let mut scores = linear.map_or_else(Vec::new, |linear| linear.evaluate(&vector, &self.fourier));
        self.stage.fill(&mut scores, self.columns.iter().copied());
        let scores = Arc::new(scores);
        *last() = Some((hash, scores.clone()));
        scores
    }
}

/// The ciphertexts of a reply to a request.
fn read_reply(reply: &[u8], request: &[u8], share: Share, count: usize, ring: usize) -> Result<Vec<Glwe>, FheError> {
    let said = reply.strip_prefix(REPLY).and_then(|rest| rest.first_chunk::<{ 2 * NUMBER }>());
    let own = [share.number as u32, share.of as u32];
    if said.is_some_and(|said| *said != own.map(u32::to_le_bytes).as_flattened()) {
        return Err(FheError::Share {
            what: "it is of another share; expected workers in the order of their shares".into(),
        });
    }
    let bytes = count * 2 * ring * size_of::<u64>();
    let (found, expected) = (reply.len(), REPLY.len() + 2 * NUMBER + bytes + 2 * CHECKSUM_BYTES);
    if found != expected {
        return Err(FheError::Length { found, expected });
    }
    let what = "reply of a share";
    checksum::open(reply).ok_or(FheError::Damaged { what })?;
    let (payload, sums) = reply.split_at(reply.len() - 2 * CHECKSUM_BYTES);
    let Some(payload) = payload.strip_prefix(REPLY).and_then(|rest| rest.get(2 * NUMBER..)) else {
        return Err(FheError::NotAMessage { what: "another beginning", expected: what });
    };
    if sums[..CHECKSUM_BYTES] != request[request.len() - CHECKSUM_BYTES..] {
        return Err(FheError::OtherQuery);
    }
    let glwe = |bytes: &[u8]| {
        let mut glwe = Glwe::zero(ring);
        let (values, _) = bytes.as_chunks();
        glwe.as_mut_slice().iter_mut().zip(values).for_each(|(to, &value)| *to = u64::from_le_bytes(value));
        glwe
    };
    Ok(payload.chunks_exact(2 * ring * size_of::<u64>()).map(glwe).collect())
}
