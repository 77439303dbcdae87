//! [`Catalogue`]: the models that are served, each in one edition at a time. A folder that changes is read anew and swapped in.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sordino_fhe::EvaluationKey;
use sordino_fhe::params::STANDARD;
use sordino_model::cost::{Timings, WeightForm};
use sordino_model::{ClientHierarchy, ClientModel, Decider, ModelHash, Pair, Protocol, load_held_out, load_pair};
use sordino_service::{Machine, Server, Wish, alternatives, choices};
use thiserror::Error;
use utoipa::ToSchema;

use crate::budget::{Budget, revealing};
use crate::options::BudgetRule;
use crate::workers::Workers;

/// Why a model is not served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// A model that cannot be opened.
    #[error("{path}: {reason}")]
    Model {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two folders whose last names are the same.
    #[error("two models are called {name}; the last part of the folder names a model, so rename one of the folders")]
    Twice {
        /// The name.
        name: String,
    },
}

/// What is said of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Description {
    /// The name under which it is served: that of its folder.
    pub(crate) name: String,
    /// SHA-256 of the server half, which messages carry.
    pub(crate) hash: String,
    /// The public half.
    pub(crate) client: Half,
    /// Tracks that it knows.
    pub(crate) tracks: usize,
    /// Clusters among which a protocol chooses.
    pub(crate) clusters: usize,
    /// Seconds of sound that a query describes; nothing for a model of vectors.
    pub(crate) query_seconds: Option<f32>,
    /// Samples a second of that sound.
    pub(crate) sample_rate: Option<u32>,
    /// The protocols that are spoken.
    pub(crate) protocols: Vec<Spoken>,
}

/// The client half of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Half {
    /// What identifies it: SHA-256 of its list of checksums.
    pub(crate) hash: String,
    /// Its length as one body.
    pub(crate) bytes: usize,
}

/// What a client that has no half of the model needs to name what it was told: the rows of the part that hears encrypted samples, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rows {
    rows: Vec<NamedRow>,
}

/// A row: a passage of a track.
#[derive(Serialize, ToSchema)]
pub(crate) struct NamedRow {
    /// The track's id.
    track_id: u32,
    /// Its artist, or empty.
    artist: String,
    /// Its title.
    title: String,
    /// Where in the track the passage begins, where the model says.
    from_seconds: Option<f64>,
}

impl Rows {
    fn of(client: &ClientModel, raw: &ClientHierarchy) -> Self {
        let named = |(row, &label): (usize, &u32)| {
            let label = client.labels()[label as usize].clone();
            let from_seconds = raw.start_at(row).map(|start| start.as_secs_f64());
            NamedRow { track_id: label.track_id, artist: label.artist, title: label.title, from_seconds }
        };
        Self { rows: raw.slots().iter().enumerate().map(named).collect() }
    }
}

/// A protocol with its costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Spoken {
    /// Such as `flat`, `routed` or `decided`.
    pub(crate) name: &'static str,
    /// Clusters that are followed.
    pub(crate) probes: usize,
    /// Tracks that the server returns; 0 where it returns scores.
    pub(crate) answers: usize,
    /// How finely encrypted scores are compared.
    pub(crate) resolution: &'static str,
    /// Messages of a query.
    pub(crate) trips: usize,
    /// Bytes of a query, all trips together.
    pub(crate) bytes_up: usize,
    /// Bytes of its replies.
    pub(crate) bytes_down: usize,
    /// Bytes of the evaluation key that a client registers once.
    pub(crate) evaluation_key_bytes: Option<u64>,
    /// Seconds that the server expects to work, where it was calibrated.
    pub(crate) seconds: Option<f64>,
    /// What the server learns.
    pub(crate) server_learns: &'static str,
    /// What the client learns beside its answer.
    pub(crate) client_learns: &'static str,
    /// Queries that one client may ask.
    pub(crate) budget: Option<Budget>,
}

/// A protocol of a model, ready to answer.
pub(crate) struct Offer {
    pub(crate) server: Server,
    pub(crate) hello: Bytes,
    pub(crate) hello_hash: ModelHash,
    /// Longest message that is a query.
    pub(crate) most_bytes: usize,
    /// What is said of it.
    pub(crate) words: Spoken,
}

/// One state of a model's folder.
pub(crate) struct Edition {
    pub(crate) description: Description,
    /// The client half as one body, plain and compressed.
    pub(crate) half: Bytes,
    pub(crate) half_gzip: Bytes,
    /// The names of the rows of the part that hears encrypted samples, as JSON, where there is one.
    pub(crate) rows: Option<Bytes>,
    pub(crate) offers: BTreeMap<&'static str, Arc<Offer>>,
    /// What the folder looked like when it was read.
    mark: ModelHash,
}

