//! [`choices`]: the ways in which a server could decide, and what each does on clips whose answers are known.
//!
//! How many probes and which resolution are worth their price depends on the library: on how far its own clips lead. That is measured here,
//! in the clear, on what training held out.

use std::time::Duration;

use sordino_fhe::{Plan, decision, params};
use sordino_model::cost::{Timings, WeightForm};
use sordino_model::{HeldOut, Pair, Protocol, Resolution};

use crate::ServiceError;

/// Plans that name fewer clips than the best by no more than this share count as equally accurate: a few clips in some hundred, which
/// may be chance.
const AS_ACCURATE: f64 = 0.02;

/// Most probes that are tried.
const MOST_PROBES: usize = 64;

/// A way to decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The protocol with its options.
    pub protocol: Protocol,
    /// Share of the held-out clips whose answer is certain: their winners lead by the plan's margins.
    pub certain: f64,
    /// Share of the held-out clips that plain integers name rightly.
    pub right: f64,
    /// Blind rotations of a query, those of a finer resolution counted as the products that they take.
    pub work: f64,
    /// Bytes of a query.
    pub bytes_up: usize,
    /// What the server is expected to take, where its machine was measured.
    pub expected: Option<Duration>,
}

/// What somebody wants of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    /// At least this share of answers certain, at the least price.
    Certain(f64),
    /// As many answers certain as can be within this time.
    Within(Duration),
}

/// The machine on which a server decides.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What every operation takes there.
    pub timings: &'a Timings,
    /// Threads of a query.
    pub threads: usize,
    /// How weights are held there.
    pub weights: WeightForm,
}

/// The protocols to choose from: every resolution of `protocol` and, unless its probes are settled, powers of two up to four times as many.
pub fn alternatives(protocol: Protocol, probes_settled: bool, clusters: usize) -> Vec<Protocol> {
    let usual = protocol.probes();
    let most = (4 * usual).min(MOST_PROBES).min(clusters);
    let powers = (0..usize::BITS).map(|i| 1 << i).take_while(|&probes| probes <= most);
    let mut probes = if probes_settled { vec![usual] } else { powers.chain([usual]).collect() };
    probes.sort_unstable();
    probes.dedup();
    let answers = protocol.decision().map_or(1, |(answers, _)| answers);
    let resolved =
        |probes| Resolution::ALL.map(|resolution| protocol.with_probes(probes).with_decision(answers, resolution));
    probes.into_iter().flat_map(resolved).collect()
}

/// What each of `protocols`, in which the server decides, does on the held-out clips. One that has no plan for this model is left out.
/// `judged` is called after each.
///
/// # Errors
/// [`ServiceError`] for clips that are none of this model's.
pub fn choices(
    pair: &Pair<'_>,
    held_out: &HeldOut,
    protocols: &[Protocol],
    machine: Option<Machine<'_>>,
    judged: impl Fn(),
) -> Result<Vec<Choice>, ServiceError> {
    let mut found: Vec<Choice> = Vec::new();
    let mut asked: Option<Asked> = None;
    for &protocol in protocols {
        let hierarchy = pair.server().stages_for(protocol);
        let Ok(Plan::Decision(plan)) = Plan::new(&params::STANDARD, protocol, hierarchy) else {
            judged();
            continue;
        };
        // Resolutions follow each other, and differ in nothing that is computed in the clear.
        let known = asked.take().filter(|asked| asked.is_for(protocol));
        let here = known.map_or_else(|| Asked::new(pair, held_out, protocol, &plan), Ok)?;
        let (shape, margins) = (hierarchy.shape(), plan.margins(hierarchy.shape())?);
        let certain = here.leads.iter().filter(|leads| leads.are_certain(&margins)).count();
        let form = machine.map_or_else(WeightForm::default, |machine| machine.weights);
        let schedule = plan.schedule(shape)?.holding(form, plan.parameters().ring());
        let decisions = schedule.report.decisions;
        let products = protocol.decision().map_or(1.0, |(_, resolution)| resolution.products());
        found.push(Choice {
            protocol,
            certain: certain as f64 / here.leads.len().max(1) as f64,
            right: here.right,
            work: decisions.comparisons() as f64 * products + decisions.refreshes as f64,
            bytes_up: schedule.report.bytes_up,
            expected: machine.map(|machine| schedule.predict(machine.timings, machine.threads)),
        });
        asked = Some(here);
        judged();
    }
    Ok(found)
}

