//! What is wished of a plan in which the server decides, and the plan that comes nearest.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sordino_model::{HeldOut, Pair, Protocol, load_held_out};
use sordino_service::{Choice, Wish, alternatives, choices};

use crate::calibration::Calibration;
use crate::protocol::clusters;
use crate::report::{self, note, warning};

/// What is wished of a plan in which the server decides. Its resolution follows, and the number of probes unless that is given.
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

/// The plan of the protocol `usual` that fulfils a wish, by what training held out from the model in `folder`, or comes nearest to it.
pub(crate) fn choose(
    wish: Wish,
    usual: Protocol,
    probes_settled: bool,
    folder: &Path,
    pair: &Pair<'_>,
) -> anyhow::Result<Protocol> {
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
    let alternatives = alternatives(usual, probes_settled, clusters(pair.server().hierarchy()));
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
fn told(choice: &Choice, clips: usize) -> String {
    let time = choice.expected.map(|time| format!(", expected to take {}", report::seconds(time))).unwrap_or_default();
    format!(
        "{}: of {clips} clips that training held out, {:.1} % are certain and {:.1} % named rightly{time}",
        choice.protocol,
        100.0 * choice.certain,
        100.0 * choice.right
    )
}
