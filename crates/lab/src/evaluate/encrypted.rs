//! [`Encrypted`]: queries asked for real, under fresh keys, and how their answers compare with the clear.

use std::sync::Arc;

use indicatif::ProgressBar;
use ndarray::ArrayView2;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use sordino_fhe::{EvaluationKey, KeyId, SecretKey, params};
use sordino_learn::Answer;
use sordino_model::{ClientModel, Decider, Pair, Protocol, ServerModel};
use sordino_service::{Client, Exchange, Server, Trip, exchange};

use crate::LabError;

/// Tracks kept of every answer.
const TOP: usize = 3;

/// Which queries are asked: so many, drawn from all, and divided among so many fresh keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Number of queries; all, where there are fewer.
    pub queries: usize,
    /// Number of keys.
    pub keys: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// What came of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encrypted {
    /// Places of the queries among all, and their answers.
    pub answers: Vec<(usize, Answer)>,
    /// Keys that were used.
    pub keys: usize,
    /// Queries of which every returned score (or the answer, where only that is returned) equals the clear one.
    pub equal: usize,
    /// Median seconds of the server.
    pub server_seconds: Option<f64>,
    /// Median seconds of the client.
    pub client_seconds: Option<f64>,
    /// Bytes sent a query.
    pub bytes_up: usize,
    /// Bytes received a query.
    pub bytes_down: usize,
}

impl Sample {
    /// For every key, the places among `all` queries that it asks, ascending. Drawn, because queries come track by track and condition by
    /// condition, and a stride would fall in step with them.
    pub fn places(self, all: usize) -> Vec<Vec<usize>> {
        let count = self.queries.min(all);
        let mut drawn = sample(&mut ChaCha8Rng::seed_from_u64(self.seed), all, count).into_vec();
        drawn.sort_unstable();
        let keys = self.keys.clamp(1, count.max(1));
        (0..keys).map(|key| drawn.iter().copied().skip(key).step_by(keys).collect()).collect()
    }
}

/// Times and sizes of the queries so far.
#[derive(Default)]
struct Log {
    found: Encrypted,
    server: Vec<f64>,
    client: Vec<f64>,
}

impl Log {
    fn add(&mut self, place: usize, answer: Answer, equal: bool, trips: &[Trip]) {
        self.found.answers.push((place, answer));
        self.found.equal += usize::from(equal);
        self.server.push(trips.iter().map(|trip| trip.wait.as_secs_f64()).sum());
        self.client.push(trips.iter().map(|trip| (trip.encrypt + trip.decrypt).as_secs_f64()).sum());
        self.found.bytes_up = trips.iter().map(|trip| trip.up).sum();
        self.found.bytes_down = trips.iter().map(|trip| trip.down).sum();
    }

    fn close(self, keys: usize) -> Encrypted {
        Encrypted { keys, server_seconds: median(self.server), client_seconds: median(self.client), ..self.found }
    }
}

/// Asks in one protocol, and compares whole answers, every score of them where the client sees scores, with the clear.
/// `features` are base features, shape `[queries, width]`.
///
/// # Errors
/// [`LabError`] where a plan, a key or a message is refused.
pub fn encrypted(
    client: &ClientModel,
    server: &ServerModel,
    protocol: Protocol,
    features: ArrayView2<f32>,
    sample: Sample,
    bar: &ProgressBar,
) -> Result<Encrypted, LabError> {
    let pair = Pair::new(client, server).map_err(sordino_model::PairError::from)?;
    let host = Server::new(server, protocol, &params::STANDARD)?;
    let mut log = Log::default();
    let keys = ask(client, &host, features, sample, bar, |Asked { place, found, .. }| {
        let equal = found.answer == pair.identify(protocol, &features.row(place).to_vec())?;
        let tracks = found.answer.top(TOP).map(|label| label as u32).collect();
        log.add(place, Answer { tracks, known: found.answer.known }, equal, &found.trips);
        Ok::<_, LabError>(())
    })?;
    Ok(log.close(keys))
}

/// A query that was asked encrypted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Position of the query's key.
    pub key: usize,
    /// Position of the query among all.
    pub place: usize,
    /// What the client decrypted, and what it took.
    pub found: Exchange,
}

/// Asks a sample of `features`, shape `[queries, width]`, under fresh keys, and hands over what came of it, query by query. Returns the
/// number of keys.
///
/// # Errors
/// [`LabError`] where a key or a message is refused, and whatever `each` fails with.
pub fn ask<E: From<LabError>>(
    client: &ClientModel,
    host: &Server,
    features: ArrayView2<f32>,
    sample: Sample,
    bar: &ProgressBar,
    mut each: impl FnMut(Asked) -> Result<(), E>,
) -> Result<usize, E> {
    let places = sample.places(features.nrows());
    let model = Arc::new(client.clone());
    for (key, places) in places.iter().enumerate() {
        let secret = Arc::new(SecretKey::generate(&params::STANDARD));
        if host.protocol().decider() == Decider::Server {
            host.register(EvaluationKey::generate(&secret, |_| ()).expand());
        }
        let mut session = Client::new(model.clone(), secret.clone(), &host.hello()).map_err(LabError::from)?;
        for &place in places {
            let row = features.row(place).to_vec();
            let found = exchange(&mut session, &row, &mut |message| host.answer(message)).map_err(LabError::from)?;
            each(Asked { key, place, found })?;
            bar.inc(1);
        }
        host.forget(KeyId::of(&secret));
    }
    Ok(places.len())
}

/// The middle value, if there is one.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_asks_nothing_twice_and_falls_in_step_with_no_condition() {
        let sample = |queries, keys, seed| Sample { queries, keys, seed };
        let places = sample(40, 3, 1).places(1_340);
        assert_eq!(places.iter().map(Vec::len).collect::<Vec<_>>(), [14, 13, 13]);
        let mut all = places.concat();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() == 40 && all.iter().all(|&place| place < 1_340));
        // A stride of 1,340 / 4 hits the same of five conditions every time.
        assert!((0..5).all(|condition| all.iter().any(|place| place % 5 == condition)));
        assert_eq!(places, sample(40, 3, 1).places(1_340));
        assert_ne!(places, sample(40, 3, 2).places(1_340));
        assert_eq!(sample(9, 20, 1).places(4).concat().len(), 4);
        assert_eq!(sample(0, 2, 1).places(4), [Vec::<usize>::new()]);
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![])), (Some(2.0), None));
    }
}
