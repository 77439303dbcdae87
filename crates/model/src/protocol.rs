//! [`Protocol`]: who finds the cluster, who decides, and how. The one source of names and of what each side learns.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stage::HierarchyShape;

/// Who finds the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Routing {
    /// Nobody: every track is scored.
    None,
    /// The server scores the clusters under encryption.
    Encrypted,
    /// The client, in the clear: it holds the routing layers, and asks for its clusters by encrypted indices.
    Public,
}

/// Who decides which track it is, and whether it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decider {
    /// The client, from decrypted scores.
    Client,
    /// The server, under encryption.
    Server,
}

/// How finely the server compares encrypted scores. Blind rotations use `2^v` accumulators, and take 1.75 times as many products with two
/// and 3.44 times with four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// One accumulator: the modulus switch has `2N` steps.
    #[default]
    Standard,
    /// Two accumulators, `4N` steps: half the rounding noise.
    Fine,
    /// Four accumulators, `8N` steps.
    Finest,
}

impl Resolution {
    /// All of them, the coarsest first.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Fine, Self::Finest];

    /// Products that a blind rotation takes, of those of a standard one.
    pub fn products(self) -> f64 {
        match self {
            Self::Standard => 1.0,
            Self::Fine => 1.75,
            Self::Finest => 3.4375,
        }
    }

    /// Accumulators of a rotation, as a power of two.
    pub fn extension_log2(self) -> u32 {
        match self {
            Self::Standard => 0,
            Self::Fine => 1,
            Self::Finest => 2,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fine => "fine",
            Self::Finest => "finest",
        }
    }
}

/// How a clip is named: one variant for every protocol, with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Protocol {
    /// One trip. The server returns every track's score, and the client decides.
    Flat,
    /// One trip per stage. The client picks clusters by their scores, asks for them by encrypted selectors, and decides.
    Routed {
        /// Groups asked for at every stage.
        probes: usize,
    },
    /// One trip. The server finds the cluster and the track, and tells known from unknown, all under encryption.
    Decided {
        /// Groups of every stage that are followed to the next.
        probes: usize,
        /// Tracks returned, the best first.
        answers: usize,
        /// How finely scores are compared.
        resolution: Resolution,
    },
    /// One trip. The client picks its clusters in the clear, asks for them by encrypted selectors, and decides from their scores.
    Picked {
        /// Groups of the last stage asked for.
        probes: usize,
    },
    /// One trip. The client picks its clusters in the clear and asks for them by encrypted selectors. The server finds the track
    /// in them, and tells known from unknown, under encryption.
    PickedDecided {
        /// Groups of the last stage asked for.
        probes: usize,
        /// Tracks returned, the best first.
        answers: usize,
        /// How finely scores are compared.
        resolution: Resolution,
    },
    /// One trip. The client sends encrypted samples and needs no model. The server computes the spectrum, the features and every track's score, finds the
    /// track, and tells known from unknown, all under encryption.
    Raw,
}

/// What each side learns from a query beyond what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learns {
    /// What the server learns.
    pub server: &'static str,
    /// What the client learns beside its answer.
    pub client: &'static str,
}

/// A name that no protocol has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the protocol \"{found}\" is none that is known; expected flat, routed, decided, picked, picked-decided or raw"
)]
pub struct UnknownProtocol {
    /// The name given.
    pub found: String,
}

impl Protocol {
    /// Every protocol with its usual options.
    pub const ALL: [Self; 6] = [
        Self::Flat,
        Self::Routed { probes: 2 },
        Self::Decided { probes: 1, answers: 1, resolution: Resolution::Standard },
        Self::Picked { probes: 2 },
        Self::PickedDecided { probes: 4, answers: 1, resolution: Resolution::Standard },
        Self::Raw,
    ];

