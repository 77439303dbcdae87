//! [`ModelOffer`]: what a server says that it has.

use serde::Deserialize;
use sordino_model::{ModelHash, Protocol, Resolution};

/// A model that a server answers for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ModelOffer {
    /// Its name, by which it is asked for.
    pub name: String,
    /// Hash of the server half.
    pub hash: ModelHash,
    /// The client half.
    pub client: ClientHalf,
    /// Tracks that can be named.
    pub tracks: u64,
    /// Clusters that they are in.
    pub clusters: u64,
    /// Length of a query in seconds; none for a model of vectors.
    #[serde(default)]
    pub query_seconds: Option<f32>,
    /// Rate of the sound in Hz; none for a model of vectors.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// How it can be asked.
    pub protocols: Vec<ProtocolOffer>,
}

/// The client half of a model: what to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ClientHalf {
    /// SHA-256 of its `SHA256SUMS`.
    pub hash: ModelHash,
    /// Bytes to fetch.
    pub bytes: u64,
}

/// A protocol that a server speaks, and what a query costs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ProtocolOffer {
    /// Its name; it may be of a protocol that this version does not know.
    pub name: String,
    /// Groups followed from a stage to the next.
    #[serde(default)]
    pub probes: usize,
    /// Tracks that the server returns where it decides.
    #[serde(default)]
    pub answers: usize,
    /// How finely the server compares where it decides.
    #[serde(default)]
    pub resolution: Resolution,
    /// Trips of a query.
    pub trips: usize,
    /// Bytes that a query sends, all trips together.
    pub bytes_up: u64,
    /// Bytes that a query receives.
    pub bytes_down: u64,
    /// Bytes of the evaluation key, where the server needs one.
    #[serde(default)]
    pub evaluation_key_bytes: Option<u64>,
    /// Seconds that the server expects to take, where it has measured itself.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Queries that one client may ask.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// How many queries a client may ask in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Budget {
    /// Queries.
    pub queries: u64,
    /// Seconds.
    pub seconds: u64,
}

impl ModelOffer {
    /// The offer of a protocol by name.
    pub fn protocol(&self, name: &str) -> Option<&ProtocolOffer> {
        self.protocols.iter().find(|protocol| protocol.name == name)
    }
}

impl ProtocolOffer {
    /// The protocol with its options; `None` for one that this version does not know.
    pub fn protocol(&self) -> Option<Protocol> {
        let protocol: Protocol = self.name.parse().ok()?;
        Some(protocol.with_probes(self.probes).with_decision(self.answers, self.resolution))
    }
}

/// The body of the list of models.
#[derive(Deserialize)]
pub(crate) struct Offers {
    pub(crate) models: Vec<ModelOffer>,
}
