//! What every parser must survive: any bytes at all, answered or refused, without a panic and without an allocation by their claims.
//!
//! A target is a function of bytes. `cargo fuzz` feeds it what reaches new code; the test of this crate feeds it the seeds of the
//! corpus and some thousand mutations, on any machine. Formats that end with a checksum are tried twice: as they are, and with a
//! checksum that fits, because no mutation finds one.

#[path = "../../crates/service/tests/common/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the service use the rest")]
mod common;
mod corpus;
mod flips;
mod mutation;

use std::io::{Cursor, Read, Write};
use std::sync::{Arc, LazyLock, Mutex};

use sha2::{Digest, Sha256};
use sordino_audio::{DecodeLimits, decode_bytes};
use sordino_corpus::MelTable;
use sordino_fhe::decision::{Share, Shares};
use sordino_fhe::params::INSECURE_N512;
use sordino_fhe::{ClientKey, EvaluationKey, FheError, Plan, SecretKey, ServerKey};
use sordino_model::cost::WeightForm;
use sordino_model::files::{network_from_bytes, network_to_bytes};
use sordino_model::{ClientModel, Protocol, ServerModel};
use sordino_service::{Client, Hello, Message, Server, ServiceError, Worker};

pub use corpus::seeds;
pub use flips::{Flips, flips};
pub use mutation::mutated;

/// A parser to be fed.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("query", query),
    ("reply", reply),
    ("share_request", share_request),
    ("share_reply", share_reply),
    ("plan", plan),
    ("hello", hello),
    ("evaluation_key", evaluation_key),
    ("secret_key", secret_key),
    ("client_half", client_half),
    ("server_half", server_half),
    ("network", network),
    ("index", index),
    #[cfg(feature = "lab")]
    ("run_toml", run_toml),
    ("audio", audio),
];

/// A server, and a client that has asked it something.
pub(crate) struct Talk {
    pub(crate) half: Arc<ClientModel>,
    pub(crate) server: Server,
    pub(crate) hello: Vec<u8>,
    pub(crate) key: ClientKey,
}

impl Talk {
    /// A client that waits for the reply to the first message.
    pub(crate) fn asking(&self) -> Option<(Client, Message)> {
        let mut client = Client::new(self.half.clone(), self.key.clone(), &self.hello).ok()?;
        let message = client.start(&common::features(&self.half, Some(3))).ok()?;
        Some((client, message))
    }
}

/// One talk for each protocol.
pub(crate) static TALKS: LazyLock<Vec<Talk>> = LazyLock::new(|| {
    let (half, model) = common::model("fuzzed");
    let talk = |protocol| {
        let server = Server::new(&model, protocol, &INSECURE_N512).ok()?;
        let (secret, evaluation) = &common::KEYS[0];
        let id = server.register(evaluation.expand()).ok()?;
        let key = ClientKey::registered(secret.clone(), id);
        Some(Talk { half: half.clone(), hello: server.hello(), server, key })
    };
    let protocols = Protocol::ALL.map(|protocol| protocol.with_probes(protocol.probes().min(2)));
    protocols.into_iter().filter_map(talk).collect()
});

/// Both shares of a model's last stage. They keep the last request and their first reply to it, or reply with other bytes.
pub(crate) struct Workers {
    pub(crate) shares: Vec<Worker>,
    pub(crate) heard: Mutex<(Vec<u8>, Vec<u8>)>,
    instead: Mutex<Option<Vec<u8>>>,
}

impl Shares for Workers {
    fn count(&self) -> usize {
        self.shares.len()
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, FheError> {
        let refused = |error: ServiceError| FheError::Share { what: error.to_string() };
        let mut replies: Vec<Vec<u8>> =
            self.shares.iter().map(|share| share.answer(request)).collect::<Result<_, _>>().map_err(refused)?;
        if let Ok(mut heard) = self.heard.lock() {
            *heard = (request.to_vec(), replies[0].clone());
        }
        if let Some(instead) = self.instead.lock().ok().and_then(|instead| instead.clone()) {
            replies[0] = instead;
        }
        Ok(replies)
    }
}

/// Workers, and a talk with the server in front of them.
pub(crate) static SPREAD: LazyLock<Option<(Arc<Workers>, Talk)>> = LazyLock::new(|| {
    let (half, model) = common::model("fuzzed");
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == "decided")?;
    let share = |number| {
        let share = Share::new(number, 2).ok()?;
        Worker::new(&model, protocol, &INSECURE_N512, share, WeightForm::Integers).ok()
    };
    let shares = [share(0)?, share(1)?].into();
    let workers = Arc::new(Workers { shares, heard: Mutex::default(), instead: Mutex::default() });
    let form = WeightForm::default();
    let server = Server::coordinating(&model, protocol, &INSECURE_N512, form, workers.clone()).ok()?;
    let (secret, evaluation) = &common::KEYS[0];
    let key = ClientKey::registered(secret.clone(), server.register(evaluation.expand()).ok()?);
    let talk = Talk { half, hello: server.hello(), server, key };
    // One query, so that there is something to have been heard.
    talk.server.answer(&talk.asking()?.1.bytes).ok()?;
    Some((workers, talk))
});

/// A request of the server in front, at a worker.
pub fn share_request(bytes: &[u8]) {
    let Some((workers, _)) = &*SPREAD else { return };
    for share in &workers.shares {
        let _ = share.answer(bytes);
        let _ = share.answer(&sealed(bytes));
    }
}

