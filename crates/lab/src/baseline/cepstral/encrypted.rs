//! [`EncryptedRegression`]: the flat regression in this project's own runtime, window by window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sordino_fhe::SecretKey;
use sordino_fhe::params::{self, ParameterSet};
use sordino_fhe::scores::{Client, Plan, PlannerOptions, Server};
use sordino_learn::Answer;
use sordino_model::ModelHash;
use sordino_model::stage::Hierarchy;

use super::regression::FlatRegression;
use crate::LabError;
use crate::evaluate::{AnswerSettings, Answers, Method, Queries, Query, Record, Sample, System, named, thousandths};

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
    /// What it would have decided in the clear, in integers.
    pub clear: Answer,
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
        key: Arc<SecretKey>,
        parameters: &'static ParameterSet,
    ) -> Result<Self, LabError> {
        let hierarchy = regression.hierarchy();
        let plan = Plan::flat(parameters, hierarchy, PlannerOptions::default())?;
        let hash = hash(hierarchy);
        let server = Server::new(hash, hierarchy, plan.clone())?;
        let client = Client::new(key, plan, hash, hierarchy.shape())?;
        Ok(Self { regression, server, client })
    }

    /// Names a clip by its windows ([`FlatRegression::window_vectors`]): each encrypted, scored by the server, decrypted, and the vote.
    ///
    /// # Errors
    /// [`LabError::Fhe`] for a message that is refused.
    pub fn answer(&mut self, vectors: &[Vec<i32>]) -> Result<EncryptedClip, LabError> {
        let (mut encrypt, mut server, mut decrypt) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (mut up, mut down, mut scores) = (0, 0, Vec::new());
        // One after the other: a client opens the reply to its last query.
        for x in vectors {
            let start = Instant::now();
            let query = self.client.query(0, x, &[])?;
            encrypt += start.elapsed();
            let start = Instant::now();
            let reply = self.server.answer(&query)?;
            server += start.elapsed();
            let start = Instant::now();
            scores.push(self.client.scores(0, &reply, &[])?.concat());
            decrypt += start.elapsed();
            (up, down) = (up + query.len(), down + reply.len());
        }

        let stage = self.regression.hierarchy().last();
        let score = |x: &Vec<i32>| (0..stage.count(0)).map(|slot| stage.score(0, slot, x)).collect();
        let clear: Vec<Vec<i64>> = vectors.iter().map(score).collect();
        let wrong = |(a, b): (&Vec<i64>, &Vec<i64>)| a.iter().zip(b).filter(|(a, b)| a != b).count();
        Ok(EncryptedClip {
            answer: self.regression.decide(&scores),
            clear: self.regression.decide(&clear),
            windows: vectors.len(),
            wrong_scores: scores.iter().zip(&clear).map(wrong).sum(),
            encrypt,
            server,
            decrypt,
            up,
            down,
        })
    }
}

/// Asks a sample of the queries encrypted, under fresh keys.
pub(crate) fn answers(
    regression: &FlatRegression,
    queries: &Queries<'_>,
    settings: &AnswerSettings,
    clear: &Answers,
) -> Result<Answers, LabError> {
    let spec = queries.spec_at(regression.rate());
    let clips: Vec<(Query, Vec<Vec<i32>>)> = queries.render(&spec, |samples| regression.window_vectors(samples))?;
    let sample = Sample { queries: settings.encrypted, keys: settings.keys, seed: settings.seed };
    let method = Method { precision: "encrypted".into(), ..clear.method.clone() };
    let mut answers =
        Answers { method, cost: clear.cost.clone(), margins: None, promises: Vec::new(), records: Vec::new() };
    let bar = queries.monitor.bar(settings.encrypted.min(clips.len()) as u64, "encrypted");
    for (number, places) in sample.places(clips.len()).into_iter().enumerate() {
        let key = Arc::new(SecretKey::generate(&params::STANDARD));
        let mut exchange = EncryptedRegression::new(regression, key, &params::STANDARD)?;
        for place in places {
            let (query, vectors) = &clips[place];
            let clip = exchange.answer(vectors)?;
            let milliseconds = |time: Duration| Some(thousandths(1e3 * time.as_secs_f64()));
            (answers.cost.bytes_up, answers.cost.bytes_down) = (Some(clip.up), Some(clip.down));
            answers.records.push(Record {
                top: named(&clip.answer, queries.ids),
                reported_known: clip.answer.known,
                key: Some(number),
                clear: named(&clip.clear, queries.ids),
                equal: Some(clip.wrong_scores == 0),
                server_milliseconds: milliseconds(clip.server),
                client_milliseconds: milliseconds(clip.encrypt + clip.decrypt),
                ..Record::new(queries.fold, query, &answers.method)
            });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(answers)
}

/// What ties queries to these weights.
fn hash(hierarchy: &Hierarchy) -> ModelHash {
    let stage = hierarchy.last();
    let weights = stage.weights().iter().map(|w| w.cast_unsigned());
    ModelHash::of(&weights.chain(stage.biases().iter().flat_map(|b| b.to_le_bytes())).collect::<Vec<u8>>())
}