    /// Its name, as commands, messages and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Routed { .. } => "routed",
            Self::Decided { .. } => "decided",
            Self::Picked { .. } => "picked",
            Self::PickedDecided { .. } => "picked-decided",
            Self::Raw => "raw",
        }
    }

    /// Who finds the cluster.
    pub fn routing(self) -> Routing {
        match self {
            Self::Flat | Self::Raw => Routing::None,
            Self::Routed { .. } | Self::Decided { .. } => Routing::Encrypted,
            Self::Picked { .. } | Self::PickedDecided { .. } => Routing::Public,
        }
    }

    /// Who decides.
    pub fn decider(self) -> Decider {
        match self {
            Self::Flat | Self::Routed { .. } | Self::Picked { .. } => Decider::Client,
            Self::Decided { .. } | Self::PickedDecided { .. } | Self::Raw => Decider::Server,
        }
    }

    /// Groups followed from a stage to the next; 0 where nobody finds a group.
    pub fn probes(self) -> usize {
        match self {
            Self::Flat | Self::Raw => 0,
            Self::Routed { probes }
            | Self::Decided { probes, .. }
            | Self::Picked { probes }
            | Self::PickedDecided { probes, .. } => probes,
        }
    }

    /// Tracks that the server returns, and how finely it compares scores; `None` where the client decides.
    pub fn decision(self) -> Option<(usize, Resolution)> {
        match self {
            Self::Flat | Self::Routed { .. } | Self::Picked { .. } => None,
            Self::Decided { answers, resolution, .. } | Self::PickedDecided { answers, resolution, .. } => {
                Some((answers, resolution))
            }
            Self::Raw => Some((1, Resolution::Standard)),
        }
    }

    /// The same with another number of probes; nothing changes where nobody finds a group.
    #[must_use]
    pub fn with_probes(self, probes: usize) -> Self {
        match self {
            Self::Flat | Self::Raw => self,
            Self::Routed { .. } => Self::Routed { probes },
            Self::Decided { answers, resolution, .. } => Self::Decided { probes, answers, resolution },
            Self::Picked { .. } => Self::Picked { probes },
            Self::PickedDecided { answers, resolution, .. } => Self::PickedDecided { probes, answers, resolution },
        }
    }

    /// The same with as many probes as suit a model of this shape, where nobody says how many. A small model has fewer clusters than the
    /// usual number. Where the client picks and the server decides, as many are asked for as hold 64 tracks and passages: to
    /// compare those takes half a second, however many clusters there are.
    #[must_use]
    pub fn suited(self, shape: &HierarchyShape) -> Self {
        const ROWS: usize = 64;
        let last = shape.last();
        let usual = match self {
            Self::PickedDecided { .. } => ROWS / last.outputs(),
            other => other.probes(),
        };
        self.with_probes(usual.clamp(1, last.groups()))
    }

    /// The same with another number of tracks returned, and another resolution; nothing changes where the client decides, or the protocol has neither option.
    #[must_use]
    pub fn with_decision(self, answers: usize, resolution: Resolution) -> Self {
        match self {
            Self::Flat | Self::Routed { .. } | Self::Picked { .. } | Self::Raw => self,
            Self::Decided { probes, .. } => Self::Decided { probes, answers, resolution },
            Self::PickedDecided { probes, .. } => Self::PickedDecided { probes, answers, resolution },
        }
    }

    /// The protocol and its options as bytes, for messages: kind (1: its place in [`Protocol::ALL`]), probes (4), answers (4), resolution
    /// (1: `standard` 0, `fine` 1, `finest` 2), little-endian. Options that a protocol does not have are zero, and counts beyond
    /// 2^32 - 1 are that.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let kind = match self {
            Self::Flat => 0,
            Self::Routed { .. } => 1,
            Self::Decided { .. } => 2,
            Self::Picked { .. } => 3,
            Self::PickedDecided { .. } => 4,
            Self::Raw => 5,
        };
        let (probes, (answers, resolution)) = (self.probes(), self.decision().unwrap_or_default());
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let mut out = [0; Self::BYTES];
        out[0] = kind;
        out[1..5].copy_from_slice(&count(probes));
        out[5..9].copy_from_slice(&count(answers));
        out[9] = resolution.extension_log2() as u8;
        out
    }

    /// Bytes of [`Protocol::to_bytes`].
    pub const BYTES: usize = 10;

    /// Reads [`Protocol::to_bytes`]; `None` for bytes that it does not write.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let count = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i])) as usize;
        let (probes, answers) = (count(1), count(5));
        let resolution = *Resolution::ALL.get(usize::from(bytes[9]))?;
        let protocol = Self::ALL.get(usize::from(bytes[0]))?.with_probes(probes).with_decision(answers, resolution);
        (protocol.to_bytes() == bytes).then_some(protocol)
    }

    /// What each side learns, if both compute as they should.
    pub fn learns(self) -> Learns {
        let client = match self {
            Self::Flat => "every track's score",
            Self::Routed { .. } => "every cluster's score, and the scores of the tracks in the clusters it picked",
            Self::Decided { .. } | Self::PickedDecided { .. } | Self::Raw => "nothing",
            Self::Picked { .. } => "the scores of the tracks in the clusters it picked",
        };
        Learns { server: "that a query was made, its size and time", client }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        f.write_str(self.name())?;
        if *self == Self::Raw {
            return Ok(());
        }
        if self.routing() != Routing::None {
            write!(f, ", {} probe{}", self.probes(), plural(self.probes()))?;
        }
        match self.decision() {
            None => Ok(()),
            Some((answers, resolution)) => {
                write!(f, ", {answers} answer{}, {} resolution", plural(answers), resolution.name())
            }
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// The protocol of a name, with its usual options. `two-trip` and `one-trip` are what `routed` and `decided` were called.
    fn from_str(name: &str) -> Result<Self, UnknownProtocol> {
        let name = match name {
            "two-trip" => "routed",
            "one-trip" => "decided",
            name => name,
        };
        let known = Self::ALL.into_iter().find(|protocol| protocol.name() == name);
        known.ok_or_else(|| UnknownProtocol { found: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_the_old_ones_still_are() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
        }
        assert_eq!("two-trip".parse(), Ok(Protocol::Routed { probes: 2 }));
        assert_eq!("one-trip".parse::<Protocol>().map(Protocol::name), Ok("decided"));
        let error = "three-trip".parse::<Protocol>().map_err(|error| error.to_string());
        let names = Protocol::ALL.map(Protocol::name);
        assert!(
            error.is_err_and(|error| error.contains("three-trip") && names.iter().all(|name| error.contains(name)))
        );
    }

    #[test]
    fn bytes_are_read_back_and_nothing_else_is() {
        let mut read = 0;
        for kind in 0..=255 {
            for (options, resolution) in [
                ([0; 8], 0),
                ([2, 0, 0, 0, 0, 0, 0, 0], 0),
                ([1, 0, 0, 0, 1, 0, 0, 0], 2),
                ([0, 0, 0, 0, 1, 0, 0, 0], 0),
                ([1; 8], 3),
            ] {
                let bytes: Vec<u8> = [&[kind][..], &options, &[resolution]].concat();
                let bytes = std::array::from_fn(|i| bytes[i]);
                if let Some(protocol) = Protocol::from_bytes(bytes) {
                    assert_eq!(protocol.to_bytes(), bytes);
                    read += 1;
                }
            }
        }
        assert_eq!(
            read,
            1 + 2 * (2 + 3) + 3,
            "one meaning of flat, two where the client decides, three where the server does; no probes and one answer are raw, and two odd plans"
        );
        for (kind, &protocol) in Protocol::ALL.iter().enumerate() {
            assert_eq!(Protocol::from_bytes(protocol.to_bytes()), Some(protocol));
            assert_eq!(usize::from(protocol.to_bytes()[0]), kind);
        }
    }

    #[test]
    fn probes_belong_to_whoever_finds_a_cluster() {
        for protocol in Protocol::ALL {
            let asked = protocol.with_probes(5);
            let expected = if protocol.routing() == Routing::None { 0 } else { 5 };
            assert_eq!((asked.probes(), asked.name()), (expected, protocol.name()));
        }
    }
}
