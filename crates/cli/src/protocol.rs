//! Which protocol, as arguments.

use std::path::Path;

use clap::{Args, ValueEnum};
use sordino_model::stage::Hierarchy;
use sordino_model::{Decider, Pair, Protocol, Resolution, Routing};

use crate::wish::{WishArgs, choose};

/// A protocol and its options.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProtocolArgs {
    /// Who finds the cluster and who decides: flat, routed, decided, picked, picked-decided or raw (see --help).
    #[arg(long, default_value = "routed", value_name = "NAME", long_help = protocols_help())]
    protocol: Protocol,
    /// Clusters that are followed: unless given 1 in decided, as many as hold 64 passages in picked-decided, else 2.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(1..=64))]
    probes: Option<u16>,
    #[command(flatten)]
    decisions: DecisionArgs,
    #[command(flatten)]
    wish: WishArgs,
}

/// How the server decides, where it does.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct DecisionArgs {
    /// How many tracks a server that decides returns, the best first: 1 unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    answers: Option<u16>,
    /// How finely it compares scores: standard unless given.
    #[arg(long, value_enum)]
    resolution: Option<ResolutionName>,
}

/// Resolutions by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResolutionName {
    /// One accumulator a comparison.
    #[default]
    Standard,
    /// Two: margins about half as wide, for half as much time again.
    Fine,
    /// Four: margins less than half as wide, for almost three times the time.
    Finest,
}

impl From<ResolutionName> for Resolution {
    fn from(name: ResolutionName) -> Self {
        match name {
            ResolutionName::Standard => Self::Standard,
            ResolutionName::Fine => Self::Fine,
            ResolutionName::Finest => Self::Finest,
        }
    }
}

impl DecisionArgs {
    /// A protocol with these options, where the server decides.
    pub(crate) fn of(self, protocol: Protocol) -> Protocol {
        protocol.with_decision(self.answers.unwrap_or(1).into(), self.resolution.unwrap_or_default().into())
    }
}

impl ProtocolArgs {
    /// The protocol that was asked for. An option that it does not have is an error: whoever gave it expects something of it.
    pub(crate) fn protocol(self) -> anyhow::Result<Protocol> {
        let probes = self.probes.map_or(self.protocol.probes(), usize::from);
        let DecisionArgs { answers, resolution } = self.decisions;
        let name = self.protocol.name();
        anyhow::ensure!(
            self.protocol.routing() != Routing::None || self.probes.is_none(),
            "{name} follows no clusters: leave out --probes, or take routed or decided"
        );
        anyhow::ensure!(
            self.protocol != Protocol::Raw || (answers.is_none() && resolution.is_none() && self.wish.wish().is_none()),
            "{name} has one answer, one resolution and one plan: leave out --answers, --resolution, --certain and --within, or take decided"
        );
        anyhow::ensure!(
            self.protocol.decider() == Decider::Server || (answers.is_none() && resolution.is_none()),
            "{name} lets the client decide: leave out --answers and --resolution, or take decided"
        );
        anyhow::ensure!(
            self.protocol.decider() == Decider::Server || self.wish.wish().is_none(),
            "--certain and --within are for protocols in which the server decides, and {name} is none: add --protocol decided, or \
             picked-decided where the routing is public"
        );
        Ok(self.decisions.of(self.protocol.with_probes(probes)))
    }
}

impl ProtocolArgs {
    /// The protocol for a model of these stages.
    pub(crate) fn suited(self, hierarchy: &Hierarchy) -> anyhow::Result<Protocol> {
        let (protocol, clusters) = (self.protocol()?, clusters(hierarchy));
        let Some(asked) = self.probes.map(usize::from) else { return Ok(protocol.suited(hierarchy.shape())) };
        anyhow::ensure!(asked <= clusters, too_many_probes(asked, clusters));
        Ok(protocol)
    }

    /// The protocol for the model in a folder: [`ProtocolArgs::suited`], or what fulfils a wish.
    pub(crate) fn chosen(self, folder: &Path, pair: &Pair<'_>) -> anyhow::Result<Protocol> {
        let usual = self.suited(pair.server().hierarchy())?;
        let Some(wish) = self.wish.wish() else { return Ok(usual) };
        choose(wish, usual, self.probes.is_some(), folder, pair)
    }

    /// Refuses options other than those with which a server has chosen to answer.
    pub(crate) fn agrees_with(self, offered: Protocol) -> anyhow::Result<()> {
        self.protocol()?;
        anyhow::ensure!(
            self.wish.wish().is_none(),
            "the server has chosen its plan: leave out --certain and --within, or give them to `sordino serve`"
        );
        let Self { probes, decisions: DecisionArgs { answers, resolution }, .. } = self;
        // What was not given is the server's choice.
        let (usual, resolved) = offered.decision().unwrap_or_default();
        let asked = offered
            .with_probes(probes.map_or(offered.probes(), usize::from))
            .with_decision(answers.map_or(usual, usize::from), resolution.map_or(resolved, Resolution::from));
        anyhow::ensure!(
            asked == offered,
            "the server answers with {offered}, and was asked for {asked}: leave out --probes, --answers and --resolution"
        );
        Ok(())
    }
}

/// Clusters of a model, among which probes choose.
pub(crate) fn clusters(hierarchy: &Hierarchy) -> usize {
    hierarchy.last().groups()
}

/// Why more clusters than there are cannot be followed.
pub(crate) fn too_many_probes(probes: usize, clusters: usize) -> String {
    format!("--probes is {probes}, expected at most {clusters}, the clusters of the model")
}

/// What the protocols are, and what each side learns from them.
fn protocols_help() -> String {
    let entry = |protocol: Protocol| {
        let (name, learns) = (protocol.name(), protocol.learns());
        format!(
            "  {name:<14} the server learns {}; the client learns, beside the answer, {}",
            learns.server, learns.client
        )
    };
    let entries: Vec<String> = Protocol::ALL.map(entry).into();
    format!(
        "Who finds the cluster and who decides:\n{}\nFor picked and picked-decided the routing layers must be public, for raw the model must hear samples: train with --public-routing, or --raw.",
        entries.join("\n")
    )
}