/// How far the clear scores of one clip are apart, to be held against the margins of a plan of this protocol.
///
/// # Errors
/// [`ServiceError`] for features that are none of this model's, or a plan of another.
pub fn leads(
    pair: &Pair<'_>,
    protocol: Protocol,
    plan: &decision::Plan,
    features: &[f32],
) -> Result<decision::Leads, ServiceError> {
    let client = pair.client();
    let (vectors, groups) = client.question(protocol, features)?;
    let label = |place| client.hierarchy().label_at(place);
    Ok(plan.leads(pair.server().stages_for(protocol), &vectors, &groups, label)?)
}

/// The held-out clips in the clear: how far each is from another answer, and how many are named rightly.
struct Asked {
    protocol: Protocol,
    leads: Vec<decision::Leads>,
    right: f64,
}

impl Asked {
    fn new(
        pair: &Pair<'_>,
        held_out: &HeldOut,
        protocol: Protocol,
        plan: &decision::Plan,
    ) -> Result<Self, ServiceError> {
        let (client, rows) = (pair.client(), held_out.features.rows());
        let leads = rows.into_iter().map(|row| leads(pair, protocol, plan, &row.to_vec()));
        let leads = leads.collect::<Result<Vec<_>, _>>()?;
        let answers = pair.identify_batch(protocol, held_out.features.view(), 1)?;
        let named = |label: usize| client.labels().get(label).map(|label| label.track_id);
        // A copy of a track is that track.
        let is =
            |id: u32, label: usize| std::iter::once(label).chain(client.copies(label)).any(|it| named(it) == Some(id));
        let rightly = answers.iter().zip(&held_out.ids);
        let rightly = rightly.filter(|(answer, id)| answer.known && answer.top(1).any(|label| is(**id, label)));
        let right = rightly.count() as f64 / leads.len().max(1) as f64;
        Ok(Self { protocol, leads, right })
    }

    fn is_for(&self, protocol: Protocol) -> bool {
        let plain = |protocol: Protocol| protocol.with_decision(1, Resolution::Standard);
        plain(self.protocol) == plain(protocol)
    }
}

/// Those that nothing beats in everything at once: accuracy, certainty and work.
pub fn front(choices: &[Choice]) -> Vec<&Choice> {
    let beats = |a: &Choice, b: &Choice| {
        let no_worse = a.right >= b.right && a.certain >= b.certain && a.work <= b.work;
        no_worse && (a.right > b.right || a.certain > b.certain || a.work < b.work)
    };
    choices.iter().filter(|choice| !choices.iter().any(|other| beats(other, choice))).collect()
}

impl Wish {
    /// The choice that suits the wish, and whether it fulfils it. Of those that name as many clips as any, or 2 % fewer, it is the cheapest
    /// that is certain enough, or the most certain that is quick enough; where none is, the one that comes nearest. Nothing where there is
    /// no choice, or a time is wished and no machine was measured.
    pub fn choose(self, choices: &[Choice]) -> Option<(&Choice, bool)> {
        match self {
            Self::Certain(share) => {
                let among = as_accurate(choices.iter().collect());
                let enough = among.iter().copied().filter(|choice| choice.certain >= share);
                let cheapest = enough.min_by(|a, b| a.work.total_cmp(&b.work));
                cheapest.map(|choice| (choice, true)).or_else(|| Some((surest(among)?, false)))
            }
            Self::Within(time) => {
                let timed: Vec<_> = choices.iter().filter_map(|choice| Some((choice.expected?, choice))).collect();
                let quick = timed.iter().filter(|(expected, _)| *expected <= time).map(|(_, choice)| *choice);
                let found = surest(as_accurate(quick.collect())).map(|choice| (choice, true));
                found.or_else(|| Some((timed.into_iter().min_by_key(|(expected, _)| *expected)?.1, false)))
            }
        }
    }
}

