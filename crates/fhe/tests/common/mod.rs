//! Random models, and a client and a server that talk about them in messages.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::SecretKey;
use sordino_fhe::params::ParameterSet;
use sordino_fhe::scores::{Client, Plan, PlannerOptions, Server};
use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::circuit::{Circuit, Clear, ClearValue};
use sordino_model::stage::{Hierarchy, Stage};

/// A stage of random weights up to `max_weight` and random counts, of which the first is full.
pub(crate) fn stage(groups: usize, outputs: usize, width: usize, max_weight: i8, rng: &mut ChaCha8Rng) -> Stage {
    let weights = (0..groups * outputs * width).map(|_| rng.random_range(-max_weight..=max_weight)).collect();
    let bias = (0..groups * outputs).map(|_| rng.random_range(-40..=40)).collect();
    let counts = (0..groups).map(|g| if g == 0 { outputs } else { rng.random_range(1..=outputs) }).collect();
    let input = VectorBound { width, max_abs: 31, norm_squared: 31 * 31 * width as u64 / 3 };
    Stage::new(outputs, input, weights, bias, counts).unwrap()
}

/// A hierarchy of stages with the given numbers of slots and features; every slot of every stage is used where another
/// stage follows.
pub(crate) fn hierarchy(stages: &[(usize, usize)], seed: u64) -> Hierarchy {
    hierarchy_of_weights(stages, seed, 31)
}

/// [`hierarchy`] with weights up to `max_weight`.
pub(crate) fn hierarchy_of_weights(stages: &[(usize, usize)], seed: u64, max_weight: i8) -> Hierarchy {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = 1;
    let stages = stages.iter().enumerate().map(|(s, &(outputs, width))| {
        let mut random = stage(groups, outputs, width, max_weight, &mut rng);
        if s + 1 < stages.len() {
            let (weights, biases) = (random.weights().to_vec(), random.biases().to_vec());
            random = Stage::new(outputs, random.input(), weights, biases, vec![outputs; groups]).unwrap();
        }
        groups *= outputs;
        random
    });
    Hierarchy::new(stages.collect()).unwrap()
}

/// A random vector within the bound.
pub(crate) fn vector(bound: VectorBound, rng: &mut ChaCha8Rng) -> Vec<i32> {
    loop {
        let x: Vec<i32> = (0..bound.width).map(|_| rng.random_range(-bound.max_abs..=bound.max_abs) / 2).collect();
        if bound.admits(&x) {
            return x;
        }
    }
}

/// A client and a server of one model.
pub(crate) struct Pair<'a> {
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) hierarchy: &'a Hierarchy,
}

pub(crate) const MODEL: ModelHash = ModelHash([7; 32]);

pub(crate) fn key(parameters: &'static ParameterSet, seed: u64) -> Arc<SecretKey> {
    SecretKey::generate_from_insecure_seed(parameters, seed).into()
}

impl<'a> Pair<'a> {
    pub(crate) fn new(key: &Arc<SecretKey>, hierarchy: &'a Hierarchy, plan: Plan, seed: u64) -> Self {
        let server = Server::new(MODEL, hierarchy, plan).unwrap();
        // The plan travels as bytes.
        let plan = Plan::from_bytes(&server.plan().to_bytes()).unwrap();
        let client = Client::new(key.clone(), plan, MODEL, hierarchy.shape()).unwrap().with_insecure_seed(seed);
        Self { client, server, hierarchy }
    }

    pub(crate) fn staged(key: &Arc<SecretKey>, hierarchy: &'a Hierarchy, probes: usize, seed: u64) -> Self {
        let plan = Plan::routed(key.parameters(), hierarchy, probes, PlannerOptions::default()).unwrap();
        Self::new(key, hierarchy, plan, seed)
    }

    pub(crate) fn flat(key: &Arc<SecretKey>, hierarchy: &'a Hierarchy, seed: u64) -> Self {
        let plan = Plan::flat(key.parameters(), hierarchy, PlannerOptions::default()).unwrap();
        Self::new(key, hierarchy, plan, seed)
    }

    /// The scores of one trip, through messages.
    pub(crate) fn encrypted(&mut self, trip: usize, x: &[i32], groups: &[usize]) -> Vec<Vec<i64>> {
        let query = self.client.query(trip, x, groups).unwrap();
        let (reply, work) = self.server.answer_and_measure(&query).unwrap();
        let cost = self.server.plan().cost(trip, self.hierarchy.shape()).unwrap();
        assert_eq!((query.len(), reply.len()), (cost.bytes_up, cost.bytes_down), "bytes as priced");
        assert_eq!(work.counts, cost.counts, "operations as priced");
        self.client.scores(trip, &reply, groups).unwrap()
    }

    /// The same scores on plain integers.
    pub(crate) fn clear(&self, trip: usize, x: &[i32], groups: &[usize]) -> Vec<Vec<i64>> {
        let circuit: Circuit = self.server.plan().trips()[trip].circuit(self.hierarchy.shape()).unwrap();
        let mut inputs = vec![ClearValue::Vector(x.to_vec())];
        inputs.extend(groups.iter().map(|&group| ClearValue::Index(group)));
        let replies = circuit.run(&mut Clear::new(self.hierarchy), inputs).unwrap();
        let scores = replies.into_iter().flat_map(|value| match value {
            ClearValue::Scores(groups) => groups,
            other => panic!("a reply of {other:?}"),
        });
        scores.collect()
    }
}
