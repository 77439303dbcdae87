//! Which protocol, as arguments.

use clap::{Args, ValueEnum};
use sordino_fhe::{OneTripOptions, Resolution};
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
    /// Clusters that are followed: 2 in two-trip, 1 in one-trip unless given.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(1..=64))]
    probes: Option<u16>,
    #[command(flatten)]
    decisions: DecisionArgs,
}

/// How the server decides in one-trip.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct DecisionArgs {
    /// Tracks that one-trip returns, the best first.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    answers: u16,
    /// How finely one-trip compares scores.
    #[arg(long, value_enum, default_value_t)]
    resolution: ResolutionName,
}

/// Resolutions by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResolutionName {
    /// One accumulator a comparison.
    #[default]
    Standard,
    /// Two: margins about half as wide, comparisons twice as slow.
    Fine,
    /// Four: a third of the margins, four times the time.
    Finest,
}

impl DecisionArgs {
    /// The options of one-trip, with `probes` clusters followed.
    pub(crate) fn options(self, probes: usize) -> OneTripOptions {
        let resolution = match self.resolution {
            ResolutionName::Standard => Resolution::Standard,
            ResolutionName::Fine => Resolution::Fine,
            ResolutionName::Finest => Resolution::Finest,
        };
        OneTripOptions { probes, answers: self.answers.into(), resolution, ..OneTripOptions::default() }
    }
}

impl ProtocolArgs {
    pub(crate) fn choice(self) -> Choice {
        match self.protocol {
            ProtocolName::OneTrip => Choice::Server(self.decisions.options(self.probes.unwrap_or(1).into())),
            other => other.with_probes(self.probes.unwrap_or(2).into()),
        }
    }
}

/// A protocol and its setting, by who decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// The client.
    Client(Protocol),
    /// The server, encrypted.
    Server(OneTripOptions),
}

impl ProtocolName {
    /// With `probes` probes in two-trip, and one-trip's defaults.
    pub(crate) fn with_probes(self, probes: usize) -> Choice {
        match self {
            Self::Flat => Choice::Client(Protocol::Flat),
            Self::TwoTrip => Choice::Client(Protocol::Trips { probes }),
            Self::OneTrip => Choice::Server(OneTripOptions::default()),
        }
    }
}
