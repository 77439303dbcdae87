//! [`Server`]: a model ready to answer queries.

use std::sync::Arc;
use std::time::Instant;

use sordino_model::ModelHash;
use sordino_model::circuit::Circuit;
use sordino_model::cost::{Counts, WeightForm};
use sordino_model::layout::{NUMBER_BYTES, SparsePacking, TournamentLayout};
use sordino_model::stage::{Hierarchy, Stage};

use super::machine::{DecisionMachine, DecisionValue, Elsewhere, PreparedStage, Stages};
use super::plan::{Plan, differences, largest_norm};
use super::reply::seal_bits;
use super::share::{Division, Question, Shares};
use super::work::Work;
use crate::bootstrap::evaluator::Evaluator;
use crate::linear::LinearStage;
use crate::protocol::promise;
use crate::ring::fourier::Fourier;
use crate::ring::glwe::{Glwe, Lwe};
use crate::ring::zero_key::ZeroKey;
use crate::wire::checksum::Checksum;
use crate::wire::encoding::Encoding;
use crate::wire::expansion::{expand, expand_numbers};
use crate::wire::header::{Asked, Header, Kind};
use crate::wire::seeded::seeded_len;
use crate::{FheError, KeyId, ServerKey};

/// The server's half of the protocol: every stage's weights in the Fourier domain. Holds no secret of any client, and answers any
/// number of queries of any number of clients at once.
pub struct Server {
    model: ModelHash,
    plan: Plan,
    digest: ModelHash,
    layout: TournamentLayout,
    circuit: Circuit,
    /// The first stage of the model that is evaluated.
    first: usize,
    stages: Vec<PreparedStage>,
    fourier: Fourier,
    /// Who holds the last stage, if it is not here.
    elsewhere: Option<Box<(Division, Arc<dyn Shares>)>>,
}

/// What a query holds, after the name of the key that it is under.
struct Query<'a> {
    zero_key: ZeroKey,
    vectors: Vec<DecisionValue>,
    /// The last of them, as the client sent it.
    last: &'a [u8],
    above: Lwe,
    /// The bits of the groups that the client asks for, packed.
    asked: Vec<Glwe>,
}

/// What the evaluation of a model stands on, whoever holds its weights.
pub(crate) struct Whole {
    pub(crate) layout: TournamentLayout,
    /// The first stage of the model that is evaluated.
    pub(crate) first: usize,
    pub(crate) fourier: Fourier,
}

impl Whole {
    pub(crate) fn new(hierarchy: &Hierarchy, plan: &Plan) -> Result<Self, FheError> {
        promise(plan.failure_log2(hierarchy.shape())?)?;
        let (layout, first) = (plan.layout(hierarchy.shape())?, plan.first(hierarchy.shape()));
        Ok(Self { layout, first, fourier: Fourier::new(plan.parameters().ring()) })
    }
}

/// Which columns of a stage are held here.
pub(crate) enum Held {
    All,
    Some(Vec<usize>),
    Nothing,
}

/// Prepares stage `s` of those that are evaluated.
pub(crate) fn prepared(
    stage: &Stage,
    s: usize,
    layout: &TournamentLayout,
    plan: &Plan,
    held: Held,
    form: WeightForm,
    fourier: &Fourier,
) -> Result<PreparedStage, FheError> {
    let (arranged, promised) = (layout.stage(s), plan.stages()[s]);
    let encoding = Encoding::with_delta(promised.delta);
    let (difference, floor) = differences(stage, plan.entries(s), s + 1 == plan.stages().len());
    if difference > promised.difference || floor != promised.floor {
        return Err(FheError::Plan { what: "the model's scores exceed its bounds" });
    }
    if largest_norm(stage, layout, s) > promised.norm_squared {
        return Err(FheError::Plan { what: "the model's weights exceed its bound on their norm" });
    }
    let mut empty = vec![Vec::new(); arranged.packing().columns()];
    for (group, &count) in stage.counts().iter().enumerate() {
        let (column, slots) = arranged.empty(group, count);
        empty[column].extend(slots);
    }
    let apart =
        || arranged.spread(stage).map_err(|_| FheError::Plan { what: "it was made for stages of another shape" });
    let linear = match held {
        Held::All => Some(LinearStage::new(&apart()?, arranged.packing(), encoding, form, fourier)),
        Held::Some(columns) => {
            Some(LinearStage::holding(&apart()?, arranged.packing(), columns, encoding, form, fourier))
        }
        Held::Nothing => None,
    };
    Ok(PreparedStage { linear, encoding, floor: encoding.encode(promised.floor), empty })
}