/// How models are prepared.
#[derive(Clone, Debug)]
pub(crate) struct Preparation {
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) budget: BudgetRule,
    pub(crate) timings: Option<Timings>,
    pub(crate) threads: usize,
    pub(crate) wish: Option<Wish>,
    pub(crate) weights: WeightForm,
    /// Addresses of workers that hold the last stages; none where they are held here.
    pub(crate) workers: Vec<String>,
    /// How long the last edition answers beside a new one.
    pub(crate) overlap: Duration,
}

impl Preparation {
    /// The plan that fulfils a wish, or comes nearest to it.
    fn wished(
        &self,
        wish: Wish,
        folder: &Path,
        pair: &Pair<'_>,
        usual: Protocol,
    ) -> Result<Protocol, Box<dyn std::error::Error + Send + Sync>> {
        let held_out = load_held_out(folder)?;
        if held_out.is_empty() {
            return Err("there are no clips that training held out, by which a plan could be chosen; train the model with this \
                        version, or serve it without --certain and --within"
                .into());
        }
        let clusters = pair.server().hierarchy().last().groups();
        let machine =
            self.timings.as_ref().map(|timings| Machine { timings, threads: self.threads, weights: self.weights });
        let found = choices(pair, &held_out, &alternatives(usual, false, clusters), machine, || ())?;
        let Some((choice, fulfilled)) = wish.choose(&found) else { return Ok(usual) };
        let (certain, right, protocol) = (choice.certain, choice.right, choice.protocol.to_string());
        match fulfilled {
            true => tracing::info!(protocol, certain, right, "a plan was chosen by what training held out"),
            false => tracing::warn!(protocol, certain, right, "no plan does what was wished; this is the nearest"),
        }
        Ok(choice.protocol)
    }
}

struct Shelf {
    folder: PathBuf,
    current: Arc<Edition>,
    /// Editions that still answer queries that were begun, and until when.
    last: Vec<(Instant, Arc<Edition>)>,
}

/// The models that are served.
pub(crate) struct Catalogue {
    preparation: Preparation,
    shelves: RwLock<BTreeMap<String, Shelf>>,
}

impl Catalogue {
    /// Opens and prepares every model.
    pub(crate) fn open(folders: &[PathBuf], preparation: Preparation) -> Result<Self, CatalogueError> {
        let mut shelves = BTreeMap::new();
        for folder in folders {
            let current = Arc::new(Edition::read(folder, &preparation)?);
            let name = current.description.name.clone();
            let shelf = Shelf { folder: folder.clone(), current, last: Vec::new() };
            if shelves.insert(name.clone(), shelf).is_some() {
                return Err(CatalogueError::Twice { name });
            }
        }
        Ok(Self { preparation, shelves: RwLock::new(shelves) })
    }

    /// Reads every folder that has changed, and swaps the new editions in. A folder that cannot be read, for one because it is being
    /// written, leaves the old edition in its place.
    pub(crate) fn refresh(&self) {
        let folders: Vec<(String, PathBuf, ModelHash)> = {
            let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
            shelves.iter().map(|(name, shelf)| (name.clone(), shelf.folder.clone(), shelf.current.mark)).collect()
        };
        for (name, folder, mark) in folders {
            if look(&folder).is_none_or(|found| found == mark) {
                continue;
            }
            match Edition::read(&folder, &self.preparation) {
                Ok(edition) => {
                    tracing::info!(model = name, hash = edition.description.hash, "a new edition is served");
                    let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(shelf) = shelves.get_mut(&name) {
                        let now = Instant::now();
                        let old = std::mem::replace(&mut shelf.current, Arc::new(edition));
                        shelf.last.retain(|(until, _)| *until > now);
                        shelf.last.push((now + self.preparation.overlap, old));
                    }
                }
                Err(error) => {
                    tracing::warn!(model = name, %error, "the folder changed and cannot be served; the last edition stays")
                }
            }
        }
    }

    /// The editions that are served.
    pub(crate) fn all(&self) -> Vec<Arc<Edition>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.values().map(|shelf| shelf.current.clone()).collect()
    }

    /// The current edition of a model, then those that still answer.
    pub(crate) fn editions(&self, name: &str) -> Vec<Arc<Edition>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let Some(shelf) = shelves.get(name) else { return Vec::new() };
        let now = Instant::now();
        let last = shelf.last.iter().rev().filter(|(until, _)| *until > now).map(|(_, edition)| edition.clone());
        [shelf.current.clone()].into_iter().chain(last).collect()
    }
}

/// What tells one state of a folder from another, if it can be read.
fn look(folder: &Path) -> Option<ModelHash> {
    let sums = |half: &str| std::fs::read(folder.join(half).join("SHA256SUMS")).ok();
    Some(ModelHash::of(&[sums("client")?, sums("server")?].concat()))
}

