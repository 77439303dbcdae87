//! How often the wrong one of two scores wins, by how far the right one leads: encrypted, beside the formula's bound.
//!
//! ```text
//! cargo run --release -p sordino-benches --example wrong_winners [queries a lead] [keys] > winners.csv
//! ```
//!
//! Two tracks whose scores are two features of the query, so that every lead can be asked for. The comparison is that of the standard
//! parameters. A lead is in deviations of its noise; `bound_log2` is what `Margins` promises, `gaussian_log2` what noise of a normal
//! distribution would do.

use std::io::Write;

use rand::RngExt;
use sordino_benches::{Failure, rng};
use sordino_fhe::decision::{Client, Options, Plan, Server};
use sordino_fhe::params::{ParameterSet, STANDARD};
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey};
use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::stage::{Hierarchy, Stage};

/// Leads, in tenths of the noise's deviation.
const LEADS: [u32; 9] = [0, 5, 10, 15, 20, 25, 30, 35, 40];
/// Largest feature: a lead in score units is a multiple of it, so that it can be fine.
const LARGEST: i32 = 20_000;
/// A bound on features, one for both scores of a query.
const BOUND: VectorBound = VectorBound { width: 3, max_abs: LARGEST, norm_squared: 3 * (LARGEST as u64).pow(2) };

fn main() -> Result<(), Failure> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| arguments.get(i).copied().unwrap_or(default);
    measure(&STANDARD, argument(0, 1_000), argument(1, 4), &mut std::io::stdout())
}

/// Asks so many queries of every lead under each of so many keys.
pub(crate) fn measure(
    parameters: &'static ParameterSet,
    queries: usize,
    keys: usize,
    out: &mut impl Write,
) -> Result<(), Failure> {
    // Track 0 scores the first feature, track 1 the second; the third, which is always the largest, makes both known.
    let stage = Stage::new(2, BOUND, vec![1, 0, 1, 0, 1, 1], vec![0; 2], vec![2])?;
    let model = Hierarchy::new(vec![stage])?;
    let options = Options::default();
    let plan = Plan::new(parameters, &model, options)?;
    let margins = plan.margins(model.shape())?;
    // With one rival the bound is exp(-lead^2 / 2 variance), and the stage's share of the failure one of five.
    let share = options.failure_log2 - 5f64.log2();
    let deviation = margins.stages[0] / (-share * 2.0 * std::f64::consts::LN_2).sqrt();
    let server = Server::new(ModelHash([0; 32]), &model, plan)?;
    let mut wrong = [0; LEADS.len()];
    let mut rng = rng(31);
    for _ in 0..keys {
        let secret = SecretKey::generate(parameters);
        let key = EvaluationKey::generate(&secret, |_| ()).expand();
        let client_key = ClientKey::registered(secret, key.id());
        let mut client = Client::new(client_key, server.plan().clone(), ModelHash([0; 32]), model.shape())?;
        for (lead, wrong) in LEADS.iter().zip(&mut wrong) {
            let units = (f64::from(*lead) / 10.0 * deviation).round() as i32;
            for _ in 0..queries {
                let low = rng.random_range(0..LARGEST - units);
                // Now one leads, now the other: the first comes from the left.
                let winner = rng.random_range(0..2);
                let x = if winner == 0 { vec![low + units, low, LARGEST] } else { vec![low, low + units, LARGEST] };
                let reply = server.answer(&key, &client.query(&[x], &[], 0)?)?;
                *wrong += usize::from(client.answers(&reply, &[])? != [Some(winner)]);
            }
        }
    }
    writeln!(out, "lead_deviations,queries,wrong,bound_log2,gaussian_log2")?;
    for (lead, wrong) in LEADS.iter().zip(wrong) {
        let lead = f64::from(*lead) / 10.0;
        let bound = -lead * lead / 2.0 * std::f64::consts::LOG2_E;
        writeln!(out, "{lead},{},{wrong},{bound:.2},{:.2}", keys * queries, upper_tail(lead).log2())?;
    }
    Ok(())
}

/// The probability that a standard normal variable exceeds `x`, by Simpson's rule on its density.
fn upper_tail(x: f64) -> f64 {
    const STEPS: u32 = 2_000;
    let (width, density) = (12.0 / f64::from(STEPS), |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt());
    let weight = |i: u32| if i == 0 || i == STEPS { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    (0..=STEPS).map(|i| weight(i) * density(x + f64::from(i) * width)).sum::<f64>() * width / 3.0
}