impl Server {
    /// Prepares `hierarchy` for `plan`. `model` is the hash of the server half, which queries must carry.
    ///
    /// # Errors
    /// [`FheError::Plan`] if the plan was made for another model, or its bounds are below the model's.
    pub fn new(model: ModelHash, hierarchy: &Hierarchy, plan: Plan) -> Result<Self, FheError> {
        Self::holding(model, hierarchy, plan, WeightForm::default())
    }

    /// [`Server::new`] with the form in which weights are held.
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub fn holding(model: ModelHash, hierarchy: &Hierarchy, plan: Plan, form: WeightForm) -> Result<Self, FheError> {
        Self::prepared(model, hierarchy, plan, form, None)
    }

    /// The same where others hold the last stage: it is asked of them in every query. What it answers is what one machine would.
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub fn coordinating(
        model: ModelHash,
        hierarchy: &Hierarchy,
        plan: Plan,
        form: WeightForm,
        shares: Arc<dyn Shares>,
    ) -> Result<Self, FheError> {
        Self::prepared(model, hierarchy, plan, form, Some(shares))
    }

    fn prepared(
        model: ModelHash,
        hierarchy: &Hierarchy,
        plan: Plan,
        form: WeightForm,
        shares: Option<Arc<dyn Shares>>,
    ) -> Result<Self, FheError> {
        let circuit = plan.circuit(hierarchy.shape())?;
        let Whole { layout, first, fourier } = Whole::new(hierarchy, &plan)?;
        let last = hierarchy.stages().len() - first - 1;
        let stages = hierarchy.stages()[first..].iter().enumerate().map(|(s, stage)| {
            let held = if s == last && shares.is_some() { Held::Nothing } else { Held::All };
            prepared(stage, s, &layout, &plan, held, form, &fourier)
        });
        let stages = stages.collect::<Result<_, _>>()?;
        let elsewhere = shares.map(|shares| Box::new((Division::new(&layout, shares.count()), shares)));
        Ok(Self { model, digest: plan.digest(), plan, layout, circuit, first, stages, fourier, elsewhere })
    }

