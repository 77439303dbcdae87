//! What the benches share: models of random weights, a client and a server of one model, and the machine's memory bandwidth.
//!
//! Costs do not depend on what the weights are, so random ones of the size and norm that training gives will do.

pub mod decided;

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::SecretKey;
use sordino_fhe::scores::{Client, Plan, Server, Work};
use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::circuit::{Clear, ClearValue};
use sordino_model::stage::{Hierarchy, Stage};

/// Features of a cluster query.
pub const CLUSTER_WIDTH: usize = 128;

/// Features of a track query.
pub const TRACK_WIDTH: usize = 96;

/// Norm of quantised unit vectors: 6-bit integers of standard deviation about 10.
const NORM: u64 = 96;

/// Any failure of a bench.
pub type Failure = Box<dyn Error>;

/// A seeded generator.
pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The bound of a quantised unit vector.
pub fn bound(width: usize) -> VectorBound {
    VectorBound { width, max_abs: 31, norm_squared: NORM * NORM }
}

/// A random quantised unit vector.
pub fn unit(width: usize, rng: &mut ChaCha8Rng) -> Vec<i32> {
    loop {
        // Twelve uniform variables make a variable that is normal enough, of variance 1.
        let x: Vec<f64> = (0..width).map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0).collect();
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        let scale = (NORM - 1) as f64 / norm;
        let x: Vec<i32> = x.iter().map(|v| (v * scale).round().clamp(-31.0, 31.0) as i32).collect();
        if bound(width).admits(&x) {
            return x;
        }
    }
}

/// A stage of random quantised unit vectors with a bias like that of an unknown threshold.
///
/// # Errors
/// For no groups or slots.
pub fn stage(groups: usize, outputs: usize, width: usize, rng: &mut ChaCha8Rng) -> Result<Stage, Failure> {
    let weights = (0..groups * outputs).flat_map(|_| unit(width, rng)).map(|w| w as i8).collect();
    let bias = (0..groups * outputs).map(|_| -rng.random_range(3_000..5_000)).collect();
    Ok(Stage::new(outputs, bound(width), weights, bias, vec![outputs; groups])?)
}

/// `clusters` clusters of `tracks` tracks each.
///
/// # Errors
/// For no clusters or tracks.
pub fn two_stages(clusters: usize, tracks: usize) -> Result<Hierarchy, Failure> {
    let mut rng = rng(25);
    let first = stage(1, clusters, CLUSTER_WIDTH, &mut rng)?;
    Ok(Hierarchy::new(vec![first, stage(clusters, tracks, TRACK_WIDTH, &mut rng)?])?)
}

/// One stage of `tracks` tracks.
///
/// # Errors
/// For no tracks.
pub fn one_stage(tracks: usize) -> Result<Hierarchy, Failure> {
    Ok(Hierarchy::new(vec![stage(1, tracks, TRACK_WIDTH, &mut rng(26))?])?)
}

/// A client and a server of one model.
pub struct Exchange<'a> {
    /// The client.
    pub client: Client,
    /// The server.
    pub server: Server,
    hierarchy: &'a Hierarchy,
    rng: ChaCha8Rng,
}

/// The query of one trip, and what went into it.
pub struct Query {
    /// The message.
    pub message: Vec<u8>,
    vector: Vec<i32>,
    groups: Vec<usize>,
}

impl<'a> Exchange<'a> {
    /// Prepares a model.
    ///
    /// # Errors
    /// For a plan that does not fit the model.
    pub fn new(key: Arc<SecretKey>, hierarchy: &'a Hierarchy, plan: Plan) -> Result<Self, Failure> {
        let model = ModelHash::of(b"random weights");
        let server = Server::new(model, hierarchy, plan.clone())?;
        let client = Client::new(key, plan, model, hierarchy.shape())?;
        Ok(Self { client, server, hierarchy, rng: rng(27) })
    }

    /// A random query.
    ///
    /// # Errors
    /// For a trip that the plan does not have.
    pub fn query(&mut self, trip: usize) -> Result<Query, Failure> {
        let plan = *self.server.plan().trip(trip)?;
        let stage = &self.hierarchy.stages()[plan.stage];
        let vector = unit(stage.input().width, &mut self.rng);
        let groups: Vec<usize> =
            (0..plan.probes.unwrap_or(0)).map(|_| self.rng.random_range(0..stage.groups())).collect();
        let message = self.client.query(trip, &vector, &groups)?;
        Ok(Query { message, vector, groups })
    }

    /// Answers a query on the rayon pool it is called in.
    ///
    /// # Errors
    /// For a query of another trip.
    pub fn answer(&self, query: &Query) -> Result<(Vec<u8>, Work), Failure> {
        Ok(self.server.answer_and_measure(&query.message)?)
    }

    /// Decrypts a reply and compares it with the scores of the clear machine.
    ///
    /// # Errors
    /// Where they differ.
    pub fn check(&self, trip: usize, query: &Query, reply: &[u8]) -> Result<(), Failure> {
        let scores = self.client.scores(trip, reply, &query.groups)?;
        let circuit = self.server.plan().trip(trip)?.circuit(self.hierarchy.shape())?;
        let mut inputs = vec![ClearValue::Vector(query.vector.clone())];
        inputs.extend(query.groups.iter().map(|&group| ClearValue::Index(group)));
        let clear = circuit.run(&mut Clear::new(self.hierarchy), inputs)?;
        let clear: Vec<_> = clear
            .into_iter()
            .flat_map(|value| if let ClearValue::Scores(s) = value { s } else { Vec::new() })
            .collect();
        if scores == clear { Ok(()) } else { Err("encrypted scores differ from clear ones".into()) }
    }
}

/// Reads `data` once, eight sums at a time: what the machine's memory, or a cache that holds `data`, can deliver.
pub fn read(data: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for chunk in black_box(data).chunks_exact(8) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    sums.iter().sum()
}
