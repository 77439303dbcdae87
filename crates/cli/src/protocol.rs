//! Which protocol, as arguments.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use sordino_model::stage::Hierarchy;
use sordino_model::{Decider, HeldOut, Pair, Protocol, Resolution, load_held_out};
use sordino_service::{Choice, Wish, alternatives, choices};

use crate::calibration::Calibration;
use crate::report::{self, note, warning};

/// A protocol and its options.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProtocolArgs {
    /// Who finds the cluster and who decides: flat, routed, decided, picked or picked-decided (see --help).
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

/// What is wanted of a plan in which the server decides. Its resolution follows, and the number of probes unless that is given.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct WishArgs {
    /// Share of answers that are to be certain, 0 to 1, where the server decides: the cheapest plan for which so many clips that training
    /// held out lead by their margins. `inspect` prints the choice.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "resolution")]
    certain: Option<f64>,
    /// Seconds that the server may take by prediction, where it decides: the plan that is most often certain within them. Needs
    /// `sordino calibrate`.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with_all = ["resolution", "certain"])]
    within: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1".into())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0);
    seconds.ok_or_else(|| "expected seconds, more than 0 and at most a day".into())
}

impl WishArgs {
    /// The wish, if there is one.
    pub(crate) fn wish(self) -> Option<Wish> {
        let within = || self.within.map(|seconds| Wish::Within(Duration::from_secs_f64(seconds)));
        self.certain.map(Wish::Certain).or_else(within)
    }
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

impl From<Resolution> for ResolutionName {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Standard => Self::Standard,
            Resolution::Fine => Self::Fine,
            Resolution::Finest => Self::Finest,
        }
    }
}

impl DecisionArgs {
    /// A protocol with these options, where the server decides.
    pub(crate) fn of(self, protocol: Protocol) -> Protocol {
        let resolution = match self.resolution.unwrap_or_default() {
            ResolutionName::Standard => Resolution::Standard,
            ResolutionName::Fine => Resolution::Fine,
            ResolutionName::Finest => Resolution::Finest,
        };
        protocol.with_decision(self.answers.unwrap_or(1).into(), resolution)
    }
}

impl ProtocolArgs {
    /// The protocol that was asked for. An option that it does not have is an error: whoever gave it expects something of it.
    pub(crate) fn protocol(self) -> anyhow::Result<Protocol> {
        let probes = self.probes.map_or(self.protocol.probes(), usize::from);
        let DecisionArgs { answers, resolution } = self.decisions;
        let name = self.protocol.name();
        anyhow::ensure!(
            self.protocol != Protocol::Flat || self.probes.is_none(),
            "{name} follows no clusters: leave out --probes, or take routed or decided"
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
        let held_out = load_held_out(folder)?;
        anyhow::ensure!(
            !held_out.is_empty(),
            "{}: expected clips that training held out, by which a plan is chosen, and found none: train the model \
             with this version, or give --resolution instead of --certain and --within",
            folder.display()
        );
        let calibration = Calibration::load();
        anyhow::ensure!(
            calibration.is_some() || !matches!(wish, Wish::Within(_)),
            "--within needs to know how fast this machine is: run `sordino calibrate` first"
        );
        let alternatives = alternatives(usual, self.probes.is_some(), clusters(pair.server().hierarchy()));
        let found = judged(pair, &held_out, &alternatives, calibration.as_ref())?;
        let (choice, fulfilled) = wish.choose(&found).with_context(|| format!("{usual} has no plan for this model"))?;
        let chosen = told(choice, held_out.ids.len());
        match (fulfilled, wish) {
            (true, _) => note!("chosen: {chosen}"),
            (false, Wish::Certain(share)) => warning!(
                "no plan that names as many clips is certain for {:.1} %; it goes on with the most certain, {chosen}",
                100.0 * share
            ),
            (false, Wish::Within(time)) => {
                warning!(
                    "no plan is expected to take {} or less; it goes on with the quickest, {chosen}",
                    report::seconds(time)
                );
            }
        }
        Ok(choice.protocol)
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
        let asked = DecisionArgs {
            answers: answers.or(offered.decision().and_then(|(answers, _)| u16::try_from(answers).ok())),
            resolution: resolution.or(offered.decision().map(|(_, resolution)| resolution.into())),
        };
        let asked = asked.of(offered.with_probes(probes.map_or(offered.probes(), usize::from)));
        anyhow::ensure!(
            asked == offered,
            "the server answers with {offered}, and was asked for {asked}: leave out --probes, --answers and --resolution"
        );
        Ok(())
    }
}

/// What each of `protocols` does on what training held out.
pub(crate) fn judged(
    pair: &Pair<'_>,
    held_out: &HeldOut,
    protocols: &[Protocol],
    calibration: Option<&Calibration>,
) -> anyhow::Result<Vec<Choice>> {
    let bar = report::bar(protocols.len() as u64, "plans");
    let found = choices(pair, held_out, protocols, calibration.map(Calibration::machine), || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(found)
}

/// A choice in words.
pub(crate) fn told(choice: &Choice, clips: usize) -> String {
    let time = choice.expected.map(|time| format!(", expected to take {}", report::seconds(time))).unwrap_or_default();
    format!(
        "{}: of {clips} clips that training held out, {:.1} % are certain and {:.1} % named rightly{time}",
        choice.protocol,
        100.0 * choice.certain,
        100.0 * choice.right
    )
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
        "Who finds the cluster and who decides:\n{}\nFor picked and picked-decided the routing layers must be public.",
        entries.join("\n")
    )
}