    /// The plan, to hand out to clients.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.stages.iter().flat_map(|stage| &stage.linear).map(LinearStage::bytes).sum()
    }

    /// The evaluation key that a query asks for.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan.
    pub fn key_of(&self, query: &[u8]) -> Result<KeyId, FheError> {
        self.asked(query).map(|asked| asked.key)
    }

    fn asked<'a>(&self, query: &'a [u8]) -> Result<Asked<'a>, FheError> {
        self.header(Kind::Query).asked(query, self.plan.query_len(&self.layout))
    }

    /// Answers one query message with one reply message, under the client's evaluation key. Runs on the rayon pool it is called
    /// in.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan and key. Every length is checked against the plan
    /// before anything is allocated.
    pub fn answer(&self, key: &ServerKey, query: &[u8]) -> Result<Vec<u8>, FheError> {
        self.answer_and_measure(key, query).map(|(reply, _)| reply)
    }

    /// [`Server::answer`], as long as `wanted` says so. It is asked before every batch of bootstraps, and never again once it has said
    /// no: then the evaluation stops.
    ///
    /// # Errors
    /// As [`Server::answer`], and [`FheError::Stopped`].
    pub fn answer_while(
        &self,
        key: &ServerKey,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, FheError> {
        self.evaluate(key, query, wanted).map(|(reply, _)| reply)
    }

    /// [`Server::answer`], with the operations and the time that it took.
    ///
    /// # Errors
    /// As [`Server::answer`].
    pub fn answer_and_measure(&self, key: &ServerKey, query: &[u8]) -> Result<(Vec<u8>, Work), FheError> {
        self.evaluate(key, query, &|| true)
    }

    fn evaluate(
        &self,
        key: &ServerKey,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Vec<u8>, Work), FheError> {
        let start = Instant::now();
        let Asked { payload, checksum, .. } = self.asked(query)?.under(key, self.plan.parameters().id)?;
        let Query { zero_key, vectors, last, above, asked } = self.read(payload);
        let read = start.elapsed();
        let evaluator = Evaluator::new(key, self.plan.options().resolution).while_wanted(wanted);
        let stages = Stages { layout: &self.layout, first: self.first, prepared: &self.stages };
        let question = Question { model: self.model, plan: self.digest, vector: last };
        let elsewhere = self.elsewhere.as_ref();
        let elsewhere = elsewhere.map(|held| Elsewhere { division: &held.0, shares: &*held.1, question });
        let mut machine = DecisionMachine::new(stages, &self.fourier, evaluator, above).with_last_stage(elsewhere);
        let mut inputs = vectors;
        inputs.extend(machine.indices(&asked, self.plan.asked_bits(&self.layout)));
        let values = self.circuit.run(&mut machine, inputs)?;
        // Of an evaluation that was told to stop, nothing leaves.
        machine.still_wanted()?;
        let mut work = Work { read, ..machine.into_work() };
        let start = Instant::now();
        let mut answers = Vec::with_capacity(values.len());
        for value in values {
            let DecisionValue::Answer(answer) = value else {
                return Err(FheError::Kind { op: "reply", found: "no answer", expected: "an answer" });
            };
            answers.push(answer);
        }
        let reply = self.write(&answers, &zero_key, &checksum);
        work.counts += Counts::reply();
        work.counts += Counts::zero_key();
        self.layout.stages().iter().for_each(|stage| work.counts += Counts::vector(stage.packing().inputs()));
        work.reply = start.elapsed();
        Ok((reply, work))
    }

    fn header(&self, kind: Kind) -> Header {
        Header { kind, trip: 0, parameters: self.plan.parameters().id, model: self.model, plan: self.digest }
    }

    /// Splits what follows the key's identifier.
    fn read<'a>(&self, payload: &'a [u8]) -> Query<'a> {
        let ring = self.plan.parameters().ring();
        let (mut rest, mut last) = (payload, payload);
        let mut next = |count: usize, bits: u32| {
            (last, rest) = rest.split_at(seeded_len(count, ring, bits));
            expand(last, count, ring, bits)
        };
        let zero_key = ZeroKey::new(&next(1, self.plan.envelope().zero_key_bits)[0], &self.fourier);
        let stages = self.plan.stages().iter().zip(self.layout.stages());
        let vectors = stages.map(|(stage, arranged)| {
            let query = next(arranged.packing().inputs(), stage.body_bits);
            DecisionValue::Vector(LinearStage::transform(&query, &self.fourier))
        });
        let vectors = vectors.collect();
        let (number, bits) = rest.split_at(NUMBER_BYTES);
        let above = expand_numbers(number, SparsePacking::new(ring, 1), ring)[0].extract(0);
        let asked = expand_numbers(bits, self.plan.asked_bits(&self.layout), ring);
        Query { zero_key, vectors, last, above, asked }
    }

    /// The reply to `query`. One ciphertext for all answers, one after the other: re-randomised, flooded, and of its body only the answers.
    fn write(&self, answers: &[Glwe], zero_key: &ZeroKey, query: &Checksum) -> Vec<u8> {
        let parameters = self.plan.parameters();
        let bits = self.layout.answer_bits();
        let mut out = Glwe::zero(parameters.ring());
        for (a, answer) in answers.iter().enumerate() {
            // X^(a bits) is -X^-(N - a bits), and a bit is half of the torus, which has no sign.
            let moved = if a == 0 { answer.clone() } else { answer.divide_by_monomial(parameters.ring() - a * bits) };
            out.add_assign(&moved);
        }
        let message = self.header(Kind::Reply).write(query, self.plan.reply_len(&self.layout));
        let sealing = (zero_key, self.plan.envelope());
        seal_bits(message, out, answers.len() * bits, sealing, parameters, &self.fourier)
    }
}
