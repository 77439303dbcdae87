//! [`EncryptedRegression`]: the flat regression in this project's own runtime, window by window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use sordino_fhe::SecretKey;
use sordino_fhe::params::ParameterSet;
use sordino_fhe::scores::{Client, Plan, PlannerOptions, Server};
use sordino_learn::Answer;
use sordino_model::ModelHash;
use sordino_model::stage::Hierarchy;

use super::regression::FlatRegression;
use crate::LabError;

/// A server that holds the regression's integer weights, and a client with a key.
pub struct EncryptedRegression<'a> {
    regression: &'a FlatRegression,
    server: Server,
    client: Client,
}

/// One clip, named under encryption, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct EncryptedClip {
    /// What the client decided.
    pub answer: Answer,
    /// Windows in the clip, each a query of its own.
    pub windows: usize,
    /// Decrypted scores that are not those of the clear integers; 0 is what there should be.
    pub wrong_scores: usize,
    /// The client's encryption of all windows.
    pub encrypt: Duration,
    /// The server's work on all windows, which share its threads.
    pub server: Duration,
    /// The client's decryption of all scores.
    pub decrypt: Duration,
    /// Bytes sent.
    pub up: usize,
    /// Bytes received.
    pub down: usize,
}

impl<'a> EncryptedRegression<'a> {
    /// Plans the protocol `flat` for the regression and prepares its weights.
    ///
    /// # Errors
    /// [`LabError::Fhe`] for scores that no plan can hold.
    pub fn new(
        regression: &'a FlatRegression,
        key: impl Into<Arc<SecretKey>>,
        parameters: &'static ParameterSet,
    ) -> Result<Self, LabError> {
        let hierarchy = regression.hierarchy();
        let plan = Plan::flat(parameters, hierarchy, PlannerOptions::default())?;
        let hash = hash(hierarchy);
        let server = Server::new(hash, hierarchy, plan.clone())?;
        let client = Client::new(key, plan, hash, hierarchy.shape())?;
        Ok(Self { regression, server, client })
    }

    /// Bytes of the server's prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.server.weight_bytes()
    }

    /// Names a clip: every window encrypted, scored by the server, decrypted, and the vote.
    ///
    /// # Errors
    /// [`LabError::Fhe`] for a message that is refused.
    pub fn answer(&mut self, samples: &[f32]) -> Result<EncryptedClip, LabError> {
        let vectors = self.regression.window_vectors(samples);
        let start = Instant::now();
        let queries = vectors.iter().map(|x| self.client.query(0, x, &[])).collect::<Result<Vec<_>, _>>()?;
        let encrypt = start.elapsed();
        let start = Instant::now();
        let replies = queries.par_iter().map(|query| self.server.answer(query)).collect::<Result<Vec<_>, _>>()?;
        let server = start.elapsed();
        let start = Instant::now();
        let decrypted = |reply: &Vec<u8>| Ok(self.client.scores(0, reply, &[])?.concat());
        let scores = replies.iter().map(decrypted).collect::<Result<Vec<Vec<i64>>, LabError>>()?;
        let decrypt = start.elapsed();

        let stage = self.regression.hierarchy().last();
        let wrong = |(x, scores): (&Vec<i32>, &Vec<i64>)| {
            scores.iter().enumerate().filter(|&(slot, &score)| score != stage.score(0, slot, x)).count()
        };
        Ok(EncryptedClip {
            answer: self.regression.decide(&scores),
            windows: vectors.len(),
            wrong_scores: vectors.iter().zip(&scores).map(wrong).sum(),
            encrypt,
            server,
            decrypt,
            up: queries.iter().map(Vec::len).sum(),
            down: replies.iter().map(Vec::len).sum(),
        })
    }
}

/// What ties queries to these weights.
fn hash(hierarchy: &Hierarchy) -> ModelHash {
    let stage = hierarchy.last();
    let weights = stage.weights().iter().map(|w| w.cast_unsigned());
    ModelHash::of(&weights.chain(stage.biases().iter().flat_map(|b| b.to_le_bytes())).collect::<Vec<u8>>())
}