/// Those that name as many clips as any of them, or hardly fewer.
fn as_accurate(among: Vec<&Choice>) -> Vec<&Choice> {
    let best = among.iter().map(|choice| choice.right).fold(0.0, f64::max);
    among.into_iter().filter(|choice| choice.right >= best - AS_ACCURATE).collect()
}

/// The one that is most often certain; of several the cheapest.
fn surest(among: Vec<&Choice>) -> Option<&Choice> {
    among.into_iter().max_by(|a, b| a.certain.total_cmp(&b.certain).then(b.work.total_cmp(&a.work)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(probes: usize, resolution: Resolution, certain: f64, right: f64, seconds: u64) -> Choice {
        let protocol = Protocol::Decided { probes, answers: 1, resolution };
        let expected = Some(Duration::from_secs(seconds));
        Choice { protocol, certain, right, work: seconds as f64, bytes_up: 0, expected }
    }

    fn some() -> Vec<Choice> {
        vec![
            choice(1, Resolution::Standard, 0.90, 0.92, 2),
            choice(1, Resolution::Finest, 0.99, 0.92, 6),
            choice(2, Resolution::Standard, 0.85, 0.98, 3),
            choice(2, Resolution::Fine, 0.93, 0.98, 5),
            choice(2, Resolution::Finest, 0.97, 0.978, 9),
            choice(4, Resolution::Standard, 0.80, 0.975, 8),
        ]
    }

    #[test]
    fn the_cheapest_that_is_certain_enough_and_names_as_many_as_any() {
        let choices = some();
        let chosen = |wish: Wish| {
            wish.choose(&choices).map(|(choice, fulfilled)| (choice.expected.unwrap().as_secs(), fulfilled))
        };
        assert_eq!(chosen(Wish::Certain(0.8)), Some((3, true)));
        assert_eq!(chosen(Wish::Certain(0.9)), Some((5, true)));
        assert_eq!(chosen(Wish::Certain(0.97)), Some((9, true)));
        // More certain ones name fewer.
        assert_eq!(chosen(Wish::Certain(0.98)), Some((9, false)));
        // Within two seconds only one is, whatever it names.
        assert_eq!(chosen(Wish::Within(Duration::from_secs(2))), Some((2, true)));
        assert_eq!(chosen(Wish::Within(Duration::from_secs(8))), Some((5, true)));
        assert_eq!(chosen(Wish::Within(Duration::from_millis(100))), Some((2, false)));
        assert_eq!(Wish::Certain(0.5).choose(&[]), None);
    }

    #[test]
    fn nothing_on_the_front_is_beaten() {
        let choices = some();
        let seconds: Vec<u64> = front(&choices).iter().map(|choice| choice.expected.unwrap().as_secs()).collect();
        assert_eq!(seconds, [2, 6, 3, 5, 9]);
    }

    #[test]
    fn probes_that_were_settled_stay() {
        let decided = Protocol::Decided { probes: 2, answers: 3, resolution: Resolution::Standard };
        let probes = |settled, clusters| {
            let mut probes: Vec<usize> = alternatives(decided, settled, clusters).iter().map(|p| p.probes()).collect();
            probes.dedup();
            probes
        };
        assert_eq!(
            (probes(true, 100), probes(false, 100), probes(false, 5)),
            (vec![2], vec![1, 2, 4, 8], vec![1, 2, 4])
        );
        let answers = |p: &Protocol| p.decision().map(|(answers, _)| answers);
        assert!(alternatives(decided, false, 100).iter().all(|p| answers(p) == Some(3)));
    }
}
