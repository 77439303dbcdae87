//! [`Encrypted`]: queries asked for real, under fresh keys, and how their answers compare with the clear.

use indicatif::ProgressBar;
use ndarray::ArrayView2;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use sordino_fhe::{EvaluationKey, KeyId, OneTripOptions, SecretKey, params};
use sordino_learn::Answer;
use sordino_model::{ClientModel, Pair, Protocol, ServerModel};
use sordino_service::one_trip::{self, Verdict};
use sordino_service::{Client, Server, Trip};

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

/// Asks in a protocol where the client decides, and compares whole rankings, every score of them, with the clear.
/// `features` are base features, shape `[queries, width]`.
///
/// # Errors
/// [`LabError`] where a plan, a key or a message is refused.
pub fn client_decides(
    client: &ClientModel,
    server: &ServerModel,
    protocol: Protocol,
    features: ArrayView2<f32>,
    sample: Sample,
    bar: &ProgressBar,
) -> Result<Encrypted, LabError> {
    let pair = Pair::new(client, server).map_err(sordino_model::PairError::from)?;
    let host = Server::new(server, protocol, &params::STANDARD)?;
    let plan = host.plan();
    let places = sample.places(features.nrows());
    let mut log = Log::default();
    for places in &places {
        let key = SecretKey::generate(&params::STANDARD);
        let mut session = Client::new(client, &key, protocol, &plan)?;
        for &place in places {
            let row = features.row(place).to_vec();
            let answer = session.identify(&row, &mut |trip, query| host.answer(trip, query))?;
            let equal = answer.ranking == pair.identify(protocol, &row)?;
            let tracks = answer.ranking.top(TOP).map(|label| label as u32).collect();
            let known = answer.ranking.known().is_some();
            log.add(place, Answer { tracks, known }, equal, &answer.trips);
            bar.inc(1);
        }
    }
    Ok(log.close(places.len()))
}

/// Asks where the server decides, and compares answers with the clear.
///
/// # Errors
/// [`LabError`] where a plan, a key or a message is refused.
pub fn server_decides(
    client: &ClientModel,
    server: &ServerModel,
    options: OneTripOptions,
    features: ArrayView2<f32>,
    sample: Sample,
    bar: &ProgressBar,
) -> Result<Encrypted, LabError> {
    let pair = Pair::new(client, server).map_err(sordino_model::PairError::from)?;
    let protocol = Protocol::Trips { probes: options.probes };
    let host = one_trip::Server::new(server, options, &params::STANDARD)?;
    let mut log = Log::default();
    let keys = verdicts(client, &host, features, sample, bar, |Decision { place, verdict, .. }| {
        let clear = pair.identify(protocol, &features.row(place).to_vec())?.known().map(|best| best.label);
        let equal = verdict.labels.first().copied() == clear;
        let answer = Answer {
            known: !verdict.labels.is_empty(),
            tracks: verdict.labels.iter().map(|&label| label as u32).collect(),
        };
        log.add(place, answer, equal, &[verdict.trip]);
        Ok::<_, LabError>(())
    })?;
    Ok(log.close(keys))
}

/// What a server that decides said to one query.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Position of the query's key.
    pub key: usize,
    /// Position of the query among all.
    pub place: usize,
    /// What the client decrypted.
    pub verdict: Verdict,
}

/// Asks a sample of `features`, shape `[queries, width]`, of a server that decides, under fresh keys, and hands over what it says, query by
/// query. Returns the number of keys.
///
/// # Errors
/// [`LabError`] where a key or a message is refused, and whatever `each` fails with.
pub fn verdicts<E: From<LabError>>(
    client: &ClientModel,
    host: &one_trip::Server,
    features: ArrayView2<f32>,
    sample: Sample,
    bar: &ProgressBar,
    mut each: impl FnMut(Decision) -> Result<(), E>,
) -> Result<usize, E> {
    let places = sample.places(features.nrows());
    for (key, places) in places.iter().enumerate() {
        let secret = SecretKey::generate(&params::STANDARD);
        host.register(EvaluationKey::generate(&secret, |_| ()).expand());
        let mut session = one_trip::Client::new(client, &secret, &host.plan()).map_err(LabError::from)?;
        for &place in places {
            let row = features.row(place).to_vec();
            let verdict = session.identify(&row, &mut |query| host.answer(query)).map_err(LabError::from)?;
            each(Decision { key, place, verdict })?;
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
