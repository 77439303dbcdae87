//! Which protocol, as arguments.

use clap::{Args, ValueEnum};
use sordino_model::Protocol;

/// Protocols by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolName {
    /// One trip; the client sees every track's score.
    Flat,
    /// One trip per stage; the client picks clusters, encrypted, and sees the scores in them.
    #[default]
    TwoTrip,
    /// One trip; the server picks the cluster, the track and the unknown test, all encrypted, and the client learns the answer.
    OneTrip,
}

/// A protocol and its setting.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProtocolArgs {
    /// Who decides what: see "Who learns what" in the README.
    #[arg(long, value_enum, default_value_t)]
    protocol: ProtocolName,
    /// Clusters that the client asks for, in two-trip.
    #[arg(long, default_value_t = 2, value_name = "M", value_parser = clap::value_parser!(u16).range(1..=64))]
    probes: u16,
}

impl ProtocolArgs {
    pub(crate) fn choice(self) -> Choice {
        self.protocol.with_probes(self.probes.into())
    }
}

/// A protocol and its setting, by who decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// The client.
    Client(Protocol),
    /// The server, encrypted.
    Server,
}

impl ProtocolName {
    pub(crate) fn with_probes(self, probes: usize) -> Choice {
        match self {
            Self::Flat => Choice::Client(Protocol::Flat),
            Self::TwoTrip => Choice::Client(Protocol::Trips { probes }),
            Self::OneTrip => Choice::Server,
        }
    }
}
