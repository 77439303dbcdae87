//! Asks a server at a given rate, whatever it answers, and writes down how long it took: rate against latency, past saturation.
//!
//! ```sh
//! sordino serve models/composed --budget none --queue-a-client 64 --store runs/keys &
//! cargo run --release -p sordino-serve --example load -- http://127.0.0.1:7664 composed models/composed $! 30 \
//!     flat:20,50,100,200,400 routed:20,50,100,200 decided:0.2,0.5,1,2
//! ```
//!
//! Arrivals are those of a Poisson process, and latency counts from the moment at which a query was due, so a client that has to wait for a
//! free thread counts too. Every answer is compared with that of plain integers. Rows are CSV on standard output.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey};
use sordino_model::{Answer, ClientModel, Pair, Protocol, load_pair};
use sordino_service::{Client, Step};

/// Queries under way at once: more than the server has seats.
const WORKERS: usize = 96;
/// Different clips that are asked about.
const CLIPS: usize = 16;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What became of the queries of one rate.
#[derive(Default)]
struct Tally {
    answered: Vec<f64>,
    wrong: usize,
    busy: usize,
    failed: usize,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, name, folder, process, seconds, plans @ ..] = &arguments[..] else {
        return Err("expected URL MODEL FOLDER PROCESS SECONDS PROTOCOL:RATE,RATE..".into());
    };
    let (half, server) = load_pair(folder.as_ref())?;
    let (half, seconds) = (Arc::new(half), seconds.parse::<f64>()?);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections_per_host(WORKERS)
        .max_idle_connections(WORKERS)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into();
    let secret = Arc::new(SecretKey::generate(&STANDARD));
    let evaluation = EvaluationKey::generate(&secret, |_| ());
    let mut bytes = Vec::new();
    evaluation.write(&mut bytes)?;
    let token = format!("Bearer load-generator-{}", std::process::id());
    let key = format!("{url}/v1/keys/{}", evaluation.id().hex());
    let registered = agent.put(key).header("authorization", &token).send(&bytes[..])?.status();
    if !registered.is_success() {
        return Err(format!("the server took no evaluation key: {registered}").into());
    }
    let key = ClientKey::registered(secret, evaluation.id());
    let mut random = StdRng::seed_from_u64(1);
    let clips: Vec<Vec<f32>> =
        (0..CLIPS).map(|_| (0..half.front().width()).map(|_| random.random_range(-0.5..0.5)).collect()).collect();
    println!("protocol,rate,seconds,due,answered,wrong,refused,failed,answered_a_second,p50,p90,p99,max,server_mb");
    for plan in plans {
        let (protocol, rates) = plan.split_once(':').ok_or("a plan is PROTOCOL:RATE,RATE")?;
        let known: Protocol = protocol.parse()?;
        let pair = Pair::new(&half, &server)?;
        let expected: Vec<Answer> = clips.iter().map(|clip| pair.identify(known, clip)).collect::<Result<_, _>>()?;
        let base = format!("{url}/v1/models/{name}/protocols/{protocol}");
        let hello = agent.get(format!("{base}/hello")).call()?.into_body().read_to_vec()?;
        for rate in rates.split(',') {
            let rate: f64 = rate.parse()?;
            let mut due = Vec::new();
            let mut next = 0.0;
            while next < seconds {
                due.push(Duration::from_secs_f64(next));
                next -= random.random_range(f64::EPSILON..1.0_f64).ln() / rate;
            }
            let (tally, turn, start) = (Mutex::new(Tally::default()), AtomicUsize::new(0), Instant::now());
            thread::scope(|scope| {
                for _ in 0..WORKERS.min(due.len()) {
                    scope.spawn(|| {
                        let mut client = match client(&half, &key, &hello) {
                            Ok(client) => client,
                            Err(error) => return eprintln!("{error}"),
                        };
                        while let Some((i, &due)) =
                            Some(turn.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, due.get(i)?)))
                        {
                            thread::sleep(due.saturating_sub(start.elapsed()));
                            let asked = ask(&agent, &base, &token, &mut client, &clips[i % CLIPS]);
                            let took = (start.elapsed() - due).as_secs_f64();
                            let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            match asked {
                                Ok(Some(answer)) => {
                                    tally.answered.push(took);
                                    tally.wrong += usize::from(answer != expected[i % CLIPS]);
                                }
                                Ok(None) => tally.busy += 1,
                                Err(error) => {
                                    eprintln!("{error}");
                                    tally.failed += 1;
                                }
                            }
                        }
                    });
                }
            });
            let took = start.elapsed().as_secs_f64();
            let Tally { mut answered, wrong, busy, failed } =
                tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            answered.sort_by(f64::total_cmp);
            let at = |part: f64| {
                answered.get(((answered.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN)
            };
            println!(
                "{protocol},{rate},{seconds},{},{},{wrong},{busy},{failed},{:.3},{:.4},{:.4},{:.4},{:.4},{:.0}",
                due.len(),
                answered.len(),
                answered.len() as f64 / took,
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0),
                memory(process)
            );
        }
    }
    Ok(())
}

fn client(half: &Arc<ClientModel>, key: &ClientKey, hello: &[u8]) -> Fallible<Client> {
    Ok(Client::new(half.clone(), key.clone(), hello)?)
}

/// The answer, or nothing where the server has no place for the query.
fn ask(agent: &ureq::Agent, base: &str, token: &str, client: &mut Client, clip: &[f32]) -> Fallible<Option<Answer>> {
    let mut message = client.start(clip)?;
    loop {
        let reply = agent.post(format!("{base}/queries")).header("authorization", token).send(&message.bytes[..])?;
        match reply.status().as_u16() {
            200 => {}
            429 | 503 => return Ok(None),
            status => return Err(format!("status {status}: {}", reply.into_body().read_to_string()?).into()),
        }
        match client.receive(&reply.into_body().into_with_config().limit(1 << 26).read_to_vec()?)? {
            Step::Send(next) => message = next,
            Step::Done(answer) => return Ok(Some(answer)),
        }
    }
}

/// Memory that a process holds, in MB; not a number where nobody tells.
fn memory(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let held =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    held.map_or(f64::NAN, |kibibytes| kibibytes * 1.024e-3)
}