impl Edition {
    fn read(folder: &Path, preparation: &Preparation) -> Result<Self, CatalogueError> {
        let refuse =
            |reason: Box<dyn std::error::Error + Send + Sync>| CatalogueError::Model { path: folder.into(), reason };
        // Looked at first: a folder that changes meanwhile is read again later.
        let mark = look(folder).unwrap_or(ModelHash([0; 32]));
        let (client, server) = load_pair(folder).map_err(|error| refuse(error.into()))?;
        // `models/mine/.` is called mine.
        let name =
            folder.canonicalize().ok().and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
        let name = name.ok_or_else(|| refuse("the folder has no name".into()))?;
        let pair = Pair::new(&client, &server).map_err(|error| refuse(error.into()))?;
        let bundle = client.bundle().map_err(|error| refuse(error.into()))?;
        let half = Bytes::from(bundle.to_bytes());
        let mut offers = BTreeMap::new();
        let mut protocols = Vec::new();
        let clusters = server.hierarchy().last().groups();
        let mut last = None;
        for &protocol in &preparation.protocols {
            let protocol = protocol.suited(client.stages_for(protocol).shape());
            let protocol = match preparation.wish.filter(|_| protocol.decider() == Decider::Server) {
                Some(wish) if client.speaks(protocol).is_ok() => {
                    preparation.wished(wish, folder, &pair, protocol).map_err(refuse)?
                }
                _ => protocol,
            };
            match Offer::new(&client, &server, &name, protocol, preparation) {
                Ok(offer) => {
                    protocols.push(offer.words.clone());
                    offers.insert(protocol.name(), Arc::new(offer));
                }
                // A model need not have a plan for every protocol, and most keep their routing layers to themselves.
                Err(error) => {
                    if client.speaks(protocol).is_ok() {
                        tracing::warn!(model = name, protocol = protocol.name(), %error, "a protocol is left out");
                    }
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last.filter(|_| offers.is_empty()) {
            return Err(refuse(error.into()));
        }
        let spec = client.front().spec().ok();
        let description = Description {
            name,
            hash: server.hash().to_string(),
            client: Half { hash: bundle.hash().to_string(), bytes: half.len() },
            tracks: client.labels().len(),
            clusters,
            query_seconds: spec.map(|spec| spec.query_seconds),
            sample_rate: spec.map(|spec| spec.sample_rate),
            protocols,
        };
        let rows = client.raw().map(|raw| Rows::of(&client, raw));
        let rows = rows.map(|rows| serde_json::to_vec(&rows)).transpose().map_err(|error| refuse(error.into()))?;
        Ok(Self { description, half_gzip: gzip(&half), half, rows: rows.map(Bytes::from), offers, mark })
    }
}

impl Offer {
    fn new(
        client: &ClientModel,
        server: &sordino_model::ServerModel,
        name: &str,
        protocol: Protocol,
        preparation: &Preparation,
    ) -> Result<Self, sordino_service::ServiceError> {
        client.speaks(protocol)?;
        let stages = server.stages_for(protocol);
        let shape = client.stages_for(protocol).shape();
        let server = if preparation.workers.is_empty() {
            Server::holding(server, protocol, &STANDARD, preparation.weights)?
        } else {
            let workers = Workers::new(&preparation.workers, name, protocol.name(), preparation.overlap / 2);
            Server::coordinating(server, protocol, &STANDARD, preparation.weights, Arc::new(workers))?
        };
        let trips = server.plan().costs(shape)?;
        let hello = Bytes::from(server.hello());
        let timings = preparation.timings.as_ref();
        let predict = |timings| server.plan().predict(shape, timings, preparation.threads, preparation.weights);
        let predicted = timings.map(predict).transpose()?;
        let budget = preparation.budget.of(revealing(protocol, stages, server.plan())?);
        let learns = protocol.learns();
        let (answers, resolution) = protocol.decision().unwrap_or_default();
        let words = Spoken {
            name: protocol.name(),
            probes: protocol.probes(),
            answers,
            resolution: resolution.name(),
            trips: trips.len(),
            bytes_up: trips.iter().map(|trip| trip.bytes_up).sum(),
            bytes_down: trips.iter().map(|trip| trip.bytes_down).sum(),
            evaluation_key_bytes: EvaluationKey::bytes_for(protocol, &STANDARD).map(|bytes| bytes as u64),
            seconds: predicted.map(|predicted| predicted.as_secs_f64()),
            server_learns: learns.server,
            client_learns: learns.client,
            budget,
        };
        let most_bytes = trips.iter().map(|trip| trip.bytes_up).max().unwrap_or(0);
        Ok(Self { hello_hash: ModelHash::of(&hello), hello, most_bytes, words, server })
    }
}

/// Bytes compressed, once.
pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // A vector takes everything.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}