/// A reply of a worker, at the server in front. The second time it names the request.
pub fn share_reply(bytes: &[u8]) {
    let Some((workers, talk)) = &*SPREAD else { return };
    let Some((_, message)) = talk.asking() else { return };
    let request = workers.heard.lock().map(|heard| heard.0.clone()).unwrap_or_default();
    let mut fitting = bytes.to_vec();
    let (end, own) = (fitting.len(), &request[request.len().saturating_sub(32)..]);
    if own.len() == 32 && end >= 64 {
        fitting[end - 64..end - 32].copy_from_slice(own);
    }
    for reply in [bytes.to_vec(), sealed(&fitting)] {
        if let Ok(mut instead) = workers.instead.lock() {
            *instead = Some(reply);
        }
        let _ = talk.server.answer(&message.bytes);
    }
    if let Ok(mut instead) = workers.instead.lock() {
        *instead = None;
    }
}

/// The bytes with the checksum that fits them in place of their last 32.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let content = &bytes[..bytes.len().saturating_sub(32)];
    [content, &Sha256::digest(content)].concat()
}

/// A query message, at a server of every protocol.
pub fn query(bytes: &[u8]) {
    for talk in TALKS.iter() {
        let _ = talk.server.answer(bytes);
        let _ = talk.server.answer(&sealed(bytes));
    }
}

/// A reply message, at a client of every protocol that waits for one. The reference of the second try is right too.
pub fn reply(bytes: &[u8]) {
    const REFERENCE: std::ops::Range<usize> = 74..106;
    for talk in TALKS.iter() {
        let Some((mut client, message)) = talk.asking() else { continue };
        let _ = client.receive(bytes);
        let mut fitting = bytes.to_vec();
        if let Some(reference) = fitting.get_mut(REFERENCE) {
            reference.copy_from_slice(&message.bytes[message.bytes.len() - 32..]);
        }
        let _ = client.receive(&sealed(&fitting));
    }
}

/// A plan of either family, and what follows from it.
pub fn plan(bytes: &[u8]) {
    let Ok(plan) = Plan::from_bytes(bytes) else { return };
    assert_eq!(Plan::from_bytes(&plan.to_bytes()).ok().as_ref(), Some(&plan));
    for talk in TALKS.iter() {
        let shape = talk.half.stages_for(talk.server.protocol()).shape();
        let _ = plan.check(talk.server.protocol(), shape);
        if plan.check(talk.server.protocol(), shape).is_ok() {
            let _ = (plan.costs(shape), plan.failure_log2(shape));
        }
    }
}

/// What a server says first, and a client that believes it.
pub fn hello(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes)] {
        let _ = Hello::from_bytes(&bytes);
        for talk in TALKS.iter() {
            if let Ok(mut client) = Client::new(talk.half.clone(), talk.key.clone(), &bytes) {
                let _ = client.start(&common::features(&talk.half, Some(1)));
            }
        }
    }
}

/// An evaluation key, as both sides read it. Its length is that of a whole key: what `bytes` lack is zero.
pub fn evaluation_key(bytes: &[u8]) {
    let most = EvaluationKey::wire_bytes(&INSECURE_N512) as u64;
    let _ = EvaluationKey::read(&mut Cursor::new(bytes));
    let _ = ServerKey::read(&mut Cursor::new(bytes).chain(std::io::repeat(0)).take(most));
}

/// A secret key.
pub fn secret_key(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes)] {
        if let Ok(key) = SecretKey::from_bytes(&bytes) {
            assert_eq!(key.to_bytes().len(), bytes.len());
        }
    }
}

/// The client's half of a model: as one byte string, and as one file of it whose checksum fits.
pub fn client_half(bytes: &[u8]) {
    let _ = ClientModel::from_bytes(bytes);
    if let Some(half) = corpus::with_file(&corpus::client_half(), bytes) {
        let _ = ClientModel::from_bytes(&half);
    }
}

/// The server's half of a model, likewise.
pub fn server_half(bytes: &[u8]) {
    let _ = ServerModel::from_bytes(bytes);
    if let Some(half) = corpus::with_file(&corpus::server_half(), bytes) {
        let _ = ServerModel::from_bytes(&half);
    }
}

/// The file of a network that was learned elsewhere.
pub fn network(bytes: &[u8]) {
    if let Ok(network) = network_from_bytes(bytes) {
        let again = network_to_bytes(&network).and_then(|bytes| network_from_bytes(&bytes));
        assert!(again.is_ok_and(|again| again == network));
    }
}

/// An index on disk. The first byte says which of its files the others replace.
pub fn index(bytes: &[u8]) {
    let Some((which, content)) = bytes.split_first() else { return };
    let Ok(folder) = tempfile::tempdir() else { return };
    for (place, (name, whole)) in corpus::index_files().iter().enumerate() {
        let replaced = place == usize::from(*which) % corpus::index_files().len();
        let file = std::fs::File::create(folder.path().join(name));
        let _ = file.and_then(|mut file| file.write_all(if replaced { content } else { whole }));
    }
    let _ = MelTable::open(folder.path());
}

/// The description of an experiment.
#[cfg(feature = "lab")]
pub fn run_toml(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if std::fs::write(folder.path().join("run.toml"), bytes).is_ok() {
        let _ = sordino_lab::Question::read(folder.path(), sordino_lab::Size::Smoke);
    }
}

/// A sound file, with no more decoded than ten seconds.
pub fn audio(bytes: &[u8]) {
    let limits = DecodeLimits { max_seconds: 10.0, ..DecodeLimits::default() };
    if let Ok(samples) = decode_bytes(bytes, 22_050, &limits) {
        assert!(samples.data.iter().all(|sample| sample.is_finite()));
    }
}
